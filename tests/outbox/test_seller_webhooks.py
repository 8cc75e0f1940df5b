"""Sellers are told what became of posts that were pending, and of returns: signed, and at least once."""

import asyncio
import base64
import json
from typing import Any

import pytest
from rich.console import Console
from standardwebhooks import Webhook, WebhookVerificationError
from support.buyer import ACCEPTS, Buyer, bids, says
from support.canary import sightings
from support.market import CONTACT, Document, market
from support.outbox import (
    OTHER_SECRET,
    PACE,
    SECRET,
    Receiver,
    make_due,
    outbox_rows,
    send_all,
    sender,
    settled,
    verified,
)
from support.unknowns import ACCEPTED, REJECTED, UNCLEAR, age, agreed, one_after_another, reconcile, sell
from support.waiting import Held, until
from support.world import World

from exchange.commands import outbox as outbox_command
from exchange.commands import records
from exchange.errors import CommandError
from exchange.storage import outbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = ["post.accepted", "post.rejected", "post.returned"]


def told(name: str, buyer: Buyer, receiver: Buyer, *, webhook: Document | None = None, **endpoint: Any) -> Document:
    """A market whose seller acme is told of everything."""
    document = agreed(name, buyer, **endpoint)
    document["sellers"]["acme"]["webhook"] = {"url": f"{receiver.url}/hook", "secret": SECRET} | (webhook or {})
    return document


@pytest.mark.parametrize(("word", "event"), [(ACCEPTED, "post.accepted"), (REJECTED, "post.rejected")])
async def test_a_pending_post_that_is_resolved_is_told_once(world: World, word: Document, event: str) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), one_after_another(UNCLEAR, says(word))) as buyer:
        post = await sell(world, told(f"told-{event}", buyer, hook, idempotent_post=True), ref="my-7", source="fb")
        assert (post["status"], await outbox_rows(world)) == ("pending", [])
        await reconcile(world)
        assert await send_all(world) == 1
        assert await send_all(world) == 0
    [received] = receiver.got
    document = verified(received)
    assert (document["type"], received.headers["content-type"]) == (event, "application/json")
    is_sale = event == "post.accepted"
    reason = {"code": 502, "name": "rejected_by_buyer", "text": "The buyer rejected the lead."}
    assert document["data"] == {
        "post_id": post["post_id"],
        "ping_id": post["ping_id"],
        "campaign": "auto-us",
        "source": "fb",
        "ref": "my-7",
        "test": False,
        "status": event.partition(".")[2],
        "price": "17.85" if is_sale else None,
        "currency": "USD",
        "reason": None if is_sale else reason,
    }
    [row] = await outbox_rows(world)
    assert (row["state"], row["tries"], str(row["outbox_id"])) == ("done", 1, received.headers["webhook-id"])
    assert row["outbox_id"].version == 7
    assert not sightings([("the body", received.body), ("the row", json.dumps([dict(row)], default=str))])


async def test_who_was_answered_with_the_outcome_is_not_told_again(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        post = await sell(world, told("plain", buyer, hook))
    assert (post["status"], await outbox_rows(world)) == ("accepted", [])


@pytest.mark.parametrize("event", EVENTS)
async def test_only_events_that_were_asked_for_are_written_down(world: World, event: str) -> None:
    wanted = [other for other in EVENTS if other != event]
    async with Buyer(bids("21.00"), one_after_another(UNCLEAR, ACCEPTS)) as buyer, Receiver().listening() as hook:
        webhook = {"events": wanted}
        post = await sell(world, told(f"some-{event}", buyer, hook, webhook=webhook, idempotent_post=True))
        await reconcile(world)
    await records.return_sale(world.database, post["post_id"], "wrong_number", "")
    assert {row["event"] for row in await outbox_rows(world)} == set(wanted) - {"post.rejected"}


async def test_nobody_is_told_of_another_seller(world: World) -> None:
    async with Buyer(bids("21.00"), one_after_another(UNCLEAR, ACCEPTS)) as buyer, Receiver().listening() as hook:
        document = told("other", buyer, hook, idempotent_post=True)
        await world.apply(document)
        ping = await world.ping(seller="other")
        assert (await world.post(ping["ping_id"], seller="other"))["status"] == "pending"
        await reconcile(world)
    assert await outbox_rows(world) == []


async def test_a_late_yes_to_a_seller_who_was_told_pending_is_told(world: World) -> None:
    held, receiver = Held(ACCEPTED), Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), held) as buyer:
        document = told("late", buyer, hook)
        document["campaigns"]["auto-us"]["post_timeout_ms"] = 500
        post = await sell(world, document)
        assert (post["status"], await outbox_rows(world)) == ("pending", [])
        held.release.set()
        await until(lambda: outbox_rows(world), bool)
        await send_all(world)
    assert verified(receiver.got[0])["type"] == "post.accepted"


