"""Caps and budgets from end to end: never over, known at ping a moment later, and exact whatever Valkey forgets."""

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from support.buyer import REJECTS, Buyer, bids, says
from support.market import CONTACT, Document, market
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.storage import counts, hints

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = count(1)


def capped(buyer: Buyer, *, name: str = "", seller: Document | None = None, **order: Any) -> Document:
    """A market with one order of a new name, so that nothing is counted yet."""
    key = name or f"order-{next(_numbers)}"
    document = market({key: buyer}, orders={key: order})
    document["sellers"]["acme"] |= seller or {}
    return document


def order_of(document: Document) -> str:
    return str(next(iter(document["orders"])))


async def in_force(world: World) -> None:
    """Waits until a second gateway has the market, too."""

    async def ping() -> int:
        answer = await world.send("/v1/ping", {"campaign": "auto-us", "test": True, "lead": {"zip": "60601"}})
        return answer.status_code

    await until(ping, lambda status: status == 200)


async def sell(world: World, **ping: Any) -> Document:
    offer = await world.ping(**ping)
    assert offer["status"] == "offered", offer
    return await world.post(offer["ping_id"])


async def reason_at_ping(world: World, order: str) -> int:
    return (await world.reasons((await world.ping())["ping_id"]))[order]


async def assert_counted(world: World) -> None:
    await world.assert_sound()
    for name, query in counts.INVARIANTS.items():
        assert await world.rows(query) == [], name


@pytest.mark.parametrize("period", ["hour", "day", "week", "month", "total"])
async def test_a_full_cap_is_203_at_ping(shared_world: World, period: str) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = capped(buyer, caps={period: 2})
        await shared_world.apply(document)
        for _ in range(2):
            assert (await sell(shared_world))["status"] == "accepted"
        assert await reason_at_ping(shared_world, order_of(document)) == 203
        assert len(buyer.posts) == 2
        asked = len(buyer.pings)
        answer = await shared_world.ping()
        assert (answer["status"], answer["reason"]["code"]) == ("unsold", 406)
        assert len(buyer.pings) == asked
    await assert_counted(shared_world)


@pytest.mark.parametrize(("budget", "sales", "code"), [("42.00", 2, 204), ("45.00", 2, 204), ("50.00", 2, 204)])
async def test_a_spent_budget_is_204_at_ping(shared_world: World, budget: str, sales: int, code: int) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = capped(buyer, budget={"day": budget})
        await shared_world.apply(document)
        for _ in range(sales):
            assert (await sell(shared_world))["status"] == "accepted"
        assert await reason_at_ping(shared_world, order_of(document)) == code
        buyer.on_ping = bids("7.50")
        left = float(budget) - 42
        assert (await shared_world.ping())["status"] == ("offered" if left >= 7.5 else "unsold")
    await assert_counted(shared_world)


@pytest.mark.parametrize("whose", ["seller", "campaign"])
async def test_a_full_cap_of_seller_or_campaign_refuses_the_ping(shared_world: World, whose: str) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = capped(buyer)
        before = await shared_world.rows("select count(*) from attempts where is_live(state) and not test")
        where = document["sellers"]["acme"] if whose == "seller" else document["campaigns"]["auto-us"]
        where["caps"] = {"total": before[0]["count"] + 2}
        await shared_world.apply(document)
        posts = [await sell(shared_world) for _ in range(1 + (whose == "campaign"))]
        if whose == "seller":
            sold = await shared_world.rows(
                "select count(*) from attempts join posts p using (post_id) "
                "where is_live(attempts.state) and not p.test and p.seller = 'acme'"
            )
            where["caps"] = {"total": sold[0]["count"]}
            await shared_world.apply(document)
        assert {post["status"] for post in posts} == {"accepted"}

        async def ping() -> Document:
            return await shared_world.ping()

        refused = await until(ping, lambda answer: answer["status"] == "refused")
        assert refused["reason"]["code"] == 404
        assert (await shared_world.ping(test=True))["status"] == "offered"
        other = await shared_world.ping(seller="other")
        assert other["status"] == ("offered" if whose == "seller" else "refused")
        lead = await shared_world.send("/v1/leads", {"campaign": "auto-us", "lead": {"zip": "60601"} | CONTACT})
        assert (lead.json()["status"], lead.json()["reason"]["code"]) == ("rejected", 404)

        async def state() -> Document:
            return (await shared_world.get(f"/v1/pings/{refused['ping_id']}")).json()  # type: ignore[no-any-return]

        found = await until(state, lambda found: found["status"] != 404)
        assert (found["status"], found["reason"]["code"]) == ("refused", 404)
    await assert_counted(shared_world)


