"""Duplicates from end to end: one person is sold once in a window, found before the auction where he is known."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from support.buyer import REJECTS, Behaviour, Buyer, bids, says
from support.canary import CONTACT as CANARY
from support.canary import sightings
from support.market import Document, market
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.storage import counts
from exchange.storage.fingerprints import PARTS, erase_fingerprints, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = count(200)


def somebody() -> Document:
    """A person whom nobody has seen."""
    number = next(_numbers)
    return {"first_name": "Ann", "phone": f"312-555-{number:04d}", "email": f"ann-{number}@example.com"}


def hashes(contact: Document) -> dict[str, str]:
    digits = contact["phone"].replace("-", "")
    return {
        "phone": hashlib.sha256(f"+1{digits}".encode()).hexdigest(),
        "email": hashlib.sha256(contact["email"].encode()).hexdigest(),
    }


def watchful(buyers: dict[str, Buyer], *, days: int | None = 30, **buyer_days: int) -> Document:
    document = market(dict(buyers), **({"duplicates": {"window_days": days}} if days else {}))
    for name, window in buyer_days.items():
        document["buyers"][name]["duplicates"] = {"window_days": window}
    return document


async def sell(world: World, contact: Document, seller: str = "acme", **ping: Any) -> Document:
    offer = await world.ping(seller=seller, **ping)
    assert offer["status"] == "offered", offer
    return await world.post(offer["ping_id"], contact, seller)


def outcome(answer: Document) -> tuple[str, int | None]:
    return answer["status"], answer["reason"]["code"] if "reason" in answer else None


async def assert_counted(world: World) -> None:
    await world.assert_sound()
    for name, query in counts.INVARIANTS.items():
        assert await world.rows(query) == [], name


@pytest.mark.parametrize("field", ["phone", "email"])
async def test_a_person_is_sold_once_whichever_field_tells_him(shared_world: World, field: str) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(watchful({"only": buyer}))
        first = somebody()
        spelt_otherwise = {"phone": first["phone"].replace("-", "."), "email": first["email"].upper()}
        again = somebody() | {field: spelt_otherwise[field]}
        assert outcome(await sell(shared_world, first)) == ("accepted", None)
        assert outcome(await sell(shared_world, again, "other")) == ("rejected", 401)
        assert outcome(await sell(shared_world, somebody(), "other")) == ("accepted", None)
        assert len(buyer.posts) == 2
    await assert_counted(shared_world)


async def test_two_sellers_with_one_person_in_the_same_moment_sell_once(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(watchful({"only": buyer}))
        for _ in range(10):
            person, buyer.posts = somebody(), []
            offers = [(await shared_world.ping(seller=name), name) for name in ("acme", "other") * 2]
            posting = [shared_world.post(offer["ping_id"], person, name) for offer, name in offers]
            found = sorted(map(outcome, await asyncio.gather(*posting)))
            assert found == [("accepted", None), *[("rejected", 401)] * 3]
            assert len(buyer.posts) == 1
    await assert_counted(shared_world)


@pytest.mark.parametrize(
    ("on_post", "first", "again"),
    [(REJECTS, ("rejected", 502), "accepted"), (says({}, 500), ("pending", 505), "rejected")],
    ids=["clear no", "unknown"],
)
async def test_only_a_clear_no_frees_a_person(
    shared_world: World, on_post: Behaviour, first: tuple[str, int], again: str
) -> None:
    async with Buyer(bids("21.00"), on_post) as buyer:
        await shared_world.apply(watchful({"only": buyer}))
        person = somebody()
        assert outcome(await sell(shared_world, person)) == first
        buyer.on_post = says({"status": "accepted"})
        assert (await sell(shared_world, person))["status"] == again
    await assert_counted(shared_world)


async def test_hashes_find_a_duplicate_before_anybody_is_asked(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(watchful({"only": buyer}))
        person = somebody()
        assert (await shared_world.ping(identity_hashes=hashes(person)))["status"] == "offered"
        await sell(shared_world, person)
        asked = len(buyer.pings)

        async def ping() -> Document:
            return await shared_world.ping(seller="other", identity_hashes={"phone": hashes(person)["phone"].upper()})

        refused = await until(ping, lambda answer: answer["status"] == "refused")
        assert outcome(refused) == ("refused", 401)
        assert len(buyer.pings) == asked

        async def state() -> Document:
            return (await shared_world.get(f"/v1/pings/{refused['ping_id']}", "other")).json()  # type: ignore[no-any-return]

        assert outcome(await until(state, lambda found: found["status"] != 404)) == ("refused", 401)
        posted = await shared_world.send("/v1/post", {"ping_id": refused["ping_id"], "lead": person}, "other")
        assert (posted.status_code, posted.json()["code"]) == (409, "not_offered")
        lead = await shared_world.send("/v1/leads", {"campaign": "auto-us", "lead": {"zip": "60601"} | person})
        assert outcome(lead.json()) == ("rejected", 401)
        assert lead.json()["post_id"] is None
        assert (await shared_world.ping(identity_hashes=hashes(somebody())))["status"] == "offered"
        assert (await shared_world.ping(identity_hashes=hashes(person), test=True))["status"] == "offered"


async def test_a_buyer_who_has_a_person_is_not_asked_and_not_sent_him_again(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as picky, Buyer(bids("20.00")) as easy:
        await shared_world.apply(watchful({"picky": picky, "easy": easy}, days=None, picky=90))
        person = somebody()
        await sell(shared_world, person)
        await sell(shared_world, person)
        assert (len(picky.posts), len(easy.posts)) == (1, 1)

        async def reasons() -> dict[str, int]:
            offer = await shared_world.ping(identity_hashes=hashes(person))
            assert offer["status"] == "offered"
            return await shared_world.reasons(offer["ping_id"])

        await until(reasons, lambda found: found == {"picky": 211, "easy": 2})
    await assert_counted(shared_world)


async def test_without_windows_people_may_come_as_often_as_they_like(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(watchful({"only": buyer}, days=None))
        [before] = await shared_world.rows("select count(*) from fingerprints")
        person = somebody()
        for _ in range(2):
            assert (await sell(shared_world, person, identity_hashes=hashes(person)))["status"] == "accepted"
        assert await shared_world.rows("select count(*) from fingerprints") == [before]


async def test_a_test_lead_is_no_duplicate_and_makes_none(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(watchful({"only": buyer}, only=30))
        person = somebody()
        for is_test in (True, True, False, True):
            assert (await sell(shared_world, person, test=is_test))["status"] == "accepted"
        assert outcome(await sell(shared_world, person)) == ("rejected", 401)


async def test_a_person_who_is_erased_may_be_sold_again(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(watchful({"only": buyer}, only=30))
        person = somebody()
        post = await sell(shared_world, person)
        erased = await shared_world.database.transact(lambda held: erase_fingerprints(held, post["post_id"]))
        assert erased == 4
        assert (await sell(shared_world, person, identity_hashes=hashes(person)))["status"] == "accepted"


@asynccontextmanager
async def valkey_of(services: Services) -> AsyncIterator["Redis"]:
    async with Redis.from_url(services.valkey_url) as client:
        await client.flushdb()
        yield client


@pytest.mark.asyncio(loop_scope="function")
async def test_a_valkey_that_forgot_everybody_hides_nobody_and_is_filled_again(
    services: Services, tmp_path: Path
) -> None:
    async with (
        Buyer(bids("21.00")) as buyer,
        open_world(services, tmp_path) as world,
        valkey_of(services) as valkey,
    ):
        await world.apply(watchful({"only": buyer}))
        people = [somebody() for _ in range(5)]
        for person in people:
            await sell(world, person)
        await valkey.flushdb()
        assert [await refused(world, person) for person in people] == [True] * 5
        await until(lambda: valkey.exists(*map(whole, range(PARTS))), lambda found: found == PARTS)
        assert len([key async for key in valkey.scan_iter("exchange:person:*")]) == 10
        assert [await refused(world, person) for person in people] == [True] * 5
        assert not await refused(world, somebody())
        await assert_counted(world)


async def refused(world: World, person: Document) -> bool:
    return bool((await world.ping(identity_hashes=hashes(person)))["status"] == "refused")


@pytest.mark.asyncio(loop_scope="function")
async def test_without_valkey_people_are_found_all_the_same(services: Services, tmp_path: Path) -> None:
    gone = Services(services.postgres_url, "redis://127.0.0.1:9/0")
    async with Buyer(bids("21.00")) as buyer, open_world(gone, tmp_path) as world:
        await world.apply(watchful({"only": buyer}))
        person = somebody()
        await sell(world, person)
        assert await refused(world, person)
        assert outcome(await sell(world, person)) == ("rejected", 401)


@pytest.mark.asyncio(loop_scope="function")
async def test_neither_valkey_nor_a_plain_column_holds_a_person_or_his_hash(services: Services, tmp_path: Path) -> None:
    digests = {
        "phone": hashlib.sha256(b"+13125550177").hexdigest(),
        "email": hashlib.sha256(b"zanzi.canary@example.com").hexdigest(),
    }
    async with (
        Buyer(bids("21.00")) as buyer,
        open_world(services, tmp_path) as world,
        valkey_of(services) as valkey,
    ):
        await world.apply(watchful({"only": buyer}, only=30) | {})
        await world.ping(identity_hashes=digests)
        await sell(world, CANARY)
        await until(lambda: world.ping(identity_hashes=digests), lambda answer: answer["status"] == "refused")
        await until(lambda: valkey.exists(*map(whole, range(PARTS))), lambda found: found == PARTS)

        async def everything() -> list[tuple[str, bytes]]:
            return [(f"Valkey {key!r}", key) async for key in valkey.scan_iter()]

        in_valkey = await until(everything, lambda found: any(b"exchange:person:" in key for _, key in found))
        assert sightings(in_valkey) == []
        assert all(b"canary" not in sent.body.lower() for sent in buyer.pings)
        assert sightings(("ping", sent.body + repr(sent.headers).encode()) for sent in buyer.pings) == []
        assert sightings(await plain_columns(world)) == []


async def plain_columns(world: World) -> list[tuple[str, bytes | str]]:
    """Every row of every table as text and as bytes."""
    tables = await world.rows("select tablename from pg_tables where schemaname = 'public'")
    found: list[tuple[str, bytes | str]] = []
    for table in tables:
        rows: list[asyncpg.Record] = await world.rows(f"select * from {table['tablename']}")  # noqa: S608  # a catalogue
        for row in rows:
            found += [(table["tablename"], value if isinstance(value, bytes) else str(value)) for value in row.values()]
    return found
