"""Accounts and transfers: holds, sales, returns and deposits, each a few statements inside a caller's transaction.

Every account's balance is its credits less its debits. A hold narrows what is available and moves nothing. Only buyers'
accounts carry their balance, which decides whether they may buy; all others would only be rows that sales queue for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from exchange.ledger.transfers import BANK, Account, Transfer, corrected, net, returned, sale
from exchange.ledger.transfers import Amounts as Amounts  # noqa: PLC0414  # holds take them from here
from exchange.storage.database import Connection, Database
from exchange.values.money import AMOUNT_MICROS_MAX

_TRANSFERS = """
insert into transfers (kind, debit_account, credit_account, amount_micros, attempt_id, note)
select part.kind, debit.account_id, credit.account_id, part.amount_micros, $7, $8
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) with ordinality
  as part (kind, debit_kind, debit_owner, credit_kind, credit_owner, amount_micros, number)
join accounts debit on (debit.kind, debit.owner, debit.currency) = (part.debit_kind, part.debit_owner, $9)
join accounts credit on (credit.kind, credit.owner, credit.currency) = (part.credit_kind, part.credit_owner, $9)
order by part.number
returning transfer_id"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A buyer's account: available = balance - held + credit limit."""

    owner: str
    currency: str
    balance_micros: int
    held_micros: int
    credit_limit_micros: int

    @property
    def available_micros(self) -> int:
        return self.balance_micros - self.held_micros + self.credit_limit_micros


@dataclass(frozen=True, slots=True)
class Line:
    """One transfer as its account sees it: `amount_micros` is negative where the account was debited."""

    transfer_id: int
    kind: str
    amount_micros: int
    attempt_id: UUID | None
    note: str
    created_at: datetime


async def hold(connection: Connection, buyer: str, currency: str, amount_micros: int) -> bool:
    """Holds an amount of a buyer's available balance; False, and nothing held, where it does not suffice."""
    held = await connection.fetchval(
        "update accounts set held_micros = held_micros + $3 where (kind, owner, currency) = ('buyer', $1, $2) "
        "and balance_micros - held_micros + credit_limit_micros >= $3 returning account_id",
        buyer,
        currency,
        amount_micros,
    )
    return held is not None


async def release(connection: Connection, buyer: str, currency: str, amount_micros: int) -> None:
    """Gives a hold back."""
    await connection.execute(
        "update accounts set held_micros = held_micros - $3 where (kind, owner, currency) = ('buyer', $1, $2)",
        buyer,
        currency,
        amount_micros,
    )


async def settle(connection: Connection, attempt_id: UUID, amounts: Amounts) -> None:
    """Turns a hold into a sale."""
    await _move(connection, sale(amounts), amounts, attempt_id, held_micros=amounts.gross_micros)


def settling(amounts: Amounts) -> tuple[object, ...]:
    """What `move_money` is given to turn a hold into a sale, up to the attempt that it is of."""
    return _moving(sale(amounts), amounts, amounts.gross_micros)


async def charge(connection: Connection, attempt_id: UUID, amounts: Amounts) -> None:
    """Makes a sale of which nothing is held any more, whatever the buyer can still spend: he has the lead."""
    await _move(connection, sale(amounts), amounts, attempt_id)


async def refund(connection: Connection, attempt_id: UUID, amounts: Amounts, note: str) -> None:
    """Takes a sale back that was only presumed and was none."""
    await _move(connection, corrected(amounts), amounts, attempt_id, note)


async def take_back(connection: Connection, attempt_id: UUID, amounts: Amounts, note: str) -> None:
    """Takes a sale back that the buyer returned."""
    await _move(connection, returned(amounts), amounts, attempt_id, note)


async def deposit(database: Database, buyer: str, currency: str, amount_micros: int, note: str) -> Standing:
    """Credits a buyer with money that arrived; returns his standing.

    Raises LookupError for an unknown buyer, OverflowError where his balance would be no amount any more.
    """

    async def work(connection: Connection) -> Standing:
        row = await connection.fetchrow(
            "update accounts set balance_micros = balance_micros + $3 "
            "where (kind, owner, currency) = ('buyer', $1, $2) returning *",
            buyer,
            currency,
            amount_micros,
        )
        if row is None:
            raise LookupError(buyer)
        if row["balance_micros"] > AMOUNT_MICROS_MAX:
            raise OverflowError(buyer)
        arrived = Transfer("deposit", BANK, Account("buyer", buyer), amount_micros)
        await _record(connection, (arrived,), currency, None, note)
        return Standing(buyer, currency, row["balance_micros"], row["held_micros"], row["credit_limit_micros"])

    return await database.transact(work)


async def standings(database: Database) -> list[Standing]:
    """All buyers' accounts."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select owner, currency, balance_micros, held_micros, credit_limit_micros from accounts "
            "where kind = 'buyer' order by owner"
        )
    )
    return [Standing(*row.values()) for row in rows]


async def lines(database: Database, kind: str, owner: str, limit: int) -> list[Line]:
    """The newest transfers of an account, newest first."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select t.transfer_id, t.kind, "
            "case when t.credit_account = a.account_id then t.amount_micros else -t.amount_micros end, "
            "t.attempt_id, t.note, t.created_at from accounts a "
            "join transfers t on a.account_id in (t.debit_account, t.credit_account) "
            "where a.kind = $1 and a.owner = $2 order by t.transfer_id desc limit $3",
            kind,
            owner,
            limit,
        )
    )
    return [Line(*row.values()) for row in rows]


async def is_known(database: Database, kind: str, owner: str) -> bool:
    """Whether there is such an account."""
    found: bool = await database.run(
        lambda connection: connection.fetchval(
            "select exists (select from accounts where kind = $1 and owner = $2)", kind, owner
        )
    )
    return found


async def _move(
    connection: Connection,
    transfers: tuple[Transfer, ...],
    amounts: Amounts,
    attempt_id: UUID,
    note: str = "",
    *,
    held_micros: int = 0,
) -> None:
    """Records transfers, with the balance that the buyer carries; `held_micros` of it end with them."""
    made = await connection.fetchval(
        "select move_money($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        *_moving(transfers, amounts, held_micros),
        attempt_id,
        note,
    )
    _check_made(made, transfers, amounts.currency)


def _moving(transfers: tuple[Transfer, ...], amounts: Amounts, held_micros: int) -> tuple[object, ...]:
    moved = net(transfers)
    return (
        amounts.buyer,
        amounts.seller,
        amounts.currency,
        moved.get(Account("buyer", amounts.buyer), 0),
        moved.get(Account("seller", amounts.seller), 0),
        held_micros,
        *_columns(transfers),
    )


async def _record(
    connection: Connection, transfers: Sequence[Transfer], currency: str, attempt_id: UUID | None, note: str
) -> None:
    made = await connection.fetch(_TRANSFERS, *_columns(transfers), attempt_id, note, currency)
    _check_made(len(made), transfers, currency)


def _columns(transfers: Sequence[Transfer]) -> tuple[list[str] | list[int], ...]:
    return (
        [item.kind for item in transfers],
        [item.debit.kind for item in transfers],
        [item.debit.owner for item in transfers],
        [item.credit.kind for item in transfers],
        [item.credit.owner for item in transfers],
        [item.amount_micros for item in transfers],
    )


def _check_made(made: int, transfers: Sequence[Transfer], currency: str) -> None:
    if made != len(transfers):
        raise LookupError(f"an account in {currency} is missing for {', '.join(item.kind for item in transfers)}")