async def test_an_offer_that_a_cap_overtook_goes_down_the_ladder(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        names = f"order-{next(_numbers)}", f"order-{next(_numbers)}"
        document = market(dict(zip(names, (first, second), strict=True)))
        await shared_world.apply(document)
        offers = [await shared_world.ping() for _ in range(3)]
        document["orders"][names[0]]["caps"] = {"day": 1}
        await shared_world.apply(document)
        posts = [await shared_world.post(offer["ping_id"]) for offer in offers]
        assert (len(first.posts), len(second.posts)) == (1, 2)
    assert [(post["status"], post["price"]) for post in posts] == [("accepted", "17.85")] * 3
    await assert_counted(shared_world)


async def test_an_offer_that_nothing_is_left_of_is_withdrawn(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = capped(buyer)
        await shared_world.apply(document)
        offers = [await shared_world.ping() for _ in range(2)]
        document["orders"][order_of(document)]["budget"] = {"week": "41.99"}
        await shared_world.apply(document)
        posts = [await shared_world.post(offer["ping_id"]) for offer in offers]
    assert [post["status"] for post in posts] == ["accepted", "rejected"]
    assert posts[1]["reason"]["code"] == 506


async def test_a_no_makes_room_again_and_an_unclear_answer_does_not(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as buyer:
        document = capped(buyer, caps={"day": 1}, budget={"day": "21.00"})
        await shared_world.apply(document)
        assert (await sell(shared_world))["status"] == "rejected"
        buyer.on_post = says({}, 500)

        async def ping() -> Document:
            return await shared_world.ping()

        offer = await until(ping, lambda answer: answer["status"] == "offered")
        assert (await shared_world.post(offer["ping_id"]))["status"] == "pending"
        assert await reason_at_ping(shared_world, order_of(document)) in {203, 204}
    await assert_counted(shared_world)


async def test_offers_near_a_cap_are_not_made_to_more_than_can_be_served(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(capped(buyer, caps={"day": 3}))
        answers = await asyncio.gather(*(shared_world.ping() for _ in range(30)))
        offers = [answer for answer in answers if answer["status"] == "offered"]
        assert len(offers) == 3
        posts = await asyncio.gather(*(shared_world.post(offer["ping_id"]) for offer in offers))
        assert [post["status"] for post in posts] == ["accepted"] * 3
    await assert_counted(shared_world)


async def test_a_test_lead_counts_against_nothing_and_is_limited_by_nothing(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = capped(buyer, caps={"day": 1}, budget={"hour": "21.00"})
        await shared_world.apply(document)
        for _ in range(3):
            assert (await sell(shared_world, test=True))["status"] == "accepted"
        assert (await sell(shared_world))["status"] == "accepted"
        assert (await sell(shared_world, test=True))["status"] == "accepted"
        assert await reason_at_ping(shared_world, order_of(document)) == 203
    await assert_counted(shared_world)


async def test_a_cap_that_is_raised_makes_room_and_one_that_is_lowered_takes_it(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = capped(buyer, caps={"day": 1})
        key = order_of(document)
        await shared_world.apply(document)
        assert (await sell(shared_world))["status"] == "accepted"
        assert await reason_at_ping(shared_world, key) == 203
        document["orders"][key]["caps"] = {"day": 3}
        await shared_world.apply(document)
        assert (await sell(shared_world))["status"] == "accepted"
        document["orders"][key]["caps"] = {"day": 2}
        await shared_world.apply(document)
        assert await reason_at_ping(shared_world, key) == 203
    await assert_counted(shared_world)


@pytest.mark.asyncio(loop_scope="function")
async def test_two_gateways_and_a_valkey_that_forgets_never_exceed_a_cap(services: Services, tmp_path: Path) -> None:
    async with (
        Buyer(bids("21.00")) as buyer,
        open_world(services, tmp_path) as one,
        open_world(services, tmp_path) as two,
        Redis.from_url(services.valkey_url) as valkey,
    ):
        await one.apply(capped(buyer, name="both", caps={"day": 15}))
        await in_force(two)

        async def work(world: World) -> list[str]:
            done = []
            for _ in range(10):
                offer = await world.ping()
                if offer["status"] == "offered":
                    done.append((await world.post(offer["ping_id"]))["status"])
            return done

        working = asyncio.gather(*(work(world) for world in (one, two) for _ in range(5)))
        while not working.done():
            await valkey.flushdb()
            await asyncio.sleep(0.05)
        done = [status for found in await working for status in found]
        assert len(buyer.posts) == done.count("accepted") <= 15
        assert done.count("rejected") <= 3
        await assert_counted(one)


@pytest.mark.asyncio(loop_scope="function")
async def test_another_gateway_knows_at_once(services: Services, tmp_path: Path) -> None:
    async with (
        Buyer(bids("21.00")) as buyer,
        open_world(services, tmp_path) as one,
        open_world(services, tmp_path) as two,
    ):
        version = await one.apply(capped(buyer, name="shared", caps={"day": 2}))
        assert version == 1
        await in_force(two)
        assert (await two.ping())["status"] == "offered"
        assert (await sell(one))["status"] == "accepted"
        await asyncio.sleep(1.2)  # the offer of the other gateway is told again
        assert (await one.ping())["status"] == "unsold"
        assert (await two.ping())["status"] == "unsold"


@pytest.mark.asyncio(loop_scope="function")
async def test_without_valkey_caps_are_exact_and_known_within_a_second(services: Services, tmp_path: Path) -> None:
    gone = Services(services.postgres_url, "redis://127.0.0.1:9/0")
    async with Buyer(bids("21.00")) as buyer, open_world(gone, tmp_path) as one, open_world(gone, tmp_path) as two:
        await one.apply(capped(buyer, name="alone", caps={"day": 2}))
        await in_force(two)
        for _ in range(2):
            assert (await sell(one))["status"] == "accepted"
        assert await reason_at_ping(one, "alone") == 203
        await until(two.ping, lambda answer: answer["status"] == "unsold")
        await assert_counted(one)


async def test_what_was_sold_without_a_limit_is_known_as_soon_as_there_is_one_again(
    shared_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "REFRESH_EVERY_S", 3_600.0)  # the next look after the one that may be under way
    async with Buyer(bids("21.00")) as buyer:
        limited = capped(buyer, caps={"total": 9})
        name = order_of(limited)
        await shared_world.apply(limited)
        assert (await sell(shared_world))["status"] == "accepted"
        await shared_world.apply(capped(buyer, name=name))
        await asyncio.sleep(1.0)  # that look is over by now
        for _ in range(2):
            assert (await sell(shared_world))["status"] == "accepted"
        await shared_world.apply(capped(buyer, name=name, caps={"total": 3}))
        await asyncio.sleep(1.0)  # one ping is to show it: open offers of several would fill the cap, too
        assert await reason_at_ping(shared_world, name) == 203
