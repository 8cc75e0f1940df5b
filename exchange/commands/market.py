"""`exchange apply`: what a market file would change, and then the change; and what other commands ask of a market."""

import getpass
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from exchange.errors import CommandError, FileProblem, MarketFileError
from exchange.marketfile.difference import Change, ChangeKind
from exchange.marketfile.reader import load
from exchange.marketfile.source import Document
from exchange.proposal import Proposal, make, propose
from exchange.storage import catalogue
from exchange.storage.database import Database
from exchange.values.market import Market

CHANGES_SHOWN_MAX = 200
WARNINGS_SHOWN_MAX = 50

_STYLES = {ChangeKind.ADDED: "green", ChangeKind.CHANGED: "yellow", ChangeKind.REMOVED: "red"}


def read_file(path: Path) -> tuple[Document, Market]:
    """A market file. Raises MarketFileError with everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise MarketFileError([FileProblem(str(path), f"cannot be read: {reason}")]) from error
    return load(text)


async def apply(
    database: Database,
    document: Document,
    market: Market,
    *,
    note: str,
    agreed: Callable[[], bool],
    console: Console,
) -> int | None:
    """Shows the difference to what is live and, when it is agreed to, applies it; the new version's number."""
    proposal = propose(await catalogue.newest(database), document, market)
    return await carry_out(database, proposal, note=note, agreed=agreed, console=console)


async def carry_out(
    database: Database, proposal: Proposal, *, note: str, agreed: Callable[[], bool], console: Console
) -> int | None:
    """Shows a proposal and, when it is agreed to, makes it; the version that is in force then, None where it is not.

    Raises CommandError where the market was changed while somebody made up his mind.
    """
    if not proposal.changes:
        console.print("Nothing to change: the market is as the file says.")
    show_changes(proposal.changes, console)
    for warning in proposal.warnings[:WARNINGS_SHOWN_MAX]:
        console.print(f"[yellow]warning:[/] {escape(str(warning))}", highlight=False)
    if len(proposal.warnings) > WARNINGS_SHOWN_MAX:
        console.print(f"... and {len(proposal.warnings) - WARNINGS_SHOWN_MAX} more warnings")
    if not proposal.changes:
        return proposal.base or None
    if not agreed():
        return None
    made = await make(database, proposal, note, who())
    if made is None:
        raise CommandError("the market was changed by somebody else just now: look at the difference again")
    return made


def who() -> str:
    """Who is at the command line, for the history."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "cli"


async def check_seller(database: Database, seller: str | None) -> None:
    """A key for a seller that the market does not have would never open anything: a typo, most likely."""
    if seller is None:
        return
    found = await catalogue.newest(database)
    known = sorted(found.document["sellers"]) if found else []
    if seller not in known:
        hint = f"it has {', '.join(known)}" if known else "apply a market file first"
        raise CommandError(f"there is no seller {seller} in the market; {hint}")


async def currency(database: Database) -> str:
    """The currency of the market in force. Raises CommandError where there is none."""
    found = await catalogue.newest(database)
    if found is None:
        raise CommandError("there is no market yet: apply a market file first")
    return str(found.document["currency"])


def show_changes(changes: Sequence[Change], console: Console) -> None:
    """Prints what changes, the first of it where it is much."""
    for change in changes[:CHANGES_SHOWN_MAX]:
        console.print(escape(str(change)), style=_STYLES[change.kind], highlight=False, soft_wrap=True)
    if len(changes) > CHANGES_SHOWN_MAX:
        console.print(f"... and {len(changes) - CHANGES_SHOWN_MAX} more changes")
