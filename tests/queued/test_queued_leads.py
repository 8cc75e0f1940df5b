"""Leads that find no buyer wait where their campaign says so: offered again, sold once, or ended with a reason."""

import json

import pytest
from support.buyer import REJECTS, Buyer, bids, says
from support.market import Document, market
from support.outbox import SECRET, Receiver, send_all, verified
from support.queue import (
    EVERYTHING,
    WHOLE,
    make_due,
    offer_all,
    open_again,
    queueing,
    row_of,
    sell,
    state_of,
)
from support.unknowns import KEY, UNCLEAR, one_after_another, reconcile
from support.waiting import Held
from support.world import World

from exchange.storage import queue_list
from exchange.storage.vault import Sealed, Vault
from exchange.values.reason import Reason
from exchange.waiting import WaitingLeads

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAUSED = {"only": {"paused": True}}
NO_ORDER = {"code": 406, "name": "no_eligible_orders", "text": Reason.NO_ELIGIBLE_ORDERS.text}


# --- the seller -----------------------------------------------------------------------------------------------------


async def test_a_lead_that_nobody_can_take_waits_and_is_sold_when_somebody_can(
    world: World, offerer: WaitingLeads
) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(queueing({"only": buyer}, orders=PAUSED))
        told = await sell(world, source="fb", ref="my-1")
        assert told == {
            "post_id": told["post_id"],
            "ping_id": told["ping_id"],
            "status": "queued",
            "reason": NO_ORDER,
            "queued_until": told["queued_until"],
            "changed_fields": [],
        }
        now = await state_of(world, told)
        assert now == {name: value for name, value in told.items() if name != "changed_fields"}
        assert (await state_of(world, told, "other"))["code"] == "unknown_post"
        await open_again(world, offerer, buyer)
        assert await offer_all(world, offerer) == 1
        assert await offer_all(world, offerer) == 0
        assert (len(buyer.pings), len(buyer.posts)) == (1, 1)
        assert buyer.posts[0].json["lead"].keys() == WHOLE.keys() | {"state"}
    now = await state_of(world, told)
    assert (now["post_id"], now["status"], now["price"]) == (told["post_id"], "accepted", "17.85")
    assert now["ping_id"] != told["ping_id"]
    [ping] = await world.rows("select source, ref, status from pings where ping_id = $1", now["ping_id"])
    assert tuple(ping) == ("fb", "my-1", "offered")
    row = await row_of(world, told)
    assert (row["state"], row["lead_key"], row["lead_sealed"]) == ("posted", None, None)
    await world.assert_sound()


async def test_without_a_queue_or_for_another_reason_it_is_rejected_as_ever(world: World) -> None:
    async with Buyer(bids(None)) as buyer:
        await world.apply(market({"only": buyer}, orders=PAUSED))
        assert (await sell(world))["status"] == "rejected"
        await world.apply(queueing({"only": buyer}))
        told = await sell(world)
        assert (told["status"], told["post_id"], told["reason"]["code"]) == ("rejected", None, 407)
        await world.apply(queueing({"only": buyer}, reasons=EVERYTHING))
        told = await sell(world)
        assert (told["status"], told["reason"]["code"]) == ("queued", 407)


async def test_a_ping_is_never_queued(world: World) -> None:
    await world.apply(queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED))
    assert (await world.ping())["status"] == "unsold"
    assert not await world.rows("select from queued_leads")


async def test_the_key_replays_the_first_answer_whatever_has_become_of_the_lead(
    world: World, offerer: WaitingLeads
) -> None:
    sent: Document = {"campaign": "auto-us", "lead": WHOLE}
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(queueing({"only": buyer}, orders=PAUSED))
        first = await world.send("/v1/leads", sent, **{"Idempotency-Key": "queued-1"})
        again = await world.send("/v1/leads", sent, **{"Idempotency-Key": "queued-1"})
        assert (first.json()["status"], again.content) == ("queued", first.content)
        assert len(await world.rows("select from queued_leads")) == 1
        await open_again(world, offerer, buyer)
        await offer_all(world, offerer)
        assert (await state_of(world, first.json()))["status"] == "accepted"
        late = await world.send("/v1/leads", sent, **{"Idempotency-Key": "queued-1"})
        assert late.content == first.content
        other = await world.send("/v1/leads", sent | {"ref": "x"}, **{"Idempotency-Key": "queued-1"})
        assert other.json()["code"] == "idempotency_key_reused"
        assert len(buyer.posts) == 1


