"""Accounts and transfers: holds, settlements and deposits, each a few statements inside a caller's transaction.

Every account's balance is its credits less its debits. A hold narrows what is available and moves nothing. The lock
order of a transaction is post or attempt, then the buyer's account, then the seller's; the exchange's own accounts
carry no running balance, so that sales do not queue for one row.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from exchange.storage.database import Connection, Database

_TRANSFER = """
insert into transfers (kind, debit_account, credit_account, amount_micros, attempt_id, note)
select $1, debit.account_id, credit.account_id, $6, $7, $8 from accounts debit, accounts credit
where (debit.kind, debit.owner, debit.currency) = ($2, $3, $9)
  and (credit.kind, credit.owner, credit.currency) = ($4, $5, $9)
returning transfer_id"""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one sale moves: gross = payout + margin."""

    buyer: str
    seller: str
    currency: str
    gross_micros: int
    payout_micros: int

    @property
    def margin_micros(self) -> int:
        return self.gross_micros - self.payout_micros


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


async def lock_buyers(connection: Connection, buyers: Iterable[str], currency: str) -> None:
    """Locks buyers' accounts in one order for everybody, where a transaction is to change more than one of them."""
    await connection.execute(
        "select from accounts where kind = 'buyer' and owner = any($1) and currency = $2 order by owner for update",
        list(buyers),
        currency,
    )


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
    """Turns a hold into a sale: charge, payout and margin, balanced through the clearing account."""
    currency = amounts.currency
    await connection.execute(
        "update accounts set held_micros = held_micros - $3, balance_micros = balance_micros - $3 "
        "where (kind, owner, currency) = ('buyer', $1, $2)",
        amounts.buyer,
        currency,
        amounts.gross_micros,
    )
    await connection.execute(
        "update accounts set balance_micros = balance_micros + $3 where (kind, owner, currency) = ('seller', $1, $2)",
        amounts.seller,
        currency,
        amounts.payout_micros,
    )
    parts = (
        ("charge", "buyer", amounts.buyer, "exchange", "clearing", amounts.gross_micros),
        ("payout", "exchange", "clearing", "seller", amounts.seller, amounts.payout_micros),
        ("margin", "exchange", "clearing", "exchange", "margin", amounts.margin_micros),
    )
    for part in parts:
        if part[-1]:
            await _transfer(connection, *part, attempt_id, "", currency)


async def deposit(database: Database, buyer: str, currency: str, amount_micros: int, note: str) -> Standing:
    """Credits a buyer with money that arrived; returns his standing. Raises LookupError for an unknown buyer."""

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
        await _transfer(connection, "deposit", "exchange", "bank", "buyer", buyer, amount_micros, None, note, currency)
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


async def _transfer(
    connection: Connection,
    kind: str,
    debit_kind: str,
    debit_owner: str,
    credit_kind: str,
    credit_owner: str,
    amount_micros: int,
    attempt_id: UUID | None,
    note: str,
    currency: str,
) -> None:
    made = await connection.fetchval(
        _TRANSFER, kind, debit_kind, debit_owner, credit_kind, credit_owner, amount_micros, attempt_id, note, currency
    )
    if made is None:
        raise LookupError(f"no account for {debit_kind} {debit_owner} or {credit_kind} {credit_owner}")
