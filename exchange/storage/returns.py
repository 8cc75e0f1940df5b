"""Returns: a sale that the buyer disputed is credited to him and taken back from the seller, once, by new transfers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from exchange.rules.attempts import SOLD
from exchange.storage import accounts
from exchange.storage.database import Connection, Database
from exchange.storage.posts import ATTEMPT, plan_of, post_of
from exchange.storage.verdicts import amounts_of


@dataclass(frozen=True, slots=True)
class Sold:
    """The sale of a post, or of a leg of it. `returned_at` is when it was returned, if it was."""

    attempt_id: UUID
    leg: int
    campaign: str
    market_version: int
    test: bool
    sold_at: datetime
    returned_at: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """A return that was made: what the buyer got back, and what it took from the seller."""

    buyer: str
    seller: str
    currency: str
    gross_micros: int
    payout_micros: int


async def sales_of(database: Database, post_id: UUID) -> list[Sold]:
    """The sales of a post, leg by leg. A sale was made when its money moved."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select a.attempt_id, a.leg::integer, p.campaign, p.market_version, a.test, "
            "coalesce((select created_at from transfers t where t.attempt_id = a.attempt_id and t.kind = 'charge'), "
            "a.resolved_at) as sold_at, r.created_at as returned_at, now() as now "
            "from posts p join attempts a using (post_id) left join returns r using (attempt_id) "
            "where p.post_id = $1 and a.state = any ($2) order by a.leg",
            post_id,
            [state.value for state in SOLD],
        )
    )
    return [Sold(*row.values()) for row in rows]


def trouble_with(sold: Sold, window_days: int) -> str:
    """Why a sale cannot be returned, or nothing."""
    if sold.test:
        return "it was a test and moved no money"
    if sold.returned_at is not None:
        return f"it was returned already, at {sold.returned_at:%Y-%m-%d %H:%M:%S} UTC"
    if sold.now > sold.sold_at + timedelta(days=window_days):
        return f"it was sold at {sold.sold_at:%Y-%m-%d %H:%M} UTC, and may be returned for {window_days} days"
    return ""


async def take_back(database: Database, attempt_id: UUID, reason: str, note: str) -> Taken | None:
    """Returns a sale; None where it is none any more, or was returned meanwhile."""

    async def work(connection: Connection) -> Taken | None:
        row = await connection.fetchrow(
            f"select {ATTEMPT} from attempts a join posts p using (post_id) "  # noqa: S608  # a constant
            "where a.attempt_id = $1 and a.state = any ($2) and not a.test for update of a",
            attempt_id,
            [state.value for state in SOLD],
        )
        if row is None:
            return None
        amounts = amounts_of(post_of(row), plan_of(row))
        made = await connection.fetchval(
            "insert into returns (attempt_id, post_id, gross_micros, payout_micros, reason, note) "
            "values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning 1",
            attempt_id,
            row["post_id"],
            amounts.gross_micros,
            amounts.payout_micros,
            reason,
            note,
        )
        if made is None:
            return None
        await accounts.take_back(connection, attempt_id, amounts, reason)
        return Taken(amounts.buyer, amounts.seller, amounts.currency, amounts.gross_micros, amounts.payout_micros)

    return await database.transact(work)