async def test_more_than_may_wait_are_rejected(world: World) -> None:
    await world.apply(queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED, max_leads=2))
    answers = [await sell(world) for _ in range(3)]
    assert [answer["status"] for answer in answers] == ["queued", "queued", "rejected"]
    assert (answers[2]["post_id"], answers[2]["reason"]) == (None, NO_ORDER)


async def test_a_lead_waits_sealed(world: World) -> None:
    await world.apply(queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED))
    told = await sell(world)
    [whole] = await world.rows("select q::text as text from queued_leads q where post_id = $1", told["post_id"])
    assert "Canary" not in whole["text"]
    assert b"Canary".hex() not in whole["text"]
    row = await row_of(world, told)
    lead = json.loads(Vault(KEY).open(row["post_id"], Sealed(row["lead_sealed"], row["lead_key"])))
    assert lead["email"] == "ann.canary@example.com"


# --- runs -----------------------------------------------------------------------------------------------------------


async def test_each_run_is_a_ping_with_its_own_trace(world: World, offerer: WaitingLeads) -> None:
    async with Buyer(bids(None)) as buyer:
        await world.apply(queueing({"only": buyer}, reasons=EVERYTHING))
        told = await sell(world)
        for _ in range(2):
            await offer_all(world, offerer)
        found = await queue_list.find(world.database, (await row_of(world, told))["post_id"])
        assert found is not None
        runs = await queue_list.runs_of(world.database, found.post_id)
        assert (found.runs, [run.run for run in runs], len({run.ping_id for run in runs})) == (2, [0, 1, 2], 3)
        assert str(runs[0].ping_id) == told["ping_id"]
        for run in runs:
            assert await world.reasons(str(run.ping_id)) == {"only": Reason.NO_BID}
        assert (await state_of(world, told))["ping_id"] == str(runs[-1].ping_id)
        assert await queue_list.find(world.database, runs[1].ping_id) == found
        assert len(buyer.pings) == 3


async def test_what_buyers_refuse_at_the_post_is_rejected_and_told(world: World, offerer: WaitingLeads) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), REJECTS) as buyer:
        document = queueing({"only": buyer}, orders=PAUSED)
        document["sellers"]["acme"]["webhook"] = {"url": f"{hook.url}/hook", "secret": SECRET}
        await world.apply(document)
        told = await sell(world, ref="my-2")
        document["orders"]["only"]["paused"] = False
        await world.apply(document)
        await offer_all(world, offerer)
        now = await state_of(world, told)
        assert (now["status"], now["reason"]["code"]) == ("rejected", 502)
        await send_all(world)
    [received] = receiver.got
    data = verified(received)["data"]
    assert (data["post_id"], data["ref"], data["status"]) == (told["post_id"], "my-2", "rejected")


@pytest.mark.parametrize("later", ["accepted", "rejected"])
async def test_an_unknown_post_is_pending_and_resolved_as_any_other(
    world: World, offerer: WaitingLeads, later: str
) -> None:
    receiver = Receiver()
    answers = one_after_another(UNCLEAR, says({"status": later}))
    async with receiver.listening() as hook, Buyer(bids("21.00"), answers) as buyer:
        document = queueing({"only": buyer}, orders=PAUSED)
        document["sellers"]["acme"]["webhook"] = {"url": f"{hook.url}/hook", "secret": SECRET}
        document["buyers"]["only"]["endpoint"]["idempotent_post"] = True
        await world.apply(document)
        told = await sell(world)
        document["orders"]["only"]["paused"] = False
        await world.apply(document)
        await offer_all(world, offerer)
        assert (await state_of(world, told))["status"] == "pending"
        await send_all(world)
        assert receiver.got == []
        await reconcile(world)
        assert (await state_of(world, told))["status"] == later
        await send_all(world)
    [received] = receiver.got
    assert verified(received)["data"]["status"] == later
    await world.assert_sound()


