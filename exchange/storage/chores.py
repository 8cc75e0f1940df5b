"""What the database needs done from time to time, each safe to do twice and on any host."""

from exchange.storage.database import Database
from exchange.storage.migrate import PARTITION_DAYS_AHEAD

KEYS_KEPT_HOURS = 48
"""Idempotency keys are kept for at least a day (contract, section 1)."""

WITHDRAWALS_KEPT_HOURS = 24


async def make_partitions(database: Database) -> int:
    """Makes the partitions of the days ahead; returns how many were missing."""
    made: int = await database.run(
        lambda connection: connection.fetchval(
            "select make_ping_partitions((now() at time zone 'UTC')::date, $1)", PARTITION_DAYS_AHEAD
        )
    )
    return made


async def forget_old_keys(database: Database) -> int:
    """Forgets idempotency keys that are old enough; returns how many."""
    return await _forget(database, "idempotency_keys", KEYS_KEPT_HOURS)


async def forget_old_withdrawals(database: Database) -> int:
    """Forgets which claims were withdrawn, when none of them can still be on its way; returns how many."""
    return await _forget(database, "withdrawals", WITHDRAWALS_KEPT_HOURS)


async def _forget(database: Database, table: str, hours: int) -> int:
    query = f"delete from {table} where created_at < now() - make_interval(hours => $1)"  # noqa: S608  # of these
    done = await database.run(lambda connection: connection.execute(query, hours))
    return int(done.rpartition(" ")[2])
