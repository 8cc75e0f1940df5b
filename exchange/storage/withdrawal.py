"""Withdrawal: takes a claim back whose commit was not confirmed, after its seller was told that nothing was stored."""

from enum import StrEnum
from uuid import UUID

from exchange.storage import fingerprints, holds
from exchange.storage.database import Connection, Database
from exchange.storage.posts import ATTEMPT, plan_of, post_of


class Withdrawn(StrEnum):
    """What a withdrawal found. What `STANDS` has gone on since, or was told to somebody."""

    TAKEN_BACK = "taken_back"
    NOTHING = "nothing"
    STANDS = "stands"


_UNTOUCHED = {("prepared", 1, 0), ("unknown", 2, 0)}
"""State, epoch and tries of an attempt that nobody has seen to but its gateway, and perhaps who gave it up for lost."""


async def withdraw(database: Database, post_id: UUID) -> Withdrawn:
    """Leaves nothing of a post, or of a lead that was to wait, of which nothing has been sent.

    The offer can be posted again from then on, and the request's key is free. A claim that is on its way is waited
    for; one that Postgres has not begun with comes too late. May be repeated, by whomever.
    """
    return await database.transact(lambda connection: _withdraw(connection, post_id))


async def _withdraw(connection: Connection, post_id: UUID) -> Withdrawn:
    await connection.execute("select withdraw_claim($1)", post_id)
    retold = await connection.fetchval("select retold from posts where post_id = $1 for update", post_id)
    if retold is None:
        return await _withdraw_wait(connection, post_id)
    query = f"select {ATTEMPT} from attempts a join posts p using (post_id) where a.post_id = $1"  # noqa: S608  # a constant
    attempts = await connection.fetch(query, post_id)
    if retold or not {(row["state"], row["epoch"], row["tries"]) for row in attempts} <= _UNTOUCHED:
        return Withdrawn.STANDS
    await fingerprints.erase_fingerprints(connection, post_id)
    if attempts:
        post, plans = post_of(attempts[0]), [plan_of(row) for row in attempts]
        await holds.lock(connection, post, plans)
        for plan in plans:
            await connection.execute("update attempts set state = 'not_sent' where attempt_id = $1", plan.attempt_id)
            await holds.release(connection, post, plan)
    for table in ("attempts", "idempotency_keys", "posts"):
        await connection.execute(f"delete from {table} where post_id = $1", post_id)  # noqa: S608  # of these
    return Withdrawn.TAKEN_BACK


async def _withdraw_wait(connection: Connection, post_id: UUID) -> Withdrawn:
    deleted = await connection.execute("delete from queued_leads where post_id = $1 and state = 'waiting'", post_id)
    if deleted == "DELETE 0":
        return Withdrawn.NOTHING
    await connection.execute("delete from idempotency_keys where post_id = $1", post_id)
    return Withdrawn.TAKEN_BACK
