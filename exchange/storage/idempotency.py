"""Idempotency keys: a seller's name for one request on one path, kept with the first answer."""

from dataclasses import dataclass
from uuid import UUID

from exchange.storage.database import Connection, Database

LEASE_S = 120.0
"""How long a request may be under way before its key counts as abandoned."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Who names which request how; `body_sha256` tells a repeat from another request under the same name."""

    seller: str
    path: str
    key: str
    body_sha256: bytes


@dataclass(frozen=True, slots=True)
class KeyState:
    """What a key stands for already: another body, an answer, or a request that is still running."""

    same_body: bool
    answer: bytes | None
    post_id: UUID | None


async def take(connection: Connection, request: RequestKey, post_id: UUID | None) -> KeyState | None:
    """Takes the key for this request, within the caller's transaction; None where it was free or abandoned."""
    taken = await connection.fetchval(
        "insert into idempotency_keys as k (seller, path, key, body_sha256, post_id, lease_until) "
        "values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6)) "
        "on conflict (seller, path, key) do update set lease_until = excluded.lease_until, post_id = excluded.post_id "
        "where k.body_sha256 = excluded.body_sha256 and k.answer is null and k.post_id is null "
        "and k.lease_until < now() returning 1",
        request.seller,
        request.path,
        request.key,
        request.body_sha256,
        post_id,
        LEASE_S,
    )
    return None if taken else await _state(connection, request)


async def look_up(database: Database, request: RequestKey) -> KeyState | None:
    """What the key stands for, or None where it is free."""
    return await database.run(lambda connection: _state(connection, request))


async def bind(connection: Connection, request: RequestKey, post_id: UUID) -> None:
    """Says which post answers for a key that was taken before there was one."""
    await connection.execute(
        "update idempotency_keys set post_id = $4 where (seller, path, key) = ($1, $2, $3)",
        request.seller,
        request.path,
        request.key,
        post_id,
    )


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
