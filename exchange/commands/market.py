"""`exchange apply`: what a market file would change, and then the change; and what other commands ask of a market."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from exchange.errors import CommandError, FileProblem, MarketFileError
from exchange.marketfile.difference import Change, ChangeKind, compare
from exchange.marketfile.reader import load, read
from exchange.marketfile.secrets import references
from exchange.marketfile.source import Document
from exchange.settings import secret_environment
from exchange.storage import catalogue
from exchange.storage.database import Database
from exchange.values.market import Market

CHANGES_SHOWN_MAX = 200

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
    live = await catalogue.newest(database)
    changes = compare(read(live.document) if live else None, market)
    _show(changes, console)
    for path, name in references(market):
        if name not in secret_environment():
            text = f"{path}: {name} is not set here; a gateway without it does not ask these orders"
            console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False)
    if not changes:
        return live.version if live else None
    return await catalogue.apply(database, document, market, note) if agreed() else None


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


def _show(changes: Sequence[Change], console: Console) -> None:
    if not changes:
        console.print("Nothing to change: the market is as the file says.")
    for change in changes[:CHANGES_SHOWN_MAX]:
        console.print(escape(str(change)), style=_STYLES[change.kind], highlight=False, soft_wrap=True)
    if len(changes) > CHANGES_SHOWN_MAX:
        console.print(f"... and {len(changes) - CHANGES_SHOWN_MAX} more changes")
