"""`exchange outbox`: what an operator sees of deliveries, and does about those that were given up."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exchange.commands.records import age_text
from exchange.errors import CommandError
from exchange.storage import outbox
from exchange.storage.database import Database
from exchange.storage.outbox import Listed

ALL_STATES = ("waiting", "dead", "done", "skipped")


async def listed(database: Database, state: str, limit: int) -> list[Listed]:
    """The newest rows in a state, or in any."""
    return await outbox.listed(database, ALL_STATES if state == "all" else (state,), limit)


async def found(database: Database, identifier: UUID) -> list[Listed]:
    """The rows that an id stands for. Raises CommandError where there are none."""
    rows = await outbox.find(database, identifier)
    if not rows:
        raise CommandError(f"the outbox has nothing of {identifier}")
    return rows


async def retry(database: Database, identifiers: Sequence[UUID], *, every: bool) -> int:
    """Has rows sent again; how many. Raises CommandError where none is dead, or nobody said which."""
    if every == bool(identifiers):
        raise CommandError("say either which deliveries, or --all")
    count = await outbox.revive(database, None if every else identifiers)
    if not count and not every:
        raise CommandError("none of these was given up")
    return count


def table(rows: Sequence[Listed]) -> Table:
    """The rows for a person: what, where to, how old, how often tried, and what was last known."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("delivery", "kind", "to", "state", "age", "tries", "detail"):
        made.add_column(name, justify="right" if name in {"age", "tries"} else "left", overflow="fold")
    made.columns[0].no_wrap = True
    now = datetime.now(UTC)
    for row in rows:
        target = f"{row.subject} {row.name if row.scope == 'order' else row.event}"
        age = age_text(now - row.created_at)
        made.add_row(*map(escape, (str(row.outbox_id), row.kind, target, row.state, age, str(row.tries), row.detail)))
    return made


def tell(rows: Sequence[Listed], console: Console) -> None:
    """The rows with all that is kept of them."""
    for row in rows:
        for name, value in _facts(row).items():
            shown = "" if value is None else str(value)
            console.print(f"{name:12}{shown}", highlight=False, markup=False, soft_wrap=True)
        console.print()


def as_json(rows: Sequence[Listed]) -> str:
    """The rows for a program."""
    return json.dumps([_facts(row) for row in rows])


def _facts(row: Listed) -> dict[str, object]:
    return {
        "outbox_id": str(row.outbox_id),
        "state": row.state,
        "kind": row.kind,
        row.scope: row.subject,
        "event": row.event,
        "name": row.name,
        "post_id": None if row.post_id is None else str(row.post_id),
        "attempt_id": None if row.attempt_id is None else str(row.attempt_id),
        "test": row.test,
        "tries": row.tries,
        "detail": row.detail,
        "made_at": row.created_at.isoformat(),
        "due_at": row.due_at.isoformat() if row.state == "waiting" else None,
        "finished_at": None if row.finished_at is None else row.finished_at.isoformat(),
    }
