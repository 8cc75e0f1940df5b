"""The ping tree on the wire: tiers one after another within one deadline, and a ladder of those that were asked."""

import time
from typing import Any

import pytest
from support.buyer import REJECTS, Buyer, bids, silent, slow
from support.market import Document, market
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


def tree(given: dict[str, tuple[int, Buyer | str]], **campaign: Any) -> Document:
    """A market with a ping tree: the priority and the buyer of each order."""
    orders = {name: {"priority": priority} for name, (priority, _) in given.items()}
    return market({name: buyer for name, (_, buyer) in given.items()}, orders=orders, method="priority", **campaign)


async def test_the_next_tier_is_not_asked_where_the_first_has_a_buyer(shared_world: World) -> None:
    async with Buyer(bids("6.00")) as first, Buyer(bids("7.00")) as beside, Buyer(bids("99.00")) as second:
        await shared_world.apply(tree({"second": (2, second), "first": (1, first), "beside": (1, beside)}))
        offer = await shared_world.ping()
        assert offer["price"] == "5.95"
        assert await shared_world.reasons(offer["ping_id"]) == {"beside": 2, "first": 307, "second": 214}
        assert not second.pings


@pytest.mark.parametrize(("answer", "code"), [("4.99", 301), (None, 1), ("x", 303), ("300.00", 302)])
async def test_a_tier_without_a_bid_that_can_be_sold_is_passed(
    shared_world: World, answer: str | None, code: int
) -> None:
    async with Buyer(bids(answer)) as first, Buyer(bids("7.00")) as second, Buyer(bids("9.00")) as third:
        document = tree({"first": (1, first), "second": (2, second), "third": (3, third)})
        document["buyers"]["first"]["max_bid"] = "200.00"
        await shared_world.apply(document)
        offer = await shared_world.ping()
        assert offer["price"] == "5.95"
        assert await shared_world.reasons(offer["ping_id"]) == {"first": code, "second": 2, "third": 214}


async def test_the_seller_s_least_price_is_what_stops_the_tree(shared_world: World) -> None:
    async with Buyer(bids("6.00")) as first, Buyer(bids("10.00")) as second:
        await shared_world.apply(tree({"first": (1, first), "second": (2, second)}))
        offer = await shared_world.ping(min_price="8.00")
        assert offer["price"] == "8.50"
        assert await shared_world.reasons(offer["ping_id"]) == {"first": 307, "second": 2}
        unsold = await shared_world.ping(min_price="9.00")
        assert (unsold["status"], unsold["reason"]["code"]) == ("unsold", 408)


async def test_the_ladder_is_the_winner_and_then_the_tiers_that_were_asked(shared_world: World) -> None:
    async with (
        Buyer(bids("10.00"), REJECTS) as first,
        Buyer(bids("9.00"), REJECTS) as beside,
        Buyer(bids("99.00")) as second,
    ):
        await shared_world.apply(tree({"first": (1, first), "beside": (1, beside), "second": (2, second)}))
        post = await shared_world.post((await shared_world.ping())["ping_id"])
        assert (post["status"], post["reason"]["code"]) == ("rejected", 502)
        assert (len(first.posts), len(beside.posts), len(second.posts)) == (1, 1, 0)


async def test_a_silent_tier_leaves_the_next_its_share(shared_world: World) -> None:
    async with Buyer(silent) as first, Buyer(slow(0.1, {"bid": "7.00"})) as second:
        document = tree({"first": (1, first), "second": (2, second)}, ping_timeout_ms=1000)
        await shared_world.apply(document)
        started_s = time.monotonic()
        offer = await shared_world.ping()
        assert time.monotonic() - started_s < 1
        assert offer["price"] == "5.95"
        assert await shared_world.reasons(offer["ping_id"]) == {"first": 101, "second": 2}
        told = int(second.pings[0].headers["exchange-timeout-ms"])
        assert 350 <= told <= 500


async def test_a_share_of_the_time_may_be_set(shared_world: World) -> None:
    async with Buyer(silent) as first, Buyer(bids("7.00")) as second, Buyer(bids("8.00")) as third:
        document = tree(
            {"first": (1, first), "second": (2, second), "third": (3, third)},
            ping_timeout_ms=1000,
            tiers={"share": 20},
        )
        await shared_world.apply(document)
        offer = await shared_world.ping()
        assert offer["price"] == "5.95"
        assert 100 <= int(first.pings[0].headers["exchange-timeout-ms"]) <= 200
        assert await shared_world.reasons(offer["ping_id"]) == {"first": 101, "second": 2, "third": 214}


async def test_a_tier_of_a_fixed_price_asks_nobody(shared_world: World) -> None:
    async with Buyer(bids("99.00")) as second:
        document = tree({"fixed": (1, "http://127.0.0.1:9"), "second": (2, second)})
        document["orders"]["fixed"]["price"] = "12.00"
        await shared_world.apply(document)
        offer = await shared_world.ping()
        assert offer["price"] == "10.20"
        assert await shared_world.reasons(offer["ping_id"]) == {"fixed": 2, "second": 214}
        document["orders"] |= {"fixed": document["orders"]["fixed"] | {"price": "4.00"}}
        await shared_world.apply(document)
        assert (await shared_world.ping())["price"] == "84.15"
