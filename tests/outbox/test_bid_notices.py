"""Buyers who ask for it are told of their bids: won with the sale, lost once the lead's fate is final."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console
from support.buyer import ACCEPTS, REJECTS, Buyer, bids
from support.canary import sightings
from support.market import Document, market
from support.notices import TERMS, look, lost, pass_time, telling, to_tell
from support.outbox import OTHER_SECRET, PACE, SECRET, Receiver, make_due, outbox_rows, send_all, verified
from support.shares import both_ways
from support.unknowns import UNCLEAR, age, counted, one_after_another, reconcile
from support.waiting import until
from support.world import World

from exchange.commands import outbox as outbox_command
from exchange.commands import records

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def told(world: World) -> list[Document]:
    """What lies in the outbox of lost bids, after the delay."""
    await pass_time(world)
    await look(world)
    return await lost(world)


# --- won ------------------------------------------------------------------------------------------------------------


async def test_who_buys_is_told_of_the_sale_under_the_names_that_he_knows(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00", "bid-7"), ACCEPTS) as buyer:
        await world.apply(telling({"won": buyer}, {"won": hook}))
        post = await world.post((await world.ping())["ping_id"])
        assert await send_all(world) == 1
        assert await send_all(world) == 0
        sent = buyer.posts[0].json
    [received] = receiver.got
    document = verified(received)
    assert document["type"] == "bid.won"
    assert document["data"] == {
        "bids": [
            {
                "attempt_id": sent["attempt_id"],
                "ping_id": post["ping_id"],
                "order": "won",
                "campaign": "auto-us",
                "test": False,
                "bid_id": "bid-7",
                "price": "21.00",
                "currency": "USD",
                "sale": "exclusive",
                "reference": "crm-1",
                "reason": None,
            }
        ]
    }
    [row] = await outbox_rows(world)
    assert (row["state"], str(row["outbox_id"])) == ("done", received.headers["webhook-id"])
    assert not sightings([("the body", received.body), ("the row", json.dumps([dict(row)], default=str))])
    assert await told(world) == []  # his only bid has won


async def test_a_sale_that_is_presumed_says_so_and_one_that_was_corrected_is_not_told(world: World) -> None:
    receiver, terms = Receiver(), {"presume": "accepted", "after_days": 1}
    async with receiver.listening() as hook, Buyer(bids("21.00"), UNCLEAR) as buyer:
        document = telling({"presumed": buyer}, {"presumed": hook})
        document["buyers"]["presumed"]["endpoint"]["unknown"] = terms
        await world.apply(document)
        for is_corrected in (False, True):
            post = await world.post((await world.ping())["ping_id"])
            assert post["status"] == "pending"
            await age(world, post, "2 days")
            await reconcile(world)
            if is_corrected:
                [row] = await world.rows("select attempt_id from attempts where post_id = $1", post["post_id"])
                await records.resolve_attempt(world.database, row["attempt_id"], accepted=False, note="he called")
            await send_all(world)
    [received] = receiver.got
    assert verified(received)["data"]["bids"][0]["reason"]["code"] == 507
    assert [row["state"] for row in await outbox_rows(world)] == ["done", "dead"]


async def test_erasure_keeps_no_notice_back_for_there_is_no_lead_in_it(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await world.apply(telling({"erased": buyer}, {"erased": hook}))
        post = await world.post((await world.ping())["ping_id"])
        await records.erase_lead(world.database, post["post_id"], Console(quiet=True))
        await send_all(world)
    assert verified(receiver.got[0])["data"]["bids"][0]["ping_id"] == post["ping_id"]


# --- lost -----------------------------------------------------------------------------------------------------------


async def test_who_was_outbid_is_told_his_rank_and_a_rounded_price_and_no_one_else_is_named(world: World) -> None:
    receivers = {name: Receiver() for name in ("second", "third")}
    async with (
        receivers["second"].listening() as two,
        receivers["third"].listening() as three,
        Buyer(bids("21.37")) as first,
        Buyer(bids("20.00", "b-2")) as second,
        Buyer(bids("12.00", "b-3")) as third,
        Buyer(bids("11.00")) as silent,
    ):
        buyers = {"first": first, "second": second, "third": third, "silent": silent}
        await world.apply(telling(buyers, {"second": two, "third": three}))
        ping = await world.ping()
        assert (await world.post(ping["ping_id"]))["status"] == "accepted"
        await until(lambda: to_tell(world), bool)
        assert await look(world) == 0  # it is not time yet
        await pass_time(world)
        assert (await look(world), await look(world)) == (1, 0)
        await send_all(world)
    expected: Document = {
        "ping_id": ping["ping_id"],
        "order": "second",
        "campaign": "auto-us",
        "test": False,
        "bid_id": "b-2",
        "bid": "20.00",
        "currency": "USD",
        "sale": "exclusive",
        "reason": {"code": 307, "name": "outbid", "text": "Another bid ranked higher."},
        "sold": True,
        "rank": 2,
        "clearing_price": "21.50",
    }
    [second_told], [third_told] = receivers["second"].got, receivers["third"].got
    assert verified(second_told)["type"] == "bid.lost"
    assert verified(second_told)["data"] == {"bids": [expected]}
    assert verified(third_told)["data"]["bids"] == [
        expected | {"order": "third", "bid_id": "b-3", "bid": "12.00", "rank": 3}
    ]
    for received in (second_told, third_told):
        assert b"21.37" not in received.body
        assert b"first" not in received.body
        assert not sightings([("the body", received.body)])
    assert await to_tell(world) == []


@pytest.mark.parametrize(
    ("terms", "rank", "price"), [({}, None, None), ({"rank": True}, 2, None), ({"clearing_price_step": 5}, None, 25)]
)
async def test_a_campaign_says_what_is_told(world: World, terms: Document, rank: int | None, price: int | None) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        await world.apply(telling({"first": first, "second": second}, {"second": hook}, notices=terms))
        await world.post((await world.ping())["ping_id"])
        [bid] = await told(world)
    assert (bid["rank"], bid["clearing_price"]) == (rank, None if price is None else price * 1_000_000)


async def test_a_campaign_without_notices_tells_nobody_of_lost_bids_and_keeps_nothing(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        document = telling({"first": first, "second": second}, {"first": hook, "second": hook})
        del document["campaigns"]["auto-us"]["notices"]
        await world.apply(document)
        ping = await world.ping()
        await world.post(ping["ping_id"])
        [row] = await world.rows("select notice_at from pings where ping_id = $1", ping["ping_id"])
    assert (row["notice_at"], await to_tell(world)) == (None, [])
    assert [(row["event"], row["subject"]) for row in await outbox_rows(world)] == [("bid.won", "first")]


async def test_where_nobody_asks_nothing_is_kept(world: World) -> None:
    async with Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        await world.apply(market({"first": first, "second": second}, notices=TERMS))
        ping = await world.ping()
        await world.post(ping["ping_id"])
        [row] = await world.rows("select notice_at from pings where ping_id = $1", ping["ping_id"])
    assert (row["notice_at"], await to_tell(world), await outbox_rows(world)) == (None, [], [])


@pytest.mark.parametrize(("event", "other"), [("bid.won", "bid.lost"), ("bid.lost", "bid.won")])
async def test_only_what_was_asked_for_is_told(world: World, event: str, other: str) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        document = telling({"first": first, "second": second}, {"first": hook, "second": hook})
        for name in ("first", "second"):
            document["buyers"][name]["notices"]["events"] = [event]
        await world.apply(document)
        await world.post((await world.ping())["ping_id"])
        await told(world)
        assert [row["event"] for row in await outbox_rows(world)] == [event]
        for name in ("first", "second"):
            document["buyers"][name]["notices"]["events"] = [other]
        await world.apply(document)
        await send_all(world)
    [row] = await outbox_rows(world)
    assert (row["state"], row["detail"]) == ("skipped", "the buyer does not ask for it any more")


async def test_a_bid_has_not_lost_while_the_offer_may_still_be_taken(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00"), REJECTS) as first, Buyer(bids("20.00")) as second:
        await world.apply(telling({"first": first, "second": second}, {"first": hook, "second": hook}))
        ping = await world.ping()
        assert await told(world) == []
        assert await to_tell(world) == [ping["ping_id"]]
        assert (await world.post(ping["ping_id"]))["status"] == "accepted"  # the second has it after all
        [bid] = await told(world)
    assert (bid["buyer"], bid["reason"], bid["sold"], bid["rank"]) == ("first", 502, True, 1)
    assert [(row["event"], row["subject"]) for row in await outbox_rows(world)] == [
        ("bid.won", "second"), ("bid.lost", "first"),
    ]  # fmt: skip


async def test_an_offer_that_nobody_took_is_lost_by_all_once_it_has_expired(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        await world.apply(telling({"first": first, "second": second}, {"first": hook, "second": hook}))
        ping = await world.ping()
        assert await told(world) == []
        await world.rows(
            "update pings set expires_at = now() - interval '2 minutes' where ping_id = $1", ping["ping_id"]
        )
        found = await told(world)
    assert [(bid["buyer"], bid["reason"], bid["sold"], bid["rank"]) for bid in found] == [
        ("first", 308, False, 1), ("second", 307, False, 2),
    ]  # fmt: skip
    assert {bid["clearing_price"] for bid in found} == {None}


async def test_that_the_seller_wanted_more_is_not_told_as_such(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00")) as first:
        await world.apply(telling({"first": first}, {"first": hook}))
        ping = await world.ping(min_price="50.00")
        assert ping["reason"]["code"] == 408
        await until(lambda: to_tell(world), bool)
        [bid] = await told(world)
    assert (bid["reason"], bid["sold"]) == (308, False)


async def test_who_bids_what_cannot_win_learns_nothing_of_the_market(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00")) as first, Buyer(bids("0.01")) as low:
        await world.apply(telling({"first": first, "low": low}, {"low": hook}))
        await world.post((await world.ping())["ping_id"])
        [bid] = await told(world)
    assert (bid["reason"], bid["sold"], bid["rank"], bid["clearing_price"]) == (301, True, None, None)


async def test_a_fixed_price_and_a_buyer_who_did_not_bid_have_lost_nothing(world: World) -> None:
    async with (
        Receiver().listening() as hook,
        Buyer(bids("21.00")) as first,
        Buyer(bids("0")) as none,
        Buyer(bids("9.00")) as fixed,
    ):
        buyers = {"first": first, "none": none, "fixed": fixed}
        document = telling(buyers, {"none": hook, "fixed": hook})
        document["orders"]["fixed"]["price"] = "9.00"
        await world.apply(document)
        await world.post((await world.ping())["ping_id"])
        assert (await told(world), await to_tell(world)) == ([], [])


async def test_tests_are_told_as_tests_and_apart(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        await world.apply(telling({"first": first, "second": second}, {"first": hook, "second": hook}))
        for is_test in (False, True):
            await world.post((await world.ping(test=is_test))["ping_id"])
        await told(world)
        rows = await outbox_rows(world)
        await send_all(world)
    assert sorted((row["event"], row["test"]) for row in rows) == [
        ("bid.lost", False), ("bid.lost", True), ("bid.won", False), ("bid.won", True),
    ]  # fmt: skip
    for received in receiver.got:
        [bid] = verified(received)["data"]["bids"]
        row = next(row for row in rows if str(row["outbox_id"]) == received.headers["webhook-id"])
        assert bid["test"] == row["test"]


async def test_of_a_shared_sale_each_buyer_is_told_and_the_least_price_is_the_one_to_beat(world: World) -> None:
    async with (
        Receiver().listening() as hook,
        Buyer(both_ways("15.00", "14.00")) as first,
        Buyer(both_ways("14.00", "13.20")) as second,
        Buyer(both_ways("22.00", "12.00")) as third,
    ):
        buyers = {"first": first, "second": second, "third": third}
        await world.apply(telling(buyers, dict.fromkeys(buyers, hook), sale="best", max_shares=2))
        post = await world.post((await world.ping())["ping_id"])
        assert (post["status"], post["shares"]) == ("accepted", 2)
        [bid] = await told(world)
    won = [row["subject"] for row in await outbox_rows(world) if row["event"] == "bid.won"]
    assert sorted(won) == ["first", "second"]
    assert (bid["buyer"], bid["sale"], bid["bid"], bid["rank"], bid["clearing_price"]) == (
        "third", "exclusive", 22_000_000, 1, 13_500_000,
    )  # fmt: skip


async def test_while_a_buyer_may_have_it_nobody_is_told_and_the_late_no_is(world: World) -> None:
    async with (
        Receiver().listening() as hook,
        Buyer(bids("21.00"), one_after_another(UNCLEAR, REJECTS)) as first,
        Buyer(bids("20.00")) as second,
    ):
        document = telling({"first": first, "second": second}, {"first": hook, "second": hook})
        document["buyers"]["first"]["endpoint"]["idempotent_post"] = True
        await world.apply(document)
        post = await world.post((await world.ping())["ping_id"])
        assert (post["status"], await told(world)) == ("pending", [])
        await reconcile(world)
        found = await told(world)
    assert [(bid["buyer"], bid["reason"], bid["sold"]) for bid in found] == [
        ("first", 502, False), ("second", 307, False),
    ]  # fmt: skip


# --- limits ---------------------------------------------------------------------------------------------------------


async def several(world: World, hook: Buyer, count: int, secrets: Sequence[str] = (SECRET,), **terms: Any) -> None:
    """So many lost bids of the buyer `second`, ready to be told."""
    async with Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        document = telling({"first": first, "second": second}, {"second": hook}, notices=TERMS | terms)
        document["buyers"]["second"]["notices"] = {"url": hook.url, "secrets": list(secrets)}
        await world.apply(document)
        for _ in range(count):
            await world.post((await world.ping())["ping_id"])
    await pass_time(world)


async def test_many_lost_bids_go_into_few_notices(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook:
        await several(world, hook, 7)
        assert await look(world, bids_max=3) == 7
        await send_all(world)
    found = [verified(received)["data"]["bids"] for received in receiver.got]
    assert sorted(map(len, found)) == [1, 3, 3]
    assert len({bid["ping_id"] for some in found for bid in some}) == 7


async def test_where_too_many_wait_for_a_buyer_more_are_dropped_and_counted(world: World) -> None:
    labels = {"buyer": "second", "outcome": "dropped"}
    before = counted("exchange_notice_bids_total", **labels)
    async with Receiver().listening() as hook:
        await several(world, hook, 5)
        await look(world, bids_max=1, waiting_max=2)
    assert len(await lost(world)) == 2
    assert counted("exchange_notice_bids_total", **labels) - before == 3
    assert await to_tell(world) == []


async def test_what_is_too_old_is_not_told_any_more_and_counted(world: World) -> None:
    labels = {"buyer": "second", "outcome": "expired"}
    before = counted("exchange_notice_bids_total", **labels)
    async with Receiver().listening() as hook:
        await several(world, hook, 2, delay_min=0)
        assert await look(world, age_s=0) == 2
    assert (await lost(world), await to_tell(world)) == ([], [])
    assert counted("exchange_notice_bids_total", **labels) - before == 2


async def test_a_campaign_that_tells_nothing_any_more_is_obeyed_for_what_waits(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        document = telling({"first": first, "second": second}, {"second": hook})
        await world.apply(document)
        await world.post((await world.ping())["ping_id"])
        del document["campaigns"]["auto-us"]["notices"]
        await world.apply(document)
        assert (await told(world), await to_tell(world)) == ([], [])


# --- at least once --------------------------------------------------------------------------------------------------


async def test_a_notice_that_was_not_taken_is_sent_again_given_up_listed_and_sent_by_an_operator(world: World) -> None:
    receiver = Receiver([500])
    async with receiver.listening() as hook:
        await several(world, hook, 2)
        await look(world)
        for _ in range(PACE.tries_max):
            await make_due(world)
            await send_all(world)
        [listed] = await outbox_command.listed(world.database, "dead", 10)
        assert (listed.scope, listed.subject, listed.event, listed.detail) == (
            "buyer", "second", "bid.lost", "HTTP 500",
        )  # fmt: skip
        shown = json.loads(outbox_command.as_json([listed]))[0]
        assert (shown["buyer"], shown["kind"], shown["post_id"]) == ("second", "buyer_notice", None)
        console = Console(record=True, width=200)
        console.print(outbox_command.table([listed]))
        assert "second bid.lost" in console.export_text()
        receiver.answers = [200]
        assert await outbox_command.retry(world.database, [listed.outbox_id], every=False) == 1
        await send_all(world)
    [row] = await outbox_rows(world)
    assert (row["state"], row["tries"]) == ("done", 1)
    assert len({received.headers["webhook-id"] for received in receiver.got}) == 1
    assert len({received.body for received in receiver.got}) == 1


async def test_while_a_secret_is_replaced_both_are_right_and_without_one_it_waits(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook:
        await several(world, hook, 1, ["${env:NEXT}", OTHER_SECRET])
        await look(world)
        await send_all(world)
        [row] = await outbox_rows(world)
        assert (receiver.got, row["state"]) == ([], "waiting")
        await make_due(world)
        await send_all(world, environment={"NEXT": SECRET})
    [received] = receiver.got
    assert verified(received, SECRET) == verified(received, OTHER_SECRET)


async def test_two_workers_tell_each_bid_once(world: World) -> None:
    async with Receiver().listening() as hook:
        await several(world, hook, 6)
        await asyncio.gather(*(look(world) for _ in range(4)))
    found = await lost(world)
    assert (len(found), len({bid["ping_id"] for bid in found})) == (6, 6)


async def test_a_worker_that_is_lost_while_it_looks_leaves_everything_to_the_next(world: World) -> None:
    async with Receiver().listening() as hook:
        await several(world, hook, 3)
        async with world.locked("outbox"):
            lost_one = asyncio.create_task(look(world))
            await until(world.waiting_for_locks, bool)
            lost_one.cancel()
            await asyncio.gather(lost_one, return_exceptions=True)
        await until(world.waiting_for_locks, lambda count: not count)
        assert (await lost(world), len(await to_tell(world))) == ([], 3)
        assert await look(world) == 3
    assert len(await lost(world)) == 3


async def test_a_sale_that_is_rolled_back_tells_nobody(world: World) -> None:
    """The notice of a sale is written by the transaction that makes it."""
    async with Receiver().listening() as hook, Buyer(bids("21.00"), UNCLEAR) as buyer:
        await world.apply(telling({"rolled": buyer}, {"rolled": hook}))
        post = await world.post((await world.ping())["ping_id"])
        accept = "update attempts set state = 'accepted', resolved_at = now() where post_id = $1"
        async with world.holding(accept, post["post_id"]):
            assert await outbox_rows(world) == []
        assert await outbox_rows(world) == []
