"""What was told of a post besides its first answer by its own gateway: marked, or kept where it was told first."""

from uuid import UUID

from exchange.storage.database import Database


async def mark(database: Database, post_id: UUID) -> bool:
    """Notes that a post's answer is told to a repeat, so that it is not taken back; False where there is none.

    A lead that waits needs no mark: it is there.
    """
    query = """
        with marked as (update posts set retold = true where post_id = $1 and not retold returning post_id)
        select exists (select from marked) or exists (select from posts where post_id = $1 and retold)
            or exists (select from queued_leads where post_id = $1)
    """
    found: bool = await database.run(lambda connection: connection.fetchval(query, post_id))
    return found


async def is_there(database: Database, post_id: UUID) -> bool:
    """Whether a post is there, or a lead that waits: what was seen a moment ago may have been taken back since."""
    query = (
        "select exists (select from posts where post_id = $1) or exists (select from queued_leads where post_id = $1)"
    )
    found: bool = await database.run(lambda connection: connection.fetchval(query, post_id))
    return found


async def keep(database: Database, post_id: UUID, told: bytes) -> None:
    """Keeps what the seller was told as the first answer, where another was stored while he was being told."""
    query = "update posts set answer = $2, retold = true where post_id = $1 and answer is distinct from $2"
    await database.run(lambda connection: connection.execute(query, post_id, told))
