"""`exchange queue`: what an operator sees of leads that wait for a buyer, and does about them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exchange.commands.records import age_text
from exchange.errors import CommandError
from exchange.storage import queue_list
from exchange.storage.database import Database
from exchange.storage.queue_list import Listed, PastRun

ALL_STATES = ("waiting", "posted", "ended")
NOTE_LENGTH_MAX = 500


async def listed(database: Database, state: str, campaign: str | None, limit: int) -> list[Listed]:
    """The newest leads in a state, or in any, of one campaign or of all."""
    return await queue_list.listed(database, ALL_STATES if state == "all" else (state,), campaign, limit)


async def found(database: Database, identifier: UUID) -> tuple[Listed, list[PastRun]]:
    """The lead that an id stands for, and its runs. Raises CommandError where there is none."""
    lead = await queue_list.find(database, identifier)
    if lead is None:
        raise CommandError(f"the queue has nothing of {identifier}")
    return lead, await queue_list.runs_of(database, lead.post_id)


async def drop(database: Database, identifiers: Sequence[UUID], note: str) -> int:
    """Ends the wait of leads; how many. Raises CommandError where none of them waits, or the note is too long."""
    if not note.strip() or len(note) > NOTE_LENGTH_MAX:
        raise CommandError(f"the note has 1 to {NOTE_LENGTH_MAX} characters")
    dropped = await queue_list.drop(database, identifiers, note.strip())
    if not dropped:
        raise CommandError("none of these waits for a buyer")
    return len(dropped)


def table(leads: Sequence[Listed]) -> Table:
    """The leads for a person: whose they are, how long they have waited, how often they were run, and why in vain."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("post", "campaign", "seller", "state", "age", "runs", "reason", "detail"):
        made.add_column(name, justify="right" if name in {"age", "runs"} else "left", overflow="fold")
    made.columns[0].no_wrap = True
    now = datetime.now(UTC)
    for lead in leads:
        age, reason = age_text(now - lead.created_at), lead.reason.wire_name
        row = str(lead.post_id), lead.campaign, lead.seller, lead.state, age, str(lead.runs), reason, lead.detail
        made.add_row(*map(escape, row))
    return made


def tell(lead: Listed, runs: Sequence[PastRun], console: Console) -> None:
    """A lead with all that is kept of it, and a line for each of its runs."""
    for name, value in _facts(lead).items():
        shown = "" if value is None else str(value)
        console.print(f"{name:12}{shown}", highlight=False, markup=False, soft_wrap=True)
    for run in runs:
        line = f"run {run.run:<8}{run.ran_at.isoformat()} ping {run.ping_id} {run.reason.wire_name}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def as_json(leads: Sequence[Listed]) -> str:
    """The leads for a program."""
    return json.dumps([_facts(lead) for lead in leads])


def one_as_json(lead: Listed, runs: Sequence[PastRun]) -> str:
    """A lead and its runs for a program."""
    made = [
        {"run": run.run, "ping_id": str(run.ping_id), "reason": run.reason.wire_name, "ran_at": run.ran_at.isoformat()}
        for run in runs
    ]
    return json.dumps(_facts(lead) | {"past_runs": made})


def _facts(lead: Listed) -> dict[str, object]:
    return {
        "post_id": str(lead.post_id),
        "ping_id": str(lead.ping_id),
        "seller": lead.seller,
        "campaign": lead.campaign,
        "state": lead.state,
        "reason": lead.reason.wire_name,
        "detail": lead.detail,
        "test": lead.test,
        "runs": lead.runs,
        "made_at": lead.created_at.isoformat(),
        "due_at": lead.due_at.isoformat() if lead.state == "waiting" else None,
        "ends_at": lead.ends_at.isoformat(),
        "finished_at": None if lead.finished_at is None else lead.finished_at.isoformat(),
    }
