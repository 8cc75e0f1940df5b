"""Erasure: a lead's key and fingerprints are destroyed, so that nobody can open it or tell whose it was.

What buyers have said of it goes with them: their numbers for it, where they sent its person, their names of bids.
"""

from dataclasses import dataclass
from uuid import UUID

from exchange.storage import outbox, pings, queue
from exchange.storage.database import Connection, Database
from exchange.storage.fingerprints import erase_fingerprints
from exchange.storage.posts import PostState

_REDIRECT = r'"redirect_url":"(\\.|[^"\\])*"'
"""An address as it stands in an answer."""


@dataclass(frozen=True, slots=True)
class Erased:
    """A post whose lead is gone. `before` says that it was gone already."""

    post_id: UUID
    before: bool


async def erase(database: Database, identifier: UUID) -> Erased | PostState | None:
    """Erases the lead of a post, named by its own id or its ping's; the post, its attempts and its money stay.

    A post that is being delivered is left alone, and its state returned; None where there is no such post. A lead that
    waits for a buyer waits no more.
    """

    async def work(connection: Connection) -> Erased | PostState | None:
        for waited in await queue.end_anyhow(connection, [identifier], queue.ERASED, erased=True):
            await _forget_bid_ids(connection, waited)
            return Erased(waited, before=False)
        row = await connection.fetchrow(
            "select post_id, state, erased_at from posts where post_id = $1 or ping_id = $1 for update", identifier
        )
        if row is None:
            return await _waited_before(connection, identifier)
        if row["state"] == PostState.IN_PROGRESS:
            return PostState.IN_PROGRESS
        await connection.execute(
            "update posts set lead_key = null, lead_sealed = null, lead_fingerprint = '', "
            "erased_at = coalesce(erased_at, now()) where post_id = $1",
            row["post_id"],
        )
        await erase_fingerprints(connection, row["post_id"])
        await outbox.bury_erased(connection, row["post_id"])
        await _forget_texts(connection, row["post_id"])
        await _forget_bid_ids(connection, row["post_id"])
        return Erased(row["post_id"], row["erased_at"] is not None)

    return await database.transact(work)


async def _forget_texts(connection: Connection, post_id: UUID) -> None:
    """Forgets what buyers have said to a post. The name of a bid is needed to ask after an attempt that is unknown."""
    await connection.execute(
        "update attempts set reference = null, redirect_url = null, detail = '', "
        "bid_id = case when state = 'unknown' then bid_id end where post_id = $1",
        post_id,
    )
    await connection.execute(
        "update resolutions set note = '' where how in ('late_answer', 'resend', 'status') "
        "and attempt_id in (select attempt_id from attempts where post_id = $1)",
        post_id,
    )
    await connection.execute(
        "update posts set answer = convert_to(regexp_replace(convert_from(answer, 'UTF8'), $2, "
        """'"redirect_url":null', 'g'), 'UTF8') where post_id = $1""",
        post_id,
        _REDIRECT,
    )


async def _forget_bid_ids(connection: Connection, post_id: UUID) -> None:
    """Forgets the names of bids for all pings of a lead, and it may have had several while it waited."""
    rows = await connection.fetch(
        "select ping_id from posts where post_id = $1 union select ping_id from queued_leads where post_id = $1 "
        "union select ping_id from queue_runs where post_id = $1",
        post_id,
    )
    for row in rows:
        await pings.forget_bid_ids(connection, UUID(int=row["ping_id"].int))


async def _waited_before(connection: Connection, identifier: UUID) -> Erased | None:
    """A lead that waited and was not sold: it was destroyed when its wait ended."""
    found = await connection.fetchval(
        "select post_id from queued_leads where (post_id = $1 or ping_id = $1) and state = 'ended'", identifier
    )
    return None if found is None else Erased(found, before=True)
