"""Sellers' rates: who sends more is told when to come again, and nobody else notices."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from support.buyer import ACCEPTS, Buyer, bids
from support.market import CONTACT, LEAD, Document, market
from support.problems import problem
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.rules.rates import Buckets
from exchange.storage.rates import SharedRates
from exchange.values.brakes import Rate

OFFER = {"campaign": "auto-us", "lead": LEAD}
MANY = 30


@pytest.fixture
async def valkey(services: Services) -> AsyncIterator["Redis"]:
    """Valkey, without what an earlier test has left of these sellers."""
    async with Redis.from_url(services.valkey_url) as client:
        if old := await client.keys("exchange:rate:*"):
            await client.delete(*old)
        yield client


def limited(buyer: Buyer, **rate: int) -> Document:
    document = market({"only": buyer})
    document["sellers"]["acme"]["rate"] = rate
    return document


async def flood(world: World, path: str, document: Any, seller: str = "acme") -> list[int]:
    answers = await asyncio.gather(*(world.send(path, document, seller) for _ in range(MANY)))
    for answer in answers:
        if answer.status_code == 429:
            problem(answer, 429, "rate_limited")
            assert answer.headers["retry-after"] == "1"
    return sorted(answer.status_code for answer in answers)


async def test_who_sends_more_than_was_agreed_is_refused(services: Services, valkey: "Redis", tmp_path: Path) -> None:
    async with open_world(services, tmp_path) as world, Buyer(bids("21.00"), on_post=ACCEPTS) as buyer:
        await world.apply(limited(buyer, per_s=1, burst=3))
        offers = [await world.ping() for _ in range(2)]
        statuses = await flood(world, "/v1/ping", OFFER)
        assert statuses[0] == 200
        assert statuses[-1] == 429
        assert await flood(world, "/v1/ping", OFFER, "other") == [200] * MANY
        for offer in offers:  # posts have a bucket of their own
            assert (await world.post(offer["ping_id"]))["status"] == "accepted"
        assert (await world.get(f"/v1/pings/{offers[0]['ping_id']}")).status_code == 200
        assert await valkey.exists("exchange:rate:acme")


@pytest.mark.usefixtures("valkey")
async def test_the_body_says_what_is_wrong(services: Services, tmp_path: Path) -> None:
    async with open_world(services, tmp_path) as world, Buyer(bids("21.00")) as buyer:
        await world.apply(limited(buyer, per_s=1, burst=1))
        answers = await asyncio.gather(*(world.send("/v1/ping", OFFER) for _ in range(MANY)))
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json() == {
            "type": "about:blank",
            "title": "Too many requests",
            "status": 429,
            "code": "rate_limited",
            "detail": "You send more requests than were agreed.",
        }
        sent = refused.headers
        assert (sent["content-type"], sent["retry-after"]) == ("application/problem+json", "1")
        assert sent["content-length"] == str(len(refused.content))


@pytest.mark.usefixtures("valkey")
async def test_whole_leads_and_repeated_posts_count_too(services: Services, tmp_path: Path) -> None:
    async with open_world(services, tmp_path) as world, Buyer(bids("21.00"), on_post=ACCEPTS) as buyer:
        await world.apply(limited(buyer, per_s=1, burst=1))
        offer = await world.ping()
        assert 429 in await flood(world, "/v1/leads", {"campaign": "auto-us", "lead": {}})
        assert 429 in await flood(world, "/v1/post", {"ping_id": offer["ping_id"], "lead": CONTACT})


async def test_the_key_comes_before_the_rate(services: Services, valkey: "Redis", tmp_path: Path) -> None:
    usual = {"seller_rate_per_s": 1, "seller_rate_burst": 1}
    async with open_world(services, tmp_path, **usual) as world, Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        world.keys["strange"] = "lx_abcdefghijkl_abcdefghijklmnopqrstuvwxyz123456"
        world.keys["odd"] = "no key at all"
        assert await flood(world, "/v1/ping", OFFER, "strange") == [401] * MANY
        assert await flood(world, "/v1/ping", OFFER, "odd") == [401] * MANY
        await asyncio.sleep(0.3)
        assert await valkey.keys("exchange:rate:*") == []


@pytest.mark.usefixtures("valkey")
async def test_sellers_without_a_rate_have_the_usual_one(services: Services, tmp_path: Path) -> None:
    usual = {"seller_rate_per_s": 1, "seller_rate_burst": 1}
    async with open_world(services, tmp_path, **usual) as world, Buyer(bids("21.00")) as buyer:
        await world.apply(limited(buyer, per_s=1_000, burst=1_000))
        assert await flood(world, "/v1/ping", OFFER) == [200] * MANY
        assert 429 in await flood(world, "/v1/ping", OFFER, "other")


async def test_a_rate_holds_once_over_all_gateways(services: Services, valkey: "Redis") -> None:
    rate = Rate(1, 50)
    one, other = Buckets(), Buckets()
    shared = [SharedRates(buckets, services.valkey_url) for buckets in (one, other)]
    for _ in range(50):
        assert one.take("acme", rate, 0.0) == 0
    assert other.take("acme", rate, 0.0) == 0
    for each in shared:
        await each.share()
    assert not one.taken
    assert not other.taken
    assert other.wait_s("acme", rate, 0.0) >= 1
    assert await valkey.ttl("exchange:rate:acme") <= 53
    for each in shared:
        await each.close()


async def test_nobody_is_shut_out_for_longer_than_a_burst_takes_to_fill(services: Services, valkey: "Redis") -> None:
    rate = Rate(1, 2)
    for _ in range(5):
        buckets = Buckets()
        shared = SharedRates(buckets, services.valkey_url)
        assert [buckets.take("acme", rate, 0.0) for _ in range(2)] == [0, 0]
        await shared.share()
        await shared.close()
    assert float(await valkey.hget("exchange:rate:acme", "tokens") or "") >= -2
