"""How the wait of a queued lead ends without a sale, and what two workers and commits in doubt do to it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from support.buyer import Buyer, bids, silent
from support.market import Document
from support.outbox import SECRET, Receiver, send_all, verified
from support.queue import (
    WHOLE,
    make_due,
    offer_all,
    offering,
    open_again,
    queueing,
    row_of,
    sell,
    state_of,
)
from support.unknowns import one_after_another
from support.waiting import Held, until
from support.world import World

from exchange.errors import StorageUnavailable
from exchange.storage import erasure, queue, queue_list
from exchange.storage.sales import Sales
from exchange.values.reason import Reason
from exchange.waiting import WaitingLeads

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAUSED = {"only": {"paused": True}}
NO_ORDER = {"code": 406, "name": "no_eligible_orders", "text": Reason.NO_ELIGIBLE_ORDERS.text}


# --- ends -----------------------------------------------------------------------------------------------------------


async def test_when_the_time_is_over_it_is_rejected_with_the_last_reason(world: World, offerer: WaitingLeads) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook:
        document = queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED)
        document["sellers"]["acme"]["webhook"] = {"url": f"{hook.url}/hook", "secret": SECRET}
        await world.apply(document)
        told = await sell(world, ref="my-3")
        await world.rows("update queued_leads set ends_at = now() - interval '1 s', due_at = now()")
        assert await offerer.round() == 0
        now = await state_of(world, told)
        assert (now["status"], now["reason"]) == ("rejected", NO_ORDER)
        row = await row_of(world, told)
        assert (row["state"], row["lead_key"]) == ("ended", None)
        await send_all(world)
    [received] = receiver.got
    data = verified(received)["data"]
    assert (data["status"], data["reason"]["code"], data["ref"], data["price"]) == ("rejected", 406, "my-3", None)


def no_queue(document: Document) -> None:
    del document["campaigns"]["auto-us"]["queue"]


def no_campaign(document: Document) -> None:
    document["campaigns"] = {"other": document["campaigns"]["auto-us"]}
    document["orders"] = {}
    document["sellers"] = {"acme": {"campaigns": ["other"]}}


def seller_shut(document: Document) -> None:
    document["sellers"]["acme"]["campaigns"] = []


def other_vertical(document: Document) -> None:
    document["verticals"]["auto"]["fields"]["vin"] = {"type": "text", "in": "post", "required": True}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (no_queue, "no queue"),
        (no_campaign, "no such campaign"),
        (seller_shut, "not open to the seller"),
        (other_vertical, "does not fit its vertical any more: vin"),
    ],
)
async def test_a_market_that_has_no_place_for_it_ends_the_wait(
    world: World, offerer: WaitingLeads, change: Any, says: str
) -> None:
    document = queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED)
    await world.apply(document)
    told = await sell(world)
    await offer_all(world, offerer)
    change(document)
    version = await world.apply(document)
    assert offerer._engine is not None
    live = offerer._engine.live

    async def known() -> int:
        return live.book.version if live.book else 0

    await until(known, lambda found: found >= version)
    await offer_all(world, offerer)
    row = await row_of(world, told)
    assert (row["state"], Reason(row["reason"])) == ("ended", Reason.QUEUE_ENDED)
    assert says in row["detail"]
    now = await state_of(world, told)
    assert (now["status"], now["reason"]["name"]) == ("rejected", "queue_ended")


async def test_an_erased_lead_is_gone_and_waits_no_more(world: World, offerer: WaitingLeads) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(queueing({"only": buyer}, orders=PAUSED))
        told = await sell(world)
        row = await row_of(world, told)
        found = await erasure.erase(world.database, row["ping_id"])
        assert found == erasure.Erased(row["post_id"], before=False)
        assert await erasure.erase(world.database, row["post_id"]) == erasure.Erased(row["post_id"], before=True)
        await open_again(world, offerer, buyer)
        assert await offer_all(world, offerer) == 0
        assert buyer.pings == []
    row = await row_of(world, told)
    assert (row["lead_key"], row["lead_sealed"], row["detail"]) == (None, None, "the lead was erased")
    assert row["erased_at"] is not None


async def test_a_lead_that_is_dropped_while_it_is_offered_is_not_sold(world: World, offerer: WaitingLeads) -> None:
    bid = Held({"bid": "21.00"})
    async with Buyer(bid) as buyer:
        await world.apply(queueing({"only": buyer}, orders=PAUSED))
        told = await sell(world)
        await open_again(world, offerer, buyer)
        await make_due(world)
        assert await offerer.round() == 1
        await bid.asked.wait()
        post_id = (await row_of(world, told))["post_id"]
        assert await queue_list.drop(world.database, [post_id], "asked to") == [post_id]
        bid.release.set()
        await offerer.rest()
        assert buyer.posts == []
    now = await state_of(world, told)
    assert (now["status"], now["reason"]["name"]) == ("rejected", "queue_ended")
    await world.assert_sound()


async def test_a_lead_of_another_master_key_is_left_alone(world: World, tmp_path: Path) -> None:
    await world.apply(queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED))
    told = await sell(world)
    async with offering(world, tmp_path, key="A" * 43 + "=") as waiting:
        assert await offer_all(world, waiting) == 1
    row = await row_of(world, told)
    assert (row["state"], row["lead_key"] is not None) == ("waiting", True)


# --- two workers ----------------------------------------------------------------------------------------------------


async def test_two_workers_sell_a_lead_once(world: World, offerer: WaitingLeads, tmp_path: Path) -> None:
    async with Buyer(bids("21.00")) as buyer, offering(world, tmp_path) as other:
        await world.apply(queueing({"only": buyer}, orders=PAUSED))
        told = [await sell(world, lead=WHOLE | {"email": f"ann{number}@example.com"}) for number in range(10)]
        await offer_all(world, other)
        await open_again(world, offerer, buyer)
        await open_again(world, other, buyer)
        await make_due(world)
        began = await asyncio.gather(offerer.round(), other.round())
        assert sum(began) == 10
        await asyncio.gather(offerer.rest(), other.rest())
        assert len(buyer.posts) == len({post.json["attempt_id"] for post in buyer.posts}) == 10
    assert {(await state_of(world, lead))["status"] for lead in told} == {"accepted"}
    await world.assert_sound()


async def test_who_was_frozen_while_he_asked_does_nothing_when_he_thaws(
    world: World, offerer: WaitingLeads, tmp_path: Path
) -> None:
    """The lease of the first worker runs out while he waits for a bid; the second sells the lead."""
    first = Held({"bid": "21.00"})
    async with Buyer(one_after_another(first, bids("19.00"))) as buyer, offering(world, tmp_path) as other:
        await world.apply(queueing({"only": buyer}, orders=PAUSED))
        told = await sell(world)
        await open_again(world, offerer, buyer)
        await make_due(world)
        await offerer.round()
        await first.asked.wait()
        assert await offer_all(world, other) == 1
        assert (await state_of(world, told))["status"] == "accepted"
        first.release.set()
        await offerer.rest()
        assert [post.json["price"] for post in buyer.posts] == ["19.00"]
    await world.assert_sound()


async def test_a_claim_that_is_not_confirmed_is_found_again(
    world: World, offerer: WaitingLeads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit comes, its confirmation does not."""
    claim, times = Sales.claim_waiting, 0

    async def unconfirmed(sales: Sales, *arguments: Any) -> Any:
        nonlocal times
        times += 1
        done = await claim(sales, *arguments)
        if times == 1:
            raise StorageUnavailable("not confirmed")
        return done

    monkeypatch.setattr(Sales, "claim_waiting", unconfirmed)
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(queueing({"only": buyer}, orders=PAUSED))
        told = await sell(world)
        await open_again(world, offerer, buyer)
        await offer_all(world, offerer)
        assert (times, len(buyer.posts)) == (2, 1)
    assert (await state_of(world, told))["status"] == "accepted"
    await world.assert_sound()