async def test_an_answer_that_was_kept_after_the_outcome_had_been_stored_counts(world: World) -> None:
    """The seller was told `pending` although another answer had been stored a moment before."""
    async with Receiver().listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        post = await sell(world, told("kept", buyer, hook))
        keep = "update posts set answer = convert_to($2, 'UTF8') where post_id = $1"
        await world.rows(keep, post["post_id"], json.dumps(post | {"status": "pending"}))
        assert [row["event"] for row in await outbox_rows(world)] == ["post.accepted"]
        await world.rows(keep, post["post_id"], json.dumps(post | {"status": "pending", "shares": 0}))
    assert len(await outbox_rows(world)) == 1


async def test_a_presumption_and_its_correction_are_both_told(world: World) -> None:
    receiver, terms = Receiver(), {"presume": "rejected", "after_days": 1}
    async with receiver.listening() as hook, Buyer(bids("21.00"), UNCLEAR) as buyer:
        post = await sell(world, told("presumed", buyer, hook, unknown=terms))
        await age(world, post, "2 days")
        await reconcile(world)
        [row] = await world.rows("select attempt_id from attempts where post_id = $1", post["post_id"])
        await records.resolve_attempt(world.database, row["attempt_id"], accepted=True, note="he called")
        await send_all(world)
    first, second = sorted((verified(received) for received in receiver.got), key=lambda found: found["timestamp"])
    assert (first["type"], first["data"]["reason"]["code"]) == ("post.rejected", 508)
    assert (second["type"], second["data"]["price"]) == ("post.accepted", "17.85")


