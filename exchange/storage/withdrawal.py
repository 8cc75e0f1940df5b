"""Withdrawal: takes a claim back whose commit was not confirmed, after its seller was told that nothing was stored."""

from collections.abc import Sequence

from exchange.storage import fingerprints, holds
from exchange.storage.database import Connection, Database
from exchange.storage.posts import NewPost, Plan


async def withdraw(database: Database, post: NewPost, plans: Sequence[Plan]) -> bool:
    """Leaves nothing of a post of which nothing has been sent; False where there is none, or another has taken it over.

    The offer can be posted again from then on, and the request's key is free. A claim that is on its way is waited
    for; one that Postgres has not begun with comes too late.
    """

    async def work(connection: Connection) -> bool:
        await connection.execute("select withdraw_claim($1)", post.post_id)
        if await connection.fetchval("select 1 from posts where post_id = $1 for update", post.post_id) is None:
            return False
        found = "select attempt_id, state, epoch from attempts where post_id = $1"
        attempts = await connection.fetch(found, post.post_id)
        if any((row["state"], row["epoch"]) != ("prepared", 1) for row in attempts):
            return False
        made = [plan for plan in plans if plan.attempt_id in {row["attempt_id"] for row in attempts}]
        await holds.lock(connection, post, made)
        for plan in made:
            await connection.execute("update attempts set state = 'not_sent' where attempt_id = $1", plan.attempt_id)
            await holds.release(connection, post, plan)
        await fingerprints.erase_fingerprints(connection, post.post_id)
        for table in ("attempts", "idempotency_keys", "posts"):
            await connection.execute(f"delete from {table} where post_id = $1", post.post_id)  # noqa: S608  # of these
        return True

    return await database.transact(work)
