"""Sub-caps, spacing, pace and share from end to end: never over, known at ping, explained, over several gateways."""

import asyncio
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from support.buyer import REJECTS, Buyer, bids
from support.market import Document, market
from support.shares import shared_market
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.past.explanation import Explanation
from exchange.past.recall import Past
from exchange.storage import counts

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = count(1)
ILLINOIS = {"name": "illinois", "when": {"state": ["IL"]}}


def limited(buyer: Buyer, *, name: str = "", **order: Any) -> tuple[str, Document]:
    """A market with one order of a new name, so that nothing is counted yet."""
    key = name or f"limited-{next(_numbers)}"
    return key, market({key: buyer}, orders={key: order})


async def sell(world: World, **ping: Any) -> Document:
    offer = await world.ping(**ping)
    assert offer["status"] == "offered", offer
    return await world.post(offer["ping_id"])


async def outcome(world: World, order: str, **ping: Any) -> tuple[int, str]:
    """The reason of an order at the next ping, and what is said of it besides."""
    ping_id = (await world.ping(**ping))["ping_id"]
    assert order in await world.reasons(ping_id)
    found = await Past(world.database).explain(UUID(ping_id))
    assert isinstance(found, Explanation)
    [story] = [story for story in found.orders if story.outcome.order == order]
    return int(story.outcome.reason), story.outcome.detail


async def assert_counted(world: World) -> None:
    await world.assert_sound()
    for name, query in counts.INVARIANTS.items():
        assert await world.rows(query) == [], name


async def in_force(world: World) -> None:
    async def ping() -> int:
        answer = await world.send("/v1/ping", {"campaign": "auto-us", "test": True, "lead": {"zip": "60601"}})
        return answer.status_code

    await until(ping, lambda status: status == 200)


@pytest.mark.parametrize(
    ("limits", "reason", "detail"),
    [
        ({"caps": {"day": 1, "month": 9}}, 203, "day"),
        ({"budget": {"week": "30.00"}}, 204, "week"),
        ({"sub_caps": [ILLINOIS | {"caps": {"month": 1}}]}, 203, "month of illinois"),
        ({"sub_caps": [ILLINOIS | {"budget": {"day": "21.00"}}], "caps": {"day": 9}}, 204, "day of illinois"),
        ({"spacing_s": 3600, "caps": {"total": 9}}, 203, "spacing"),
        ({"pacing": "even", "pacing_burst": 0, "caps": {"day": 2}}, 203, "pace of the day"),
        ({"pacing": "even", "pacing_burst": 0, "budget": {"day": "41.00"}}, 204, "pace of the day"),
        ({"share_cap": {"percent": "0.01", "of": "month"}}, 203, "share of the month"),
    ],
)
async def test_which_limit_it_is_that_keeps_an_order_out_is_told(
    shared_world: World, limits: Document, reason: int, detail: str
) -> None:
    async with Buyer(bids("21.00")) as buyer:
        key, document = limited(buyer, **limits)
        document["campaigns"]["auto-us"]["floor"] = "20.00"  # at a pace, so much is left only when the day is over
        await shared_world.apply(document)
        assert (await sell(shared_world))["status"] == "accepted"
        assert await outcome(shared_world, key) == (reason, detail)
        assert await outcome(shared_world, key, test=True) == (2, "")
        assert len(buyer.posts) == 1
    await assert_counted(shared_world)


