"""Posts of shared offers: all legs at once, down the reserve after a no, and pending while any leg is unknown."""

import asyncio
import io
import re
from uuid import UUID

import pytest
from rich.console import Console
from support.buyer import REJECTS, Buyer, bids, says
from support.shares import attempts, both_ways, moved, sell, shared_market, standing, state_of, told
from support.waiting import Held, until
from support.world import World

from exchange.commands import records
from exchange.commands.explain import explain, show

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNCLEAR = says({}, 500)


# --- posts --------------------------------------------------------------------------------------------------------


async def test_all_legs_are_posted_at_once_and_each_buyer_pays_his_own_price(shared_world: World) -> None:
    first, second = Held({"status": "accepted", "redirect_url": "https://b.example/2"}), Held({"status": "accepted"})
    async with Buyer(bids("10.00"), second) as ann, Buyer(bids("9.00"), first) as bob:
        await shared_world.apply(shared_market({"ann": ann, "bob": bob}))
        offer = await shared_world.ping()
        posting = asyncio.create_task(shared_world.post(offer["ping_id"]))
        await asyncio.gather(first.asked.wait(), second.asked.wait())
        balance, held = await standing(shared_world, "bob")
        first.release.set()
        await until(lambda: standing(shared_world, "bob"), lambda found: found == (balance - 900, held - 900))
        state = (await shared_world.get(f"/v1/pings/{offer['ping_id']}")).json()
        assert (await state_of(shared_world, {"post_id": state["post_id"]}))["status"] == "in_progress"
        second.release.set()
        post = await posting
    assert (post["status"], post["price"], post["shares"]) == ("accepted", "16.15", 2)
    assert post["redirect_url"] == "https://b.example/2"
    assert told(post) == [(1, "8.50", "accepted", None), (2, "7.65", "accepted", None)]
    assert await moved(shared_world, post) == {
        ("ann", "charge"): 1000, ("ann", "payout"): 850, ("ann", "margin"): 150,
        ("bob", "charge"): 900, ("bob", "payout"): 765, ("bob", "margin"): 135,
    }  # fmt: skip
    state = await state_of(shared_world, post)
    assert {key: state[key] for key in ("status", "price", "legs", "shares")} == {
        key: post[key] for key in ("status", "price", "legs", "shares")
    }
    await shared_world.assert_sound()


async def test_a_refused_leg_is_taken_by_the_next_order_down_at_the_promised_price(shared_world: World) -> None:
    async with (
        Buyer(bids("10.00"), REJECTS) as ann,
        Buyer(bids("9.00")) as bob,
        Buyer(bids("8.49")) as short,
        Buyer(says({"bid": "8.99", "max_shares": 1})) as alone,
        Buyer(bids("8.50")) as cid,
    ):
        document = shared_market({"ann": ann, "bob": bob, "short": short, "alone": alone, "cid": cid})
        post = await sell(shared_world, document)
        assert (len(cid.posts), len(short.posts), len(alone.posts)) == (1, 0, 0)
        assert cid.posts[0].json["price"] == "8.50"
    assert (post["status"], post["price"], post["shares"]) == ("accepted", "16.15", 2)
    assert await attempts(shared_world, post) == [
        (1, "ann", "rejected"), (1, "cid", "accepted"), (2, "bob", "accepted"),
    ]  # fmt: skip
    assert (await moved(shared_world, post))["cid", "payout"] == 850
    await shared_world.assert_sound()


async def test_legs_that_are_refused_at_once_share_one_reserve(shared_world: World) -> None:
    async with (
        Buyer(bids("10.00"), REJECTS) as ann,
        Buyer(bids("10.00"), REJECTS) as bob,
        Buyer(bids("9.50")) as cid,
        Buyer(bids("9.00"), REJECTS) as dan,
        Buyer(bids("8.80")) as eve,
    ):
        buyers = {"ann": ann, "bob": bob, "cid": cid, "dan": dan, "eve": eve}
        posts = [await sell(shared_world, shared_market(buyers)) for _ in range(5)]
        assert {len(buyer.posts) for buyer in buyers.values()} == {5}
    for post in posts:
        assert (post["status"], post["price"], post["shares"]) == ("accepted", "17.00", 2)
        assert {order for _, order, state in await attempts(shared_world, post) if state == "accepted"} == {
            "cid", "eve",
        }  # fmt: skip
    await shared_world.assert_sound()


async def test_no_leg_sold_is_a_rejected_post(shared_world: World) -> None:
    async with Buyer(bids("10.00"), REJECTS) as ann, Buyer(bids("9.00"), REJECTS) as bob:
        post = await sell(shared_world, shared_market({"ann": ann, "bob": bob}))
    assert (post["status"], post["reason"]["code"]) == ("rejected", 502)
    assert told(post) == [(1, "8.50", "rejected", 502), (2, "7.65", "rejected", 502)]
    assert (await state_of(shared_world, post))["legs"] == post["legs"]
    await shared_world.assert_sound()


async def test_without_a_fallback_a_refused_leg_is_lost(shared_world: World) -> None:
    async with Buyer(bids("10.00"), REJECTS) as ann, Buyer(bids("9.00")) as bob, Buyer(bids("8.90")) as cid:
        post = await sell(shared_world, shared_market({"ann": ann, "bob": bob, "cid": cid}, fallback="none"))
        assert not cid.posts
    assert (post["status"], post["price"], post["shares"]) == ("accepted", "7.65", 1)
    assert told(post) == [(1, "8.50", "rejected", 502), (2, "7.65", "accepted", None)]


