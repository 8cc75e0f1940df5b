"""`exchange backtest`: past pings under the rules of another market file, and what that would have changed."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exchange.commands.market import read_file
from exchange.errors import CommandError
from exchange.past.backtest import Backtest, Both, Sum, Tally
from exchange.past.recall import rules_of
from exchange.rules.book import RuleBook
from exchange.storage import pings
from exchange.storage.database import Database
from exchange.values.ids import first_of, moment_of
from exchange.values.money import format_amount

PAGE_ROWS = 1_000
ROWS_SHOWN_MAX = 30
DAYS_MAX = 3_650

NOTES = (
    "A ping that ends in an offer counts as sold; what was posted is counted apart.",
    "Whether a seller would have posted, and a buyer taken the lead, is not known.",
    "Who was not asked then, or for another sale, is unknown, and counts as no bid.",
    "Whom caps, budgets, balances or duplicates kept out then stays out.",
    "A buyer is taken to have bid the same, whatever floor he would have been told.",
    "Nobody is left out for a max_fanout, and turns are taken anew, from nothing.",
)

_SPAN = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Wish:
    """Which pings: from when on, of which campaign (None: all), how many at most."""

    since: datetime
    campaign: str | None
    pings_max: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was counted, from when to when; `is_whole` unless there are more pings than were wished for."""

    since: datetime
    until: datetime
    tally: Tally
    is_whole: bool


def started_at(since: str) -> datetime:
    """The moment that `7d`, `12h` or `30m` lead back to. Raises CommandError for another text."""
    match = _SPAN.fullmatch(since)
    if match is None or int(match[1]) * _UNITS[match[2]] > timedelta(days=DAYS_MAX):
        raise CommandError(f"--since is a time such as 7d, 12h or 30m, up to {DAYS_MAX}d, not {since}")
    return datetime.now(UTC) - int(match[1]) * _UNITS[match[2]]


def read_rules(path: Path, campaign: str | None) -> RuleBook:
    """The rules of a market file. Raises MarketFileError, and CommandError where it lacks the campaign."""
    _, market = read_file(path)
    if campaign is not None and campaign not in market.campaigns:
        raise CommandError(f"there is no campaign {campaign} in {path}")
    return rules_of(market, 0)


async def run(database: Database, rules: RuleBook, wish: Wish) -> Outcome:
    """Goes through the pings a page at a time."""
    backtest, until = Backtest(rules), datetime.now(UTC)
    after, before, left = first_of(wish.since), first_of(until), wish.pings_max
    while left > 0:
        found = await pings.page(database, after, before, wish.campaign, min(PAGE_ROWS, left))
        for ping in found:
            backtest.add(ping)
        left -= len(found)
        if not found:
            return Outcome(wish.since, until, backtest.tally, is_whole=True)
        after = found[-1].ping_id
    is_whole = not await pings.page(database, after, before, wish.campaign, 1)
    return Outcome(wish.since, until if is_whole else moment_of(after), backtest.tally, is_whole)


def as_json(found: Outcome) -> str:
    """The outcome for a program; amounts are decimal strings."""
    tally = found.tally
    document = {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "whole": found.is_whole,
        "pings": tally.pings,
        "refused": tally.refused,
        "outside": tally.outside,
        "unknown": tally.unknown,
        "pings_unknown": tally.pings_unknown,
        "all": _both(tally.all),
        "posted": _both(tally.posted),
        "buyers": {key: _buyer(item) for key, item in sorted(tally.buyers.items())},
        "sellers": {key: _both(item) for key, item in sorted(tally.sellers.items())},
        "notes": list(NOTES),
    }
    return json.dumps(document, ensure_ascii=False)


def show(found: Outcome, console: Console) -> None:
    """Prints the outcome: all, then who gains and who loses."""
    tally = found.tally
    span = f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC"
    _say(console, f"{tally.pings} pings, {span}")
    if tally.refused:
        _say(console, f"{tally.refused} of them were refused before any auction.")
    if not found.is_whole:
        _say(console, "There are more: raise --limit to take them in.")
    if tally.outside:
        _say(
            console,
            f"{tally.outside} have a campaign or seller that the new market does not take: they count as unsold.",
        )
    console.print(_sums(tally))
    for title, parts, is_seller in (("buyers", tally.buyers, False), ("sellers", tally.sellers, True)):
        if parts:
            console.print(_parts(title, parts, is_seller=is_seller))
        if len(parts) > ROWS_SHOWN_MAX:
            _say(console, f"... and {len(parts) - ROWS_SHOWN_MAX} more {title}; --json has all")
    unknown, on = tally.unknown, tally.pings_unknown
    _say(console, f"\nunknown: {unknown} orders would be asked what they were not then, on {on} pings")
    for note in NOTES:
        console.print(f"[dim]{escape(note)}[/]", highlight=False)


def _sums(tally: Tally) -> Table:
    """All auctions, and those whose leads were posted."""
    table = _table("", "old", "new", "change")
    for title, both, of in (("sold", tally.all, tally.pings), ("posted then", tally.posted, 0)):
        table.add_row(title, str(both.old.sold), str(both.new.sold), f"{both.new.sold - both.old.sold:+}")
        if of:
            table.add_row("  share", *(f"{100 * part.sold / of:.2f} %" for part in (both.old, both.new)), "")
        for name in ("gross", "payout", "margin"):
            old, new = (getattr(part, f"{name}_micros") for part in (both.old, both.new))
            table.add_row(f"  {name}", format_amount(old), format_amount(new), _change(old, new))
    return table


def _parts(title: str, parts: dict[str, Both], *, is_seller: bool) -> Table:
    """Buyers by what they pay, or sellers by what they are promised; the largest changes first."""
    table = _table(title, "sold", "now", "payout" if is_seller else "gross", "now", "change")
    rows = []
    for key, both in parts.items():
        old, new = (part.payout_micros if is_seller else part.gross_micros for part in (both.old, both.new))
        rows.append((-abs(new - old), key, both, old, new))
    for _, key, both, old, new in sorted(rows, key=lambda row: row[:2])[:ROWS_SHOWN_MAX]:
        counts = str(both.old.sold), str(both.new.sold)
        table.add_row(escape(key), *counts, format_amount(old), format_amount(new), _change(old, new))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right")
    return table


def _change(old: int, new: int) -> str:
    return ("+" if new >= old else "") + format_amount(new - old)


def _both(both: Both) -> dict[str, Any]:
    return {"old": _sum(both.old), "new": _sum(both.new)}


def _buyer(both: Both) -> dict[str, Any]:
    """What a buyer pays; how it is divided is no matter of his."""
    parts = (("old", both.old), ("new", both.new))
    return {name: {"sold": part.sold, "gross": format_amount(part.gross_micros)} for name, part in parts}


def _sum(found: Sum) -> dict[str, Any]:
    return {
        "sold": found.sold,
        "gross": format_amount(found.gross_micros),
        "payout": format_amount(found.payout_micros),
        "margin": format_amount(found.margin_micros),
    }


def _say(console: Console, text: str) -> None:
    console.print(escape(text), highlight=False)
