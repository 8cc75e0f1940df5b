"""What was recorded since some moment, read in one snapshot: for the demo's reconciliation and for people."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from exchange.storage.database import Connection, Database
from exchange.values.ids import day_of


@dataclass(frozen=True, slots=True)
class Recorded:
    """Rows of one snapshot, by table."""

    pings: list[asyncpg.Record]
    posts: list[asyncpg.Record]
    attempts: list[asyncpg.Record]
    transfers: list[asyncpg.Record]


async def recorded_since(database: Database, first: UUID, sellers_left_out: Collection[str]) -> Recorded:
    """Everything that belongs to pings not older than the UUIDv7 `first`, but for those of some sellers."""

    async def work(connection: Connection) -> Recorded:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return Recorded(
                pings=await connection.fetch(
                    "select ping_id, seller, status, reason, payout_micros from pings "
                    "where day >= $1 and ping_id >= $2 and seller <> all($3) order by ping_id",
                    day_of(first),
                    first,
                    list(sellers_left_out),
                ),
                posts=await connection.fetch(
                    "select post_id, ping_id, state from posts "
                    "where ping_id >= $1 and seller <> all($2) order by post_id",
                    first,
                    list(sellers_left_out),
                ),
                attempts=await connection.fetch(
                    "select a.attempt_id, a.post_id, a.ping_id, a.order_key, a.buyer, a.state, a.gross_micros, "
                    "a.payout_micros, case when a.exclusive then 0 else a.leg end as leg "
                    "from attempts a join posts p using (post_id) "
                    "where a.ping_id >= $1 and p.seller <> all($2) order by a.attempt_id",
                    first,
                    list(sellers_left_out),
                ),
                transfers=await connection.fetch(
                    "select t.attempt_id, t.kind, t.amount_micros, d.kind || ':' || d.owner as debit, "
                    "c.kind || ':' || c.owner as credit from transfers t join attempts a using (attempt_id) "
                    "join accounts d on d.account_id = t.debit_account "
                    "join accounts c on c.account_id = t.credit_account join posts p using (post_id) "
                    "where a.ping_id >= $1 and p.seller <> all($2) order by t.transfer_id",
                    first,
                    list(sellers_left_out),
                ),
            )

    return await database.run(work, timeout_s=60)


async def pings_of(database: Database, sellers: Collection[str], first: UUID) -> frozenset[str]:
    """The ids of some sellers' pings not older than the UUIDv7 `first`."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select ping_id from pings where day >= $1 and ping_id >= $2 and seller = any($3)",
            day_of(first),
            first,
            list(sellers),
        )
    )
    return frozenset(str(row["ping_id"]) for row in rows)
