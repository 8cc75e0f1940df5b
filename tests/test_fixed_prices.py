"""Orders with a fixed price: nobody is asked, and everything else is as with a bid."""

import json
from typing import Any

import pytest
from support.buyer import REJECTS, Buyer, bids
from support.market import Document, market
from support.waiting import until
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


def priced(buyers: dict[str, Buyer | str], prices: dict[str, str], **campaign: Any) -> Document:
    """A market in which some orders have fixed prices, and their buyers nothing to ask them at."""
    document = market(buyers, orders={name: {"price": price} for name, price in prices.items()}, **campaign)
    for name in prices:
        del document["buyers"][name]["endpoint"]["ping_url"]
    return document


async def outcomes(world: World, ping_id: str) -> dict[str, list[Any]]:
    await world.reasons(ping_id)
    [row] = await world.rows("select trace->'orders' as orders from pings where ping_id = $1", ping_id)
    return {order: rest for order, _, *rest in json.loads(row["orders"])}


async def test_a_lead_is_sold_at_a_fixed_price_without_asking_anybody(shared_world: World) -> None:
    async with Buyer(bids("99.00")) as buyer:
        await shared_world.apply(priced({"fixed": buyer}, {"fixed": "12.00"}))
        offer = await shared_world.ping()
        assert (offer["status"], offer["price"]) == ("offered", "10.20")
        assert (await outcomes(shared_world, offer["ping_id"]))["fixed"][:4] == [2, 12_000_000, None, None]
        post = await shared_world.post(offer["ping_id"])
        assert (post["status"], post["price"]) == ("accepted", "10.20")
        assert not buyer.pings
        assert buyer.posts[0].json["bid_id"] is None
        assert buyer.posts[0].json["price"] == "12.00"


@pytest.mark.parametrize(("bid", "winner", "price"), [("11.99", "fixed", "10.20"), ("12.01", "asked", "10.20")])
async def test_a_fixed_price_and_a_bid_compete(shared_world: World, bid: str, winner: str, price: str) -> None:
    async with Buyer(bids(bid)) as asked, Buyer(bids("99.00")) as fixed:
        await shared_world.apply(priced({"asked": asked, "fixed": fixed}, {"fixed": "12.00"}))
        offer = await shared_world.ping()
        assert offer["price"] == price
        loser = {"asked": "fixed", "fixed": "asked"}[winner]
        assert await shared_world.reasons(offer["ping_id"]) == {winner: 2, loser: 307}
        assert (len(asked.pings), len(fixed.pings)) == (1, 0)


async def test_a_fixed_price_is_a_rung_below_a_bid_and_above_one(shared_world: World) -> None:
    async with Buyer(bids("13.00"), REJECTS) as asked, Buyer(bids("0")) as fixed:
        await shared_world.apply(priced({"asked": asked, "fixed": fixed}, {"fixed": "12.00"}))
        post = await shared_world.post((await shared_world.ping())["ping_id"])
        assert (post["status"], post["price"]) == ("accepted", "11.05")
        assert fixed.posts[0].json["price"] == "12.00"


@pytest.mark.parametrize(
    ("buyer", "order", "ping", "code"),
    [
        ({}, {"price": "4.99"}, {}, 301),
        ({"max_bid": "11.99"}, {}, {}, 302),
        ({"credit_limit": "11.99"}, {}, {}, 205),
        ({}, {"budget": {"day": "11.99"}}, {}, 204),
        ({}, {"caps": {"day": 0}}, {}, 203),
        ({}, {"paused": True}, {}, 206),
        ({}, {}, {"min_price": "10.21"}, 408),
    ],
)
async def test_a_fixed_price_is_limited_as_a_bid_is(
    shared_world: World, buyer: Document, order: Document, ping: Document, code: int
) -> None:
    document = priced({"fixed": "http://127.0.0.1:9"}, {"fixed": "12.00"})
    document["buyers"]["fixed"] |= buyer
    document["orders"]["fixed"] |= order
    await shared_world.apply(document)

    async def reasons() -> dict[str, int]:
        return await shared_world.reasons((await shared_world.ping(**ping))["ping_id"])

    await until(reasons, lambda found: found == {"fixed": code})  # a credit limit is heard of a moment later


async def test_nobody_took_part_and_nobody_was_good_enough_are_told_apart(shared_world: World) -> None:
    document = priced({"fixed": "http://127.0.0.1:9"}, {"fixed": "4.00"})
    await shared_world.apply(document)
    assert (await shared_world.ping())["reason"]["code"] == 407
    document["orders"]["fixed"]["paused"] = True
    await shared_world.apply(document)
    assert (await shared_world.ping())["reason"]["code"] == 406


async def test_the_first_rule_that_holds_is_the_price(shared_world: World) -> None:
    document = priced({"fixed": "http://127.0.0.1:9"}, {"fixed": "12.00"}, margin={"percent": 0})
    document["orders"]["fixed"]["prices"] = [
        {"when": {"credit": ["good"], "age": {"min": 40}}, "price": "14.00"},
        {"when": {"age": {"min": 40}}, "price": "13.00"},
    ]
    await shared_world.apply(document)
    for lead, price in [
        ({"credit": "good", "age": 41}, "14.00"),
        ({"credit": "poor", "age": 41}, "13.00"),
        ({"credit": "good", "age": 39}, "12.00"),
        ({}, "12.00"),
    ]:
        assert (await shared_world.ping({"zip": "60601"} | lead))["price"] == price


async def test_a_seller_without_time_for_bids_still_sells_at_a_fixed_price(shared_world: World) -> None:
    async with Buyer(bids("99.00")) as asked:
        await shared_world.apply(priced({"asked": asked, "fixed": "http://127.0.0.1:9"}, {"fixed": "12.00"}))
        offer = await shared_world.ping(timeout_ms=50)
        assert offer["status"] == "offered"
