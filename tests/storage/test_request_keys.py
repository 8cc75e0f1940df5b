"""Idempotency keys in storage: one body each, one request at a time, and free again when that was abandoned."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from exchange.embedded.lease import Services
from exchange.storage import chores, idempotency
from exchange.storage.database import Database
from exchange.storage.idempotency import KeyState, RequestKey
from exchange.values.ids import uuid7

KEY = RequestKey("acme", "/v1/leads", "a-key", b"1" * 32)
OTHER_BODY = replace(KEY, body_sha256=b"2" * 32)


@pytest.fixture
async def database(shared_services: Services) -> AsyncIterator[Database]:
    opened = await Database.connect(shared_services.postgres_url, connections_max=2, timeout_s=10, name="keys")
    await opened.run(lambda connection: connection.execute("truncate idempotency_keys"))
    yield opened
    await opened.close()


async def take(database: Database, key: RequestKey) -> KeyState | None:
    return await database.transact(lambda connection: idempotency.take(connection, key, None))


async def change(database: Database, what: str) -> None:
    await database.run(lambda connection: connection.execute(f"update idempotency_keys set {what}"))  # noqa: S608


async def test_a_key_is_taken_once(database: Database) -> None:
    assert await idempotency.look_up(database, KEY) is None
    assert await take(database, KEY) is None
    assert await take(database, KEY) == KeyState(same_body=True, answer=None, post_id=None)
    assert await take(database, OTHER_BODY) == KeyState(same_body=False, answer=None, post_id=None)


async def test_seller_path_and_key_make_a_name(database: Database) -> None:
    for other in (KEY, replace(KEY, seller="other"), replace(KEY, path="/v1/post"), replace(KEY, key="another")):
        assert await take(database, other) is None


async def test_an_answer_stays_whatever_its_age(database: Database) -> None:
    await take(database, KEY)
    await database.run(lambda connection: idempotency.answer(connection, KEY, b"{}"))
    await change(database, "lease_until = now() - interval '1 s'")
    assert await take(database, KEY) == KeyState(same_body=True, answer=b"{}", post_id=None)


async def test_an_abandoned_key_is_free_for_the_same_body_only(database: Database) -> None:
    await take(database, KEY)
    await change(database, "lease_until = now() - interval '1 s'")
    assert await take(database, OTHER_BODY) == KeyState(same_body=False, answer=None, post_id=None)
    assert await take(database, KEY) is None
    assert await take(database, KEY) == KeyState(same_body=True, answer=None, post_id=None)


async def test_a_key_that_has_a_post_is_never_free_again(database: Database) -> None:
    post_id = uuid7()
    await take(database, KEY)
    bound = replace(KEY, is_taken=True)
    assert await database.run(lambda connection: idempotency.take(connection, bound, post_id)) is None
    await change(database, "lease_until = now() - interval '1 s'")
    assert await take(database, KEY) == KeyState(same_body=True, answer=None, post_id=post_id)
    await database.run(lambda connection: idempotency.give_up(connection, KEY))
    assert await idempotency.look_up(database, KEY) is not None


async def test_a_request_that_stored_nothing_gives_its_key_back(database: Database) -> None:
    await take(database, KEY)
    await database.run(lambda connection: idempotency.give_up(connection, KEY))
    assert await take(database, OTHER_BODY) is None


@pytest.mark.parametrize(("age", "is_kept"), [("24 hours", True), ("72 hours", False)])
async def test_keys_are_kept_for_a_day_at_least_and_not_for_ever(database: Database, age: str, is_kept: bool) -> None:
    await take(database, KEY)
    await change(database, f"created_at = now() - interval '{age}'")
    assert await chores.forget_old_keys(database) == (0 if is_kept else 1)
    assert (await idempotency.look_up(database, KEY) is not None) == is_kept
