"""What orders are asked where leads are shared, and what is offered: the way that brings more, leg by leg."""

import pytest
from support.buyer import REJECTS, Buyer, bids, says
from support.shares import both_ways, sell, shared_market
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_shared_offer_promises_each_leg_its_price(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.99")) as bob, Buyer(bids("8.00")) as cid:
        await shared_world.apply(shared_market({"ann": ann, "bob": bob, "cid": cid}))
        offer = await shared_world.ping()
        state = (await shared_world.get(f"/v1/pings/{offer['ping_id']}")).json()
        assert {asked.json["sale"] for buyer in (ann, bob, cid) for asked in buyer.pings} == {"shared"}
        assert await shared_world.reasons(offer["ping_id"]) == {"ann": 2, "bob": 2, "cid": 307}
    for found in (offer, state):
        assert (found["status"], found["sale"], found["shares"], found["price"]) == ("offered", "shared", 2, "16.99")
        assert found["legs"] == [{"leg": 1, "price": "8.50"}, {"leg": 2, "price": "8.49"}]


async def test_each_order_is_asked_for_what_it_and_the_campaign_allow(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as buyer:
        names = ("any", "alone", "together")
        orders = {"alone": {"sale": "exclusive"}, "together": {"sale": "shared"}}
        asked = {}
        for sale in ("exclusive", "shared", "best"):
            buyer.pings.clear()
            await shared_world.apply(shared_market(dict.fromkeys(names, buyer), orders=orders, sale=sale))
            await shared_world.ping()
            asked[sale] = {ping.headers["exchange-order"]: ping.json["sale"] for ping in buyer.pings}
            bodies = {ping.body for ping in buyer.pings}
            assert len(bodies) == len(set(asked[sale].values()))  # the same bytes for the same sale
    assert asked == {
        "exclusive": {"any": "exclusive", "alone": "exclusive"},
        "shared": {"any": "shared", "together": "shared"},
        "best": {"any": "either", "alone": "exclusive", "together": "shared"},
    }


async def test_best_sells_the_way_that_brings_more(shared_world: World) -> None:
    async with Buyer(both_ways("20.00", "11.00")) as ann, Buyer(bids("9.00")) as bob:
        document = shared_market({"ann": ann, "bob": bob}, sale="best", orders={"bob": {"sale": "shared"}})
        post = await sell(shared_world, document)  # 20.00 alone, 20.00 together: a tie is exclusive
        assert (post["price"], post["shares"], "legs" in post) == ("17.00", 1, False)
        assert ann.posts[-1].json["bid_id"] == "x"
        assert ann.posts[-1].json["sale"] == "exclusive"
        bob.on_ping = bids("9.01")
        post = await sell(shared_world, document)
        assert (post["price"], post["shares"]) == ("17.00", 2)  # 9.35 and 7.65
        sent = [(buyer.posts[-1].json["price"], buyer.posts[-1].json["sale"]) for buyer in (ann, bob)]
        assert sent == [("11.00", "shared"), ("9.01", "shared")]
        assert ann.posts[-1].json["bid_id"] == "s"
    await shared_world.assert_sound()


async def test_a_bid_for_a_sale_that_was_not_asked_is_108(shared_world: World) -> None:
    async with Buyer(says({"bid": "10.00", "sale": "exclusive"})) as ann, Buyer(bids("9.00")) as bob:
        await shared_world.apply(shared_market({"ann": ann, "bob": bob}))
        offer = await shared_world.ping()
        assert (offer["shares"], offer["price"]) == (1, "7.65")
        assert await shared_world.reasons(offer["ping_id"]) == {"ann": 108, "bob": 2}


async def test_buyers_who_do_not_share_with_one_another_are_not_in_one_offer(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.00"), REJECTS) as bob, Buyer(bids("8.60")) as cid:
        document = shared_market({"ann": ann, "bob": bob, "cid": cid})
        document["buyers"]["cid"]["not_with"] = ["ann"]
        post = await sell(shared_world, document)
        assert [leg["status"] for leg in post["legs"]] == ["accepted", "rejected"]
        assert not cid.posts  # next in line, and ann has the lead
        ann.on_post = REJECTS
        post = await sell(shared_world, document)
        assert len(cid.posts) == 1  # ann has refused it
    assert post["status"] == "accepted"
    await shared_world.assert_sound()