async def test_one_buyer_has_a_lead_once_however_many_orders_he_has(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("7.00")) as bob:
        orders = {"ann-2": {"buyer": "ann", "campaign": "auto-us"}}
        post = await sell(shared_world, shared_market({"ann": ann, "bob": bob}, orders=orders))
        assert (len(ann.posts), len(bob.posts)) == (1, 1)
    assert (post["shares"], post["price"]) == (2, "14.45")


# --- unknown legs -------------------------------------------------------------------------------------------------


async def test_a_leg_without_a_clear_answer_makes_the_post_pending_and_keeps_the_others_sale(
    shared_world: World,
) -> None:
    async with Buyer(bids("10.00"), UNCLEAR) as ann, Buyer(bids("9.00")) as bob, Buyer(bids("8.90")) as cid:
        post = await sell(shared_world, shared_market({"ann": ann, "bob": bob, "cid": cid}))
        assert not cid.posts
        assert (post["status"], post["reason"]["code"], post["price"]) == ("pending", 505, "7.65")
        assert told(post) == [(1, "8.50", "pending", 505), (2, "7.65", "accepted", None)]
        [row] = await shared_world.rows(
            "select attempt_id from attempts where post_id = $1 and state = 'unknown'", post["post_id"]
        )
        held = (await standing(shared_world, "ann"))[1]
        await records.resolve_attempt(shared_world.database, row["attempt_id"], accepted=True, note="he says so")
        assert (await standing(shared_world, "ann"))[1] == held - 1000
        found = await state_of(shared_world, post)
        assert (found["status"], found["price"], found["shares"]) == ("accepted", "16.15", 2)
        assert await shared_world.post(post["ping_id"]) == post
    await shared_world.assert_sound()


@pytest.mark.parametrize(
    ("word", "other", "status", "price"),
    [
        ("accepted", "accepted", "accepted", "16.15"),
        ("rejected", "accepted", "accepted", "7.65"),
        ("rejected", "rejected", "rejected", None),
    ],
)
async def test_a_late_answer_of_one_leg_is_what_can_be_read_and_the_replay_stays_pending(
    shared_world: World, word: str, other: str, status: str, price: str | None
) -> None:
    late = Held({"status": word})
    async with Buyer(bids("10.00"), late) as ann, Buyer(bids("9.00"), says({"status": other})) as bob:
        document = shared_market({"ann": ann, "bob": bob}, post_timeout_ms=900)
        post = await sell(shared_world, document)
        assert (post["status"], post["legs"][0]["status"]) == ("pending", "pending")
        assert post["legs"][1]["status"] == other
        late.release.set()
        found = await until(lambda: state_of(shared_world, post), lambda found: found["status"] != "pending")
        assert await shared_world.post(post["ping_id"]) == post
    assert (found["status"], found.get("price")) == (status, price)
    await shared_world.assert_sound()


async def test_from_the_sellers_deadline_nobody_else_is_offered_a_leg(shared_world: World) -> None:
    late = Held({"status": "rejected"})
    async with Buyer(bids("10.00"), late) as ann, Buyer(bids("9.00"), REJECTS) as bob, Buyer(bids("8.90")) as cid:
        post = await sell(shared_world, shared_market({"ann": ann, "bob": bob, "cid": cid}, post_timeout_ms=1500))
        late.release.set()
        found = await until(lambda: state_of(shared_world, post), lambda found: found["status"] != "pending")
        assert len(cid.posts) == 1  # took bob's leg, long before
    assert post["status"] == "pending"
    assert (found["status"], found["price"]) == ("accepted", "7.65")
    await shared_world.assert_sound()


async def test_explain_tells_the_story_leg_by_leg(shared_world: World) -> None:
    async with (
        Buyer(both_ways("15.00", "10.00", 3), REJECTS) as ann,
        Buyer(bids("9.00")) as bob,
        Buyer(bids("8.60")) as cid,
    ):
        orders = {"bob": {"sale": "shared"}, "cid": {"sale": "shared"}, "old": {"buyer": "cid", "campaign": "auto-us"}}
        document = shared_market({"ann": ann, "bob": bob, "cid": cid}, sale="best", orders=orders)
        document["orders"]["old"]["sale"] = "exclusive"
        document["orders"]["old"]["filter"] = {"state": ["NY"]}
        post = await sell(shared_world, document)
        console = Console(file=io.StringIO(), width=200)
        show(await explain(shared_world.database, UUID(post["ping_id"]), again=False), console, again=False)
        story = console.file.getvalue()  # type: ignore[attr-defined]
    assert "offered: 19.00 = 16.15 to the seller + 2.85 margin" in story
    assert "leg 1 ann 10.00 = 8.50 + 1.50; leg 2 bob 9.00 = 7.65 + 1.35; then cid" in story
    assert "the ways: exclusive 15.00, shared 19.00" in story
    assert re.search(r"shared to 3 at most +10\.00 +2 won", story)
    assert re.search(r"exclusive +15\.00 +307 outbid", story)
    assert re.search(
        r"leg 1 ann at 10\.00 = .*: 502 .*\n.*leg 1 cid at 8\.60 = .*: 501 .*\n.*leg 2 bob at 9\.00 = .*: 501", story
    )