async def test_a_return_is_told_with_what_was_taken_back(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        post = await sell(world, told("returned", buyer, hook))
        await records.return_sale(world.database, post["post_id"], "wrong_number", "he says")
        await send_all(world)
    document = verified(receiver.got[0])
    assert document["type"] == "post.returned"
    found = document["data"]
    assert (found["status"], found["price"], found["reason"], found["leg"]) == (
        "returned", "17.85", "wrong_number", None,
    )  # fmt: skip


# --- signatures -----------------------------------------------------------------------------------------------------


async def test_while_a_secret_is_replaced_both_are_right(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = told("rotating", buyer, hook)
        document["sellers"]["acme"]["webhook"] = {
            "url": f"{hook.url}/hook",
            "secrets": ["${env:NEW_SECRET}", OTHER_SECRET],
        }
        post = await sell(world, document)
        await records.return_sale(world.database, post["post_id"], "wrong_number", "")
        await send_all(world, environment={"NEW_SECRET": SECRET})
    [received] = receiver.got
    assert verified(received, SECRET) == verified(received, OTHER_SECRET)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(received.body + b" ", received.headers)


@pytest.mark.parametrize("environment", [{}, {"HOOK": "no-secret-of-ours"}, {"HOOK": "whsec_c2hvcnQ="}])
async def test_without_a_secret_nothing_is_sent_and_it_waits(world: World, environment: dict[str, str]) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        post = await sell(world, told("secretless", buyer, hook, webhook={"secret": "${env:HOOK}"}))
        await records.return_sale(world.database, post["post_id"], "wrong_number", "")
        await send_all(world, environment=environment)
        [row] = await outbox_rows(world)
        assert (receiver.got, row["state"], row["tries"]) == ([], "waiting", 1)
        await make_due(world)
        await send_all(world, environment={"HOOK": SECRET})
    assert verified(receiver.got[0])


# --- again and again ------------------------------------------------------------------------------------------------


async def returned(world: World, document: Document) -> Document:
    """A sale that was returned: something to tell."""
    post = await sell(world, document)
    await records.return_sale(world.database, post["post_id"], "wrong_number", "")
    return post


async def test_what_was_not_taken_is_sent_again_under_the_same_id_with_a_new_signature(world: World) -> None:
    receiver = Receiver([500, None, 302, 204])
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await returned(world, told("again", buyer, hook))
        details = []
        for _ in range(4):
            await make_due(world)
            assert await send_all(world) == 1
            [row] = await outbox_rows(world)
            details.append((row["state"], row["detail"]))
    assert details == [
        ("waiting", "HTTP 500"),
        ("waiting", "connection_lost before an answer"),
        ("waiting", "HTTP 302"),
        ("done", ""),
    ]
    assert len({received.headers["webhook-id"] for received in receiver.got}) == 1
    assert len({received.body for received in receiver.got}) == 1
    assert all(verified(received) for received in receiver.got)


async def test_pauses_grow_and_then_it_is_given_up_until_an_operator_says_otherwise(world: World) -> None:
    receiver = Receiver([500])
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await returned(world, told("dead", buyer, hook))
        pauses = []
        for _ in range(PACE.tries_max):
            await make_due(world)
            await send_all(world)
            [row] = await world.rows("select *, extract(epoch from due_at - now())::float8 as pause from outbox")
            pauses.append(row["pause"])
        assert all(
            low * 0.9 < pause <= high
            for pause, low, high in zip(pauses, (5, 10, 20, 40), (10, 20, 40, 80), strict=False)
        )
        assert (row["state"], row["tries"], row["detail"]) == ("dead", PACE.tries_max, "HTTP 500")
        await make_due(world)
        assert await send_all(world) == 0
        [listed] = await outbox_command.listed(world.database, "dead", 10)
        receiver.answers = [200]
        assert await outbox_command.retry(world.database, [listed.outbox_id], every=False) == 1
        await send_all(world)
    [row] = await outbox_rows(world)
    assert (row["state"], row["tries"]) == ("done", 1)
    assert len({received.headers["webhook-id"] for received in receiver.got}) == 1
    with pytest.raises(CommandError, match="given up"):
        await outbox_command.retry(world.database, [listed.outbox_id], every=False)


async def test_a_receiver_who_is_gone_from_the_market_gets_nothing_more(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = told("gone", buyer, hook)
        await returned(world, document)
        del document["sellers"]["acme"]["webhook"]
        await world.apply(document)
        await send_all(world)
        [row] = await outbox_rows(world)
        assert (receiver.got, row["state"]) == ([], "dead")
        assert await world.rows("select * from followers") == []


async def test_a_worker_that_is_lost_after_sending_leaves_it_to_the_next_who_sends_the_same(world: World) -> None:
    held = Held({})
    async with Buyer(held, held) as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await returned(world, told("lost", buyer, hook))
        lost = sender(world)
        await lost.round()
        await held.asked.wait()
        await lost.close()  # it has sent, and marks nothing
        [row] = await outbox_rows(world)
        assert (row["state"], await send_all(world)) == ("waiting", 0)  # the lease still runs
        held.release.set()
        await make_due(world)
        assert await send_all(world) == 1
        first, second = (*hook.pings, *hook.posts)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    [row] = await outbox_rows(world)
    assert (row["state"], row["tries"]) == ("done", 2)


async def test_what_a_frozen_worker_says_afterwards_is_not_believed(world: World) -> None:
    held = Held({}, 500)
    async with Buyer(held, held) as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await returned(world, told("frozen", buyer, hook))
        frozen = sender(world)
        await frozen.round()
        await held.asked.wait()
        await make_due(world)  # its lease is over
        [taken] = await outbox.take(world.database, limit=10, each_max=10, busy=(), lease_s=300)
        assert await outbox.done(world.database, [taken], "") == 1
        held.release.set()
        await frozen.rest()
    [row] = await outbox_rows(world)
    assert (row["state"], row["detail"]) == ("done", "")


async def test_two_workers_never_have_the_same_row(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = told("many", buyer, hook)
        for _ in range(12):
            await returned(world, document)
        await asyncio.gather(send_all(world), send_all(world))
        await send_all(world)
    assert len(receiver.got) == len({received.headers["webhook-id"] for received in receiver.got}) == 12


async def test_a_receiver_who_hangs_does_not_keep_the_others_waiting(world: World) -> None:
    held, receiver = Held({}), Receiver()
    pace = PACE.__class__(first_s=10, longest_s=10, tries_max=5, at_once_max=4, each_max=2)
    async with Buyer(held, held) as slow, receiver.listening() as quick, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = told("hanging", buyer, slow)
        document["sellers"]["other"]["webhook"] = {"url": quick.url, "secret": SECRET}
        for _ in range(6):
            await returned(world, document)
        ping = await world.ping(seller="other")
        post = await world.post(ping["ping_id"], seller="other")
        await records.return_sale(world.database, post["post_id"], "wrong_number", "")
        worker = sender(world, pace=pace)
        working = asyncio.create_task(worker.work_off(asyncio.Event()))
        await until(lambda: asyncio.sleep(0, receiver.got), bool)
        working.cancel()
        await settled(working)
        await worker.close()
        assert len(slow.pings) <= 2


async def test_erasure_does_not_concern_what_has_no_lead(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        post = await returned(world, told("erased", buyer, hook))
        await records.erase_lead(world.database, post["post_id"], Console(quiet=True))
        await send_all(world)
    assert verified(receiver.got[0])["data"]["post_id"] == post["post_id"]
    assert CONTACT["email"].encode() not in receiver.got[0].body


async def test_what_is_over_is_forgotten_in_time(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        for _ in range(3):
            await returned(world, told("forgotten", buyer, hook))
    done, dead, _ = await outbox_rows(world)
    age_of = "update outbox set state = $2, finished_at = now() - interval '20 days' where outbox_id = $1"
    await world.rows(age_of, done["outbox_id"], "done")
    await world.rows(age_of, dead["outbox_id"], "dead")
    assert await outbox.forget(world.database, 14, 90) == 1
    assert {row["state"] for row in await outbox_rows(world)} == {"dead", "waiting"}
    assert await outbox.forget(world.database, 14, 14) == 1


async def test_a_shared_post_is_told_with_the_sum_of_its_legs_and_returned_leg_by_leg(world: World) -> None:
    receiver = Receiver()
    async with (
        receiver.listening() as hook,
        Buyer(bids("21.00"), ACCEPTS) as first,
        Buyer(bids("15.00"), one_after_another(UNCLEAR, says(ACCEPTED))) as second,
    ):
        document = market({"first": first, "second": second}, sale="shared")
        document["buyers"]["second"]["endpoint"]["idempotent_post"] = True
        document["sellers"]["acme"]["webhook"] = {"url": hook.url, "secret": SECRET}
        post = await sell(world, document)
        assert (post["status"], await outbox_rows(world)) == ("pending", [])
        await reconcile(world)
        await send_all(world)
        await records.return_sale(world.database, post["post_id"], "wrong_number", "")
        await send_all(world)
    told_first, *returns = [verified(received) for received in receiver.got]
    assert (told_first["type"], told_first["data"]["price"]) == ("post.accepted", "30.60")
    found = [(item["type"], item["data"]["leg"], item["data"]["price"]) for item in returns]
    assert sorted(found) == [("post.returned", 1, "17.85"), ("post.returned", 2, "12.75")]


async def test_a_worker_that_is_to_stop_takes_nothing_more(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await returned(world, told("stopping", buyer, hook))
        stop = asyncio.Event()
        stop.set()
        await sender(world).work_off(stop)
        [row] = await outbox_rows(world)
    assert (row["state"], row["tries"]) == ("waiting", 0)