async def test_silence_at_the_post_is_pending(world: World, offerer: WaitingLeads) -> None:
    async with Buyer(bids("21.00"), silent) as buyer:
        document = queueing({"only": buyer}, orders=PAUSED)
        document["campaigns"]["auto-us"]["post_timeout_ms"] = 600
        await world.apply(document)
        told = await sell(world)
        document["orders"]["only"]["paused"] = False
        await world.apply(document)
        await offer_all(world, offerer)
        assert (await state_of(world, told))["status"] == "pending"
    [row] = await world.rows("select answer from posts where post_id = $1", told["post_id"])
    assert json.loads(row["answer"])["status"] == "queued"


async def test_old_rows_are_forgotten_and_waiting_ones_are_not(world: World) -> None:
    await world.apply(queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED))
    kept, ended = await sell(world), await sell(world)
    await queue_list.drop(world.database, [(await row_of(world, ended))["post_id"]], "x")
    await world.rows("update queued_leads set finished_at = now() - interval '91 days' where state = 'ended'")
    assert await queue.forget(world.database, 90) == 1
    assert (await state_of(world, kept))["status"] == "queued"
    assert (await state_of(world, ended))["code"] == "unknown_post"


@pytest.mark.parametrize("key", [None, "in-doubt"])
async def test_a_wait_that_cannot_be_recorded_is_503_and_leaves_nothing(world: World, key: str | None) -> None:
    await world.apply(queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED))
    headers = {} if key is None else {"Idempotency-Key": key}
    sent: Document = {"campaign": "auto-us", "lead": WHOLE}
    async with world.locked("queued_leads"):
        answer = await world.send("/v1/leads", sent, **headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")

    async def others() -> list[Any]:
        return await world.rows(
            "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )

    await until(others, lambda found: not found)
    assert not await world.rows("select from queued_leads")
    again = await world.send("/v1/leads", sent, **headers)
    assert again.json()["status"] == "queued"
    assert len(await world.rows("select from queued_leads")) == 1


async def test_a_wait_whose_commit_is_not_confirmed_is_found_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, times = queue.add, 0

    async def unconfirmed(*arguments: Any, **options: Any) -> bool:
        nonlocal times
        times += 1
        added = await add(*arguments, **options)
        if times == 1:
            raise StorageUnavailable("not confirmed")
        return added

    monkeypatch.setattr(queue, "add", unconfirmed)
    await world.apply(queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED))
    told = await sell(world)
    assert (told["status"], times) == ("queued", 2)
    assert len(await world.rows("select from queued_leads")) == 1


async def test_a_wait_that_is_never_confirmed_is_withdrawn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    add = queue.add

    async def unconfirmed(*arguments: Any, **options: Any) -> bool:
        await add(*arguments, **options)
        raise StorageUnavailable("not confirmed")

    monkeypatch.setattr(queue, "add", unconfirmed)
    await world.apply(queueing({"only": "http://127.0.0.1:9"}, orders=PAUSED))
    answer = await world.send("/v1/leads", {"campaign": "auto-us", "lead": WHOLE})
    assert answer.status_code == 503
    await until(lambda: world.rows("select from queued_leads"), lambda found: not found)
