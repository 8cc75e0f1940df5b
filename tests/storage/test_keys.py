"""API keys: shown once, kept as a hash, believed for a moment, and ended for good."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from support.waiting import until

from exchange.embedded.lease import Services
from exchange.storage import keys
from exchange.storage.database import Database
from exchange.storage.keys import KeyHolder, KeyRing


@pytest.fixture
async def database(shared_services: Services) -> AsyncIterator[Database]:
    opened = await Database.connect(shared_services.postgres_url, connections_max=2, timeout_s=10, name="keys")
    await opened.run(lambda connection: connection.execute("truncate api_keys"))
    yield opened
    await opened.close()


def key_id(key: str) -> str:
    return key.split("_")[1]


async def test_a_key_speaks_for_its_seller_and_an_operators_for_none(database: Database) -> None:
    seller = await keys.create(database, role="seller", seller="acme")
    operator = await keys.create(database, role="operator", seller=None)
    ring = KeyRing(database)
    assert await ring.holder(seller) == KeyHolder(key_id(seller), "seller", "acme")
    assert await ring.holder(operator) == KeyHolder(key_id(operator), "operator", None)


async def test_the_database_does_not_know_the_secret(database: Database) -> None:
    key = await keys.create(database, role="seller", seller="acme")
    secret = key.split("_")[2]
    rows = await database.run(lambda connection: connection.fetch("select k::text as text from api_keys k"))
    assert not any(secret in row["text"] or secret.encode().hex() in row["text"] for row in rows)


async def test_keys_are_never_the_same(database: Database) -> None:
    made = await asyncio.gather(*(keys.create(database, role="operator", seller=None) for _ in range(20)))
    assert len({key_id(key) for key in made}) == len({key.split("_")[2] for key in made}) == 20


async def test_what_only_looks_like_a_key_speaks_for_nobody(database: Database) -> None:
    key = await keys.create(database, role="seller", seller="acme")
    prefix, public, secret = key.split("_")
    ring = KeyRing(database)
    for other in (
        "",
        public,
        f"{prefix}_{public}",
        f"{prefix}_{public}_{secret[:-1]}",
        f"{prefix}_{public}_{secret}x",
        f"{prefix}_{public}_{secret.swapcase()}",
        f"{prefix}_{public}_{'A' * 32}",
        f"{prefix}_{'A' * 12}_{secret}",
        f"xx_{public}_{secret}",
        f"{key}\n",
        f"{prefix}_{public}_{'é' * 32}",
    ):
        assert await ring.holder(other) is None, other
    assert await ring.holder(key) is not None


async def test_a_revoked_key_ends_in_every_ring_within_five_seconds(database: Database) -> None:
    key = await keys.create(database, role="seller", seller="acme")
    used, unused = KeyRing(database), KeyRing(database)
    assert await used.holder(key) is not None
    assert await keys.revoke(database, key_id(key))
    assert await unused.holder(key) is None
    await until(lambda: used.holder(key), lambda found: found is None, within_s=5)


async def test_a_key_can_be_revoked_once_by_either_name(database: Database) -> None:
    one = await keys.create(database, role="seller", seller="acme")
    other = await keys.create(database, role="seller", seller="acme")
    assert await keys.revoke(database, one)
    assert await keys.revoke(database, key_id(other))
    assert not await keys.revoke(database, one)
    assert not await keys.revoke(database, "nonsense")


async def test_all_keys_are_listed_revoked_ones_included(database: Database) -> None:
    one = await keys.create(database, role="seller", seller="acme")
    other = await keys.create(database, role="operator", seller=None)
    await keys.revoke(database, one)
    found = await keys.list_all(database)
    assert [(item.key_id, item.role, item.seller, item.revoked_at is None) for item in found] == [
        (key_id(one), "seller", "acme", False),
        (key_id(other), "operator", None, True),
    ]


@pytest.mark.parametrize(("role", "seller"), [("seller", None), ("operator", "acme"), ("king", None)])
async def test_a_key_of_no_known_role_cannot_be_made(database: Database, role: str, seller: str | None) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await keys.create(database, role=role, seller=seller)


async def test_a_ring_believes_what_it_found_without_asking_again(database: Database) -> None:
    key = await keys.create(database, role="seller", seller="acme")
    ring = KeyRing(database)
    assert await ring.holder(key) is not None
    await database.run(lambda connection: connection.execute("truncate api_keys"))
    assert await ring.holder(key) is not None
