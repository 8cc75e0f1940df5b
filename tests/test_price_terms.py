"""Price terms on the wire: whose floor counts and which is told, what a winner pays, and what a boost changes."""

from typing import Any

import pytest
from support.buyer import REJECTS, Buyer, bids
from support.market import Document, market
from support.waiting import until
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def two(world: World, high: str, low: str, changes: Document | None = None, **campaign: Any) -> Document:
    """What is offered where two buyers bid; `reasons` has the codes of both, `told` their floors."""
    async with Buyer(bids(high)) as first, Buyer(bids(low)) as second:
        document = market({"high": first, "low": second}, **campaign)
        for path, value in (changes or {}).items():
            section, name, key = path.split("/")
            document[section][name][key] = value
        await world.apply(document)
        answer = await world.ping()
        told = {name: buyer.pings[0].json["floor"] for name, buyer in (("high", first), ("low", second))}
        return answer | {"reasons": await world.reasons(answer["ping_id"]), "told": told}


async def test_the_higher_floor_counts_and_the_seller_s_is_not_told(shared_world: World) -> None:
    found = await two(shared_world, "6.50", "6.49", {"sellers/acme/floor": "6.50"})
    assert found["reasons"] == {"high": 2, "low": 301}
    assert found["told"] == {"high": "5.00", "low": "5.00"}
    found = await two(shared_world, "5.00", "4.99", {"sellers/acme/floor": "4.00"})
    assert found["reasons"] == {"high": 2, "low": 301}


@pytest.mark.parametrize("path", ["sellers/acme/payout_floor", "campaigns/auto-us/payout_floor"])
async def test_a_bid_that_leaves_the_seller_too_little_is_below_the_floor(shared_world: World, path: str) -> None:
    found = await two(shared_world, "10.00", "9.99", {path: "8.50"})
    assert (found["price"], found["reasons"]) == ("8.50", {"high": 2, "low": 301})
    found = await two(shared_world, "9.99", "9.00", {path: "8.50"})
    assert (found["status"], found["reason"]["code"]) == ("unsold", 407)


async def test_a_floor_for_some_leads_is_told_to_those_who_may_see_why(shared_world: World) -> None:
    floors = [{"when": {"credit": ["good"]}, "floor": "8.00"}]
    hidden = {"orders/low/fields": ["zip", "age"]}
    found = await two(shared_world, "8.00", "7.99", hidden, floors=floors)
    assert found["reasons"] == {"high": 2, "low": 301}
    assert found["told"] == {"high": "8.00", "low": "5.00"}
    other = [{"when": {"credit": ["poor"]}, "floor": "8.00"}]
    found = await two(shared_world, "8.00", "7.99", hidden, floors=other)
    assert found["reasons"] == {"high": 2, "low": 307}
    assert found["told"] == {"high": "5.00", "low": "5.00"}


async def test_a_buyer_who_cannot_pay_the_floor_of_this_lead_is_not_asked(shared_world: World) -> None:
    async with Buyer(bids("9.00")) as buyer:
        document = market({"only": buyer}, floors=[{"when": {"credit": ["good"]}, "floor": "8.00"}])
        document["buyers"]["only"]["credit_limit"] = "7.99"
        await shared_world.apply(document)

        async def asked() -> tuple[int, dict[str, int]]:
            before, answer = len(buyer.pings), await shared_world.ping()
            return len(buyer.pings) - before, await shared_world.reasons(answer["ping_id"])

        await until(asked, lambda found: found == (0, {"only": 205}))  # a credit limit is heard of a moment later


async def test_the_winner_is_posted_the_second_price_and_so_is_the_next(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as high, Buyer(bids("18.00")) as low, Buyer(bids("9.00")) as last:
        document = market({"high": high, "low": low, "last": last}, price_rule="second_price")
        await shared_world.apply(document)
        offer = await shared_world.ping()
        assert offer["price"] == "15.30"
        post = await shared_world.post(offer["ping_id"])
        assert (post["status"], post["price"]) == ("accepted", "15.30")
        assert (high.posts[0].json["price"], low.posts[0].json["price"]) == ("18.00", "18.00")
    [row] = await shared_world.rows(
        "select gross_micros, payout_micros from attempts where post_id = $1 and state = 'accepted'", post["post_id"]
    )
    assert tuple(row) == (18_000_000, 15_300_000)
    await shared_world.assert_sound()


async def test_alone_a_winner_pays_the_floor(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as high, Buyer(bids(None)) as low:
        await shared_world.apply(market({"high": high, "low": low}, price_rule="second_price", floor="6.00"))
        offer = await shared_world.ping()
        assert offer["price"] == "5.10"
        await shared_world.post(offer["ping_id"])
        assert high.posts[0].json["price"] == "6.00"


async def test_an_order_s_boost_replaces_its_buyer_s_and_never_shows_in_a_price(shared_world: World) -> None:
    found = await two(shared_world, "20.00", "19.50", {"buyers/low/boost": {"percent": 5}}, margin={"percent": 0})
    assert (found["price"], found["reasons"]) == ("19.50", {"high": 307, "low": 2})
    both = {"buyers/low/boost": {"percent": 5}, "orders/low/penalty": {"amount": "0.01"}}
    found = await two(shared_world, "20.00", "20.00", both, margin={"percent": 0})
    assert (found["price"], found["reasons"]) == ("20.00", {"high": 2, "low": 307})
