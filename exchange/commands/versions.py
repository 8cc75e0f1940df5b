"""`exchange market`: the versions of the market, what lies between two of them, and the way back."""

import json
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exchange.commands.market import carry_out, show_changes
from exchange.errors import CommandError, MarketFileError
from exchange.marketfile.difference import ChangeKind, compare
from exchange.marketfile.masking import mask
from exchange.marketfile.reader import read
from exchange.marketfile.writing import as_yaml
from exchange.proposal import propose
from exchange.storage import catalogue
from exchange.storage.catalogue import Logged, MarketVersion
from exchange.storage.database import Database

COUNTED_LATER_MAX = 20
"""Versions in one listing whose changes are counted anew, because nobody kept their number."""

Counts = tuple[int, int, int] | None


async def log(database: Database, limit: int) -> list[tuple[Logged, Counts]]:
    """The newest versions, and how many entries and values each added, changed and removed, where that is known."""
    found = []
    counted = 0
    for item in await catalogue.log(database, limit):
        counts: Counts = None
        stamp = item.stamp
        if stamp.added is not None and stamp.changed is not None and stamp.removed is not None:
            counts = stamp.added, stamp.changed, stamp.removed
        elif counted < COUNTED_LATER_MAX:
            counted += 1
            counts = await _count(database, item.version)
        found.append((item, counts))
    return found


def log_table(found: list[tuple[Logged, Counts]]) -> Table:
    """The versions for a person, newest first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("version", "applied (UTC)", "added", "changed", "removed", "by", "note"):
        right = name in {"version", "added", "changed", "removed"}
        whole = name == "applied (UTC)"
        table.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=whole)
    for item, counts in found:
        numbers = ("?", "?", "?") if counts is None else tuple(map(str, counts))
        cells = str(item.version), f"{item.created_at:%Y-%m-%d %H:%M:%S}", *numbers, item.stamp.made_by, item.stamp.note
        table.add_row(*map(escape, cells))
    return table


async def diff(database: Database, before: int, after: int, console: Console) -> None:
    """Prints what leads from one version to another. Raises CommandError where one of them is not there."""
    old, new = await _version(database, before), await _version(database, after)
    changes = compare(read(old.document), read(new.document))
    if not changes:
        console.print(f"Versions {before} and {after} are the same.", highlight=False)
    show_changes(changes, console)


async def rollback(
    database: Database, number: int, *, note: str, agreed: Callable[[], bool], console: Console
) -> int | None:
    """Makes a new version that is as an old one was, when what it changes is agreed to; the new version's number.

    Raises CommandError where there is no such version.
    """
    old = await _version(database, number)
    proposal = propose(await catalogue.newest(database), old.document)
    return await carry_out(database, proposal, note=note or f"back to version {number}", agreed=agreed, console=console)


async def text_of(database: Database, number: int | None, *, as_json: bool) -> str:
    """A version (None: the one in force) as a market file, secrets covered. Raises CommandError without one."""
    found = await (catalogue.newest(database) if number is None else catalogue.version(database, number))
    if found is None:
        raise CommandError("there is no market yet" if number is None else f"there is no market version {number}")
    document = mask(found.document)
    if as_json:
        return json.dumps(document, ensure_ascii=False, indent=2)
    return as_yaml(document).rstrip("\n")


async def _version(database: Database, number: int) -> MarketVersion:
    found = await catalogue.version(database, number)
    if found is None:
        raise CommandError(f"there is no market version {number}")
    return found


async def _count(database: Database, number: int) -> Counts:
    """What a version changed against the one before; None where one of them cannot be read any more."""
    found, before = await catalogue.version(database, number), await catalogue.previous(database, number)
    if found is None:
        return None
    try:
        changes = compare(None if before is None else read(before.document), read(found.document))
    except MarketFileError:
        return None
    kinds = [change.kind for change in changes]
    return kinds.count(ChangeKind.ADDED), kinds.count(ChangeKind.CHANGED), kinds.count(ChangeKind.REMOVED)