async def test_a_bid_beyond_a_sub_budget_is_told_so(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        key, document = limited(buyer, sub_caps=[ILLINOIS | {"budget": {"day": "20.00"}}])
        await shared_world.apply(document)
        assert await outcome(shared_world, key) == (204, "day of illinois")
        assert (await sell(shared_world, lead={"zip": "53202"}))["status"] == "accepted"
    await assert_counted(shared_world)


async def test_leads_that_a_sub_cap_is_not_for_are_sold_on(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        key, document = limited(buyer, caps={"day": 4}, sub_caps=[ILLINOIS | {"caps": {"day": 1}}])
        await shared_world.apply(document)
        assert (await sell(shared_world))["status"] == "accepted"
        assert (await outcome(shared_world, key))[0] == 203
        for _ in range(3):
            assert (await sell(shared_world, lead={"zip": "53202"}))["status"] == "accepted"
        assert await outcome(shared_world, key, lead={"zip": "53202"}) == (203, "day")
    await assert_counted(shared_world)


async def test_offers_near_a_sub_cap_are_no_more_than_can_be_served(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        _, document = limited(buyer, sub_caps=[ILLINOIS | {"caps": {"day": 2}}])
        await shared_world.apply(document)
        answers = await asyncio.gather(*(shared_world.ping() for _ in range(20)))
        offers = [answer for answer in answers if answer["status"] == "offered"]
        assert len(offers) == 2
        posts = await asyncio.gather(*(shared_world.post(offer["ping_id"]) for offer in offers))
        assert [post["status"] for post in posts] == ["accepted"] * 2
    await assert_counted(shared_world)


async def test_an_order_with_a_spacing_is_offered_one_lead_at_a_time(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as buyer:
        key, document = limited(buyer, spacing_s=3600)
        await shared_world.apply(document)
        answers = await asyncio.gather(*(shared_world.ping() for _ in range(20)))
        [offer] = [answer for answer in answers if answer["status"] == "offered"]
        assert await outcome(shared_world, key) == (203, "spacing")
        assert (await shared_world.post(offer["ping_id"]))["status"] == "rejected"

        async def again() -> Document:
            return await shared_world.ping()

        offer = await until(again, lambda answer: answer["status"] == "offered")
        assert (await shared_world.post(offer["ping_id"]))["status"] == "rejected"
        assert len(buyer.posts) == 2
    await assert_counted(shared_world)


async def test_when_its_time_is_over_an_order_with_a_spacing_buys_again(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        _, document = limited(buyer, spacing_s=1)
        await shared_world.apply(document)
        assert (await sell(shared_world))["status"] == "accepted"

        async def again() -> Document:
            return await shared_world.ping()

        offer = await until(again, lambda answer: answer["status"] == "offered")
        assert (await shared_world.post(offer["ping_id"]))["status"] == "accepted"
        [apart] = await shared_world.rows(
            "select extract(epoch from max(created_at) - min(created_at)) as s from attempts where order_key = $1",
            next(iter(document["orders"])),
        )
        assert apart["s"] >= 1
    await assert_counted(shared_world)


async def test_each_leg_of_a_shared_lead_keeps_the_limits_of_its_order(shared_world: World) -> None:
    async with Buyer(bids("12.00")) as first, Buyer(bids("11.00")) as second, Buyer(bids("10.00")) as third:
        names = [f"shared-{next(_numbers)}" for _ in range(3)]
        document = shared_market(dict(zip(names, (first, second, third), strict=True)))
        await shared_world.apply(document)
        offers = [await shared_world.ping() for _ in range(3)]
        document["orders"][names[0]]["sub_caps"] = [ILLINOIS | {"caps": {"day": 1}}]
        document["orders"][names[1]]["spacing_s"] = 3600
        await shared_world.apply(document)
        posts = [await shared_world.post(offer["ping_id"]) for offer in offers]
        assert [len(buyer.posts) for buyer in (first, second, third)] == [1, 1, 2]
    assert [post["status"] for post in posts] == ["accepted"] * 3
    await assert_counted(shared_world)


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"sub_caps": [ILLINOIS | {"caps": {"day": 7}}]}, 7),
        ({"spacing_s": 3600}, 1),
        ({"share_cap": {"percent": 20, "of": "total"}}, 8),
    ],
    ids=["sub_caps", "spacing", "share_cap"],
)
async def test_two_gateways_and_a_valkey_that_forgets_never_exceed_it(
    services: Services, tmp_path: Path, limits: Document, most: int
) -> None:
    async with (
        Buyer(bids("21.00")) as buyer,
        open_world(services, tmp_path) as one,
        open_world(services, tmp_path) as two,
        Redis.from_url(services.valkey_url) as valkey,
    ):
        await one.apply(limited(buyer, name="both", **limits)[1])
        await in_force(two)

        async def work(world: World) -> list[str]:
            done = []
            for _ in range(5):
                offer = await world.ping()
                await asyncio.sleep(0.1)
                if offer["status"] == "offered":
                    done.append((await world.post(offer["ping_id"]))["status"])
            return done

        working = asyncio.gather(*(work(world) for world in (one, two) for _ in range(4)))
        while not working.done():
            await valkey.flushdb()
            await asyncio.sleep(0.05)
        done = [status for found in await working for status in found]
        assert 1 <= len(buyer.posts) == done.count("accepted") <= most
        await assert_counted(one)


@pytest.mark.asyncio(loop_scope="function")
async def test_what_filters_let_through_is_counted_over_all_gateways_and_kept_when_they_stop(
    services: Services, tmp_path: Path
) -> None:
    async with Buyer(bids("21.00")) as buyer, open_world(services, tmp_path) as one:
        _, document = limited(buyer, name="both", filter={"state": "IL"}, share_cap={"percent": 50, "of": "day"})
        await one.apply(document)
        async with open_world(services, tmp_path) as two:
            await in_force(two)
            for world in (one, two):
                for lead in ({"zip": "60601"}, {"zip": "60601"}, {"zip": "53202"}):
                    await world.ping(lead=lead)
                await world.ping(test=True)

        async def counted() -> int:
            rows = await one.rows("select order_key, leads from let_through")
            assert [row["order_key"] for row in rows] in ([], ["both"])
            return sum(row["leads"] for row in rows)

        assert await counted() >= 2
        assert await until(counted, lambda leads: leads == 4) == 4
