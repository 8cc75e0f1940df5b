"""`exchange attempts`, `returns`, `ledger`, `balance`, `erase`: what an operator does with what has been recorded."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exchange.errors import CommandError
from exchange.marketfile.reader import read
from exchange.storage import accounts, catalogue, doubts, returns
from exchange.storage.accounts import Line, Standing
from exchange.storage.database import Database
from exchange.storage.doubts import Listed
from exchange.storage.erasure import Erased, erase
from exchange.storage.returns import Sold, Taken
from exchange.storage.verdicts import How, Resolved, resolve, verdict_of
from exchange.values.bid import Accepted, Rejected
from exchange.values.money import AMOUNT_MICROS_MAX, format_amount
from exchange.values.reason import Reason

ATTEMPTS_LISTED_MAX = 1_000
TEXT_LENGTH_MAX = 500


async def unknown_attempts(database: Database) -> list[Listed]:
    """The attempts that are unknown, oldest first."""
    return await doubts.unknown(database, ATTEMPTS_LISTED_MAX)


def attempts_table(found: list[Listed]) -> Table:
    """The attempts for a person: how old each is, and what was last known of it."""
    table = _table(("attempt", "buyer", "order", "gross", "age", "asked", "detail"), right={"gross", "age", "asked"})
    now = datetime.now(UTC)
    for item in found:
        gross = "test" if item.test else format_amount(item.gross_micros)
        age = age_text(now - item.created_at)
        cells = str(item.attempt_id), item.buyer, item.order, gross, age, str(item.tries), item.detail
        table.add_row(*map(escape, cells))
    return table


def attempts_json(found: list[Listed]) -> str:
    """The attempts for a program."""
    return json.dumps(
        [
            {
                "attempt_id": str(item.attempt_id),
                "post_id": str(item.post_id),
                "buyer": item.buyer,
                "order": item.order,
                "gross": format_amount(item.gross_micros),
                "currency": item.currency,
                "test": item.test,
                "made_at": item.created_at.isoformat(),
                "asked": item.tries,
                "detail": item.detail,
            }
            for item in found
        ]
    )


async def resolve_attempt(database: Database, attempt_id: UUID, *, accepted: bool, note: str) -> Resolved:
    """Settles an attempt by what the operator knows. Raises CommandError where it is not to be settled."""
    word = Accepted() if accepted else Rejected(Reason.REJECTED_BY_BUYER)
    verdict = verdict_of(word, How.OPERATOR, _text(note, "the note"))
    found = await resolve(database, attempt_id, verdict, epoch=None)
    if not isinstance(found, Resolved):
        raise CommandError(f"attempt {attempt_id} was left as it is: {found.why}")
    return found


def resolved_line(found: Resolved) -> str:
    """What a verdict has changed, in one line."""
    gross, payout = format_amount(found.plan.gross_micros), format_amount(found.post.payout_micros)
    money = f"{found.plan.buyer} {gross}, {found.post.seller} {payout} {found.post.currency}"
    return (
        f"{found.before} -> {found.verdict.state}: {'a test' if found.post.test else money}; post {found.post.post_id}"
    )


async def return_sale(database: Database, post_id: UUID, reason: str, note: str, leg: int | None = None) -> list[Taken]:
    """Returns the sale of a post: of a shared one every leg that was not returned before, or one leg.

    Raises CommandError where there is none, or the campaign does not allow it; then nothing is returned.
    """
    reason, note = _text(reason, "the reason"), _text(note, "the note")
    if not reason:
        raise CommandError("a return needs a reason")
    sales = [sold for sold in await returns.sales_of(database, post_id) if leg in {None, sold.leg}]
    if not sales:
        raise CommandError(f"post {post_id} has no sale{'' if leg is None else f' in leg {leg}'}")
    sales = [sold for sold in sales if sold.returned_at is None] or sales
    window_days = await _window_days(database, sales[0])
    for sold in sales:
        if trouble := returns.trouble_with(sold, window_days):
            raise CommandError(f"post {post_id} cannot be returned: {trouble}")
    taken = [await returns.take_back(database, sold.attempt_id, reason, note) for sold in sales]
    done = [item for item in taken if item is not None]
    if not done:
        raise CommandError(f"post {post_id} was returned or corrected just now")
    return done


async def _window_days(database: Database, sold: Sold) -> int:
    """The window of the campaign as it was when the post came."""
    found = await catalogue.version(database, sold.market_version)
    if found is None:
        raise CommandError(f"market version {sold.market_version} is not there")
    return read(found.document).campaigns[sold.campaign].returns_window_days


async def deposit(database: Database, buyer: str, currency: str, amount_micros: int, note: str) -> Standing:
    """Credits a buyer with money that arrived. Raises CommandError for an unknown buyer, or too much."""
    note = _text(note, "the note")
    try:
        return await accounts.deposit(database, buyer, currency, amount_micros, note)
    except LookupError:
        raise CommandError(f"there is no buyer {buyer}") from None
    except OverflowError:
        most = format_amount(AMOUNT_MICROS_MAX)
        raise CommandError(f"{buyer} would have more than {most}, the most that a balance can be") from None


async def account_lines(database: Database, kind: str, owner: str, limit: int) -> list[Line]:
    """The newest lines of an account. Raises CommandError where there is none."""
    if not await accounts.is_known(database, kind, owner):
        raise CommandError(f"there is no account of {kind} {owner}")
    return await accounts.lines(database, kind, owner, limit)


def lines_table(found: list[Line]) -> Table:
    """An account's lines, newest first."""
    table = _table(("line", "time", "kind", "amount", "attempt", "note"), right={"line", "amount"})
    table.columns[1].min_width = len("2026-01-31")  # if it must be broken, then behind the day
    for item in found:
        attempt = "" if item.attempt_id is None else str(item.attempt_id)
        cells = str(item.transfer_id), f"{item.created_at:%Y-%m-%d %H:%M:%S}", item.kind
        table.add_row(*map(escape, (*cells, format_amount(item.amount_micros), attempt, item.note)))
    return table


async def erase_lead(database: Database, identifier: UUID, console: Console) -> None:
    """Erases the lead of a post. Raises CommandError where that cannot be done."""
    found = await erase(database, identifier)
    if found is None:
        raise CommandError(f"there is no post {identifier}, and no post of such a ping")
    if not isinstance(found, Erased):
        raise CommandError(f"the lead of {identifier} is being delivered: try again in a minute")
    done = "was erased before" if found.before else "is erased: nobody can open it any more"
    console.print(f"The lead of post {found.post_id} {done}.", highlight=False, soft_wrap=True)


def standings_table(standings: list[Standing]) -> Table:
    """Buyers' accounts: what each has, and what of it he can spend."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("buyer", "balance", "held", "credit limit", "available", ""):
        table.add_column(name, justify="left" if name in {"buyer", ""} else "right")
    for item in standings:
        amounts = (item.balance_micros, item.held_micros, item.credit_limit_micros, item.available_micros)
        table.add_row(escape(item.owner), *map(format_amount, amounts), item.currency)
    return table


def _table(names: tuple[str, ...], *, right: set[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        whole = name == "attempt"  # an id is copied
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", no_wrap=whole)
    return table


def _text(text: str, what: str) -> str:
    if len(text) > TEXT_LENGTH_MAX or not text.isprintable():
        raise CommandError(f"{what} has at most {TEXT_LENGTH_MAX} printable characters")
    return text.strip()


def age_text(passed: timedelta) -> str:
    """How long something took, roughly."""
    minutes = int(passed.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours < 48 else f"{hours // 24}d {hours % 24}h"
