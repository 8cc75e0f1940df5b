"""Idempotency keys: a seller's name for one request on one path, kept with the first answer."""

from dataclasses import dataclass
from uuid import UUID

from exchange.storage.database import Connection, Database
from exchange.storage.rows import row

LEASE_S = 120.0
"""How long a request may be under way before its key counts as abandoned."""

KEY_WIDTH = 5
_TAKE = f"select take_key($1, {row('request_key', 3, KEY_WIDTH)}, $2)"


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Who names which request how; `body_sha256` tells a repeat from another request under the same name.

    `is_taken` since before there was a post: by a request that is a ping first.
    """

    seller: str
    path: str
    key: str
    body_sha256: bytes
    is_taken: bool = False


@dataclass(frozen=True, slots=True)
class KeyState:
    """What a key stands for already: another body, an answer, or a request that is still running."""

    same_body: bool
    answer: bytes | None
    post_id: UUID | None


async def take(connection: Connection, request: RequestKey, post_id: UUID | None) -> KeyState | None:
    """Takes the key for this request, within the caller's transaction; None where it was free or abandoned.

    One that was taken before there was a post is only told which post answers for it.
    """
    taken = await connection.fetchval(_TAKE, request.seller, post_id, *key_row(request))
    return None if taken else await _state(connection, request)


def key_row(request: RequestKey | None) -> tuple[object, ...]:
    """The columns of the type `request_key`, all of them null where there is no key."""
    if request is None:
        return (None,) * KEY_WIDTH
    return request.path, request.key, request.body_sha256, LEASE_S, request.is_taken


async def look_up(database: Database, request: RequestKey) -> KeyState | None:
    """What the key stands for, or None where it is free: as it mostly is, and then there is nothing to be told."""
    if await database.look(lambda connection: _state(connection, request)) is None:
        return None
    return await database.run(lambda connection: _state(connection, request))


async def answer(connection: Connection, request: RequestKey, content: bytes) -> None:
    """Keeps the answer of a request that made no post."""
    await connection.execute(
        "update idempotency_keys set answer = $4 where (seller, path, key) = ($1, $2, $3)",
        request.seller,
        request.path,
        request.key,
        content,
    )


async def give_up(connection: Connection, request: RequestKey) -> None:
    """Frees a key whose request stored nothing."""
    await connection.execute(
        "delete from idempotency_keys where (seller, path, key) = ($1, $2, $3) and answer is null and post_id is null",
        request.seller,
        request.path,
        request.key,
    )


async def _state(connection: Connection, request: RequestKey) -> KeyState | None:
    row = await connection.fetchrow(
        "select k.body_sha256, coalesce(k.answer, p.answer) as answer, k.post_id from idempotency_keys k "
        "left join posts p using (post_id) where (k.seller, k.path, k.key) = ($1, $2, $3)",
        request.seller,
        request.path,
        request.key,
    )
    if row is None:
        return None
    return KeyState(row["body_sha256"] == request.body_sha256, row["answer"], row["post_id"])
