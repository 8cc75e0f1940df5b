"""What was recorded since some moment, read in one snapshot: for the demo's reconciliation and for people."""

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


async def recorded_since(database: Database, first: UUID) -> Recorded:
    """Everything that belongs to pings not older than the UUIDv7 `first`."""

    async def work(connection: Connection) -> Recorded:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return Recorded(
                pings=await connection.fetch(
                    "select ping_id, seller, status, reason, payout_micros from pings "
                    "where day >= $1 and ping_id >= $2 order by ping_id",
                    day_of(first),
                    first,
                ),
                posts=await connection.fetch(
                    "select post_id, ping_id, state from posts where ping_id >= $1 order by post_id", first
                ),
                attempts=await connection.fetch(
                    "select attempt_id, post_id, ping_id, order_key, buyer, state, gross_micros, payout_micros "
                    "from attempts where ping_id >= $1 order by attempt_id",
                    first,
                ),
                transfers=await connection.fetch(
                    "select t.attempt_id, t.kind, t.amount_micros, d.kind || ':' || d.owner as debit, "
                    "c.kind || ':' || c.owner as credit from transfers t join attempts a using (attempt_id) "
                    "join accounts d on d.account_id = t.debit_account "
                    "join accounts c on c.account_id = t.credit_account "
                    "where a.ping_id >= $1 order by t.transfer_id",
                    first,
                ),
            )

    return await database.run(work, timeout_s=60)