async def test_an_accepted_lead_is_told_by_webhook(world: World, offerer: WaitingLeads) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00")) as buyer:
        document = queueing({"only": buyer}, orders=PAUSED)
        document["sellers"]["acme"]["webhook"] = {"url": f"{hook.url}/hook", "secret": SECRET}
        await world.apply(document)
        told = await sell(world)
        document["orders"]["only"]["paused"] = False
        await world.apply(document)
        await offer_all(world, offerer)
        await send_all(world)
    [received] = receiver.got
    data = verified(received)["data"]
    assert (data["post_id"], data["status"], data["price"]) == (told["post_id"], "accepted", "17.85")


async def test_an_order_that_cannot_pay_at_the_post_lets_the_lead_wait_on(world: World, offerer: WaitingLeads) -> None:
    bid = Held({"bid": "21.00"})
    async with Buyer(bid) as buyer:
        await world.apply(queueing({"only": buyer}, orders=PAUSED))
        told = await sell(world)
        await open_again(world, offerer, buyer)
        await make_due(world)
        await offerer.round()
        await bid.asked.wait()
        await world.rows("update accounts set credit_limit_micros = 0 where owner = 'only'")
        bid.release.set()
        await offerer.rest()
        row = await row_of(world, told)
        assert (row["state"], Reason(row["reason"]), row["runs"]) == ("waiting", Reason.OFFER_WITHDRAWN, 1)
        assert not await world.rows("select from posts where post_id = $1", row["post_id"])
        assert buyer.posts == []
        assert (await state_of(world, told))["status"] == "queued"
    await world.assert_sound()


async def test_test_leads_wait_too_and_move_no_money(world: World, offerer: WaitingLeads) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(queueing({"only": buyer}, orders=PAUSED))
        told = await sell(world, test=True)
        await open_again(world, offerer, buyer)
        before = await world.rows("select count(*) as count from transfers")
        await offer_all(world, offerer)
        assert (buyer.pings[0].json["test"], buyer.posts[0].json["test"]) == (True, True)
        assert await world.rows("select count(*) as count from transfers") == before
    assert (await state_of(world, told))["status"] == "accepted"


async def test_the_least_price_holds_as_long_as_it_waits(world: World, offerer: WaitingLeads) -> None:
    async with Buyer(one_after_another(bids("10.00"), bids("12.00"), bids("21.00"))) as buyer:
        await world.apply(queueing({"only": buyer}, reasons=["below_min_price"]))
        told = await sell(world, min_price="15.00")
        assert (told["status"], told["reason"]["code"]) == ("queued", 408)
        await offer_all(world, offerer)
        assert (await state_of(world, told))["reason"]["code"] == 408
        await offer_all(world, offerer)
        assert (await state_of(world, told))["price"] == "17.85"


async def test_of_two_equal_leads_that_wait_one_is_sold(world: World, offerer: WaitingLeads) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = queueing({"only": buyer}, orders=PAUSED)
        document["campaigns"]["auto-us"]["duplicates"] = {"window_days": 30}
        await world.apply(document)
        told = [await sell(world), await sell(world)]
        document["orders"]["only"]["paused"] = False
        await world.apply(document)
        await offer_all(world, offerer)
        await offer_all(world, offerer)
        assert len(buyer.posts) == 1
    states = [await state_of(world, lead) for lead in told]
    assert sorted(state["status"] for state in states) == ["accepted", "rejected"]
    [lost] = [state for state in states if state["status"] == "rejected"]
    assert lost["reason"]["code"] == 401
    await world.assert_sound()
