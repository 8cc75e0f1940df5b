"""Recovery of posts whose gateway died: an attempt past its lease may have been delivered, so it is unknown."""

from collections.abc import Callable, Sequence
from uuid import UUID

import asyncpg

from exchange.storage import standing
from exchange.storage.database import Connection, Database
from exchange.storage.posts import PENDING, PostState, Result
from exchange.values.reason import Reason

BATCH = 100

RenderPending = Callable[[UUID, UUID, Sequence[str], Result, str], bytes]
"""Makes the seller's answer from a post's id, its ping's, the fields that were sent with another value, what the post
has come to, and its currency."""


async def give_up_expired(database: Database, render: RenderPending) -> int:
    """Moves prepared attempts past their lease to unknown, and their posts to pending; returns how many.

    The attempt's epoch rises, so that a gateway that was only frozen cannot conclude it any more. A shared post of
    which another leg is within its lease goes on.
    """

    async def work(connection: Connection) -> int:
        expired = await connection.fetch(
            "select a.attempt_id, a.post_id, a.ping_id, p.changed_fields, p.currency, p.legs "
            "from attempts a join posts p using (post_id) "
            "where a.state = 'prepared' and a.lease_until < now() "
            "order by a.lease_until limit $1 for update of a skip locked",
            BATCH,
        )
        for row in expired:
            await connection.execute(
                "update attempts set state = 'unknown', reason = $2, detail = 'the gateway was lost', "
                "epoch = epoch + 1 where attempt_id = $1",
                row["attempt_id"],
                int(Reason.UNKNOWN),
            )
        for row in sorted(expired, key=lambda row: row["post_id"].bytes):  # two workers may have legs of one post
            await _let_wait(connection, row, render)
        return len(expired)

    return await database.transact(work)


async def _let_wait(connection: Connection, row: asyncpg.Record, render: RenderPending) -> None:
    """Makes a post pending, and answers it, unless a leg of it is still under way."""
    result = PENDING
    if row["legs"]:
        result = await standing.let_stand(connection, row["post_id"], row["legs"])
    if result.state is PostState.IN_PROGRESS:
        return
    await connection.execute(
        "update posts set state = 'pending', reason = $2, answer = coalesce(answer, $3) where post_id = $1",
        row["post_id"],
        int(Reason.UNKNOWN),
        render(row["post_id"], row["ping_id"], row["changed_fields"], result, row["currency"]),
    )
