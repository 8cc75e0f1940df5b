"""What the metrics say of what seldom happens: a broken invariant, a hint that misled, a loop that is held up."""

import asyncio
import time

from support.buyer import Buyer, bids
from support.market import market
from support.unknowns import UNCLEAR, attempt_of, counted
from support.world import World

from exchange import worker
from exchange.commands import records
from exchange.observe.pulse import Pulse

BALANCES = "every buyer's balance is the sum of its transfers"


async def test_a_broken_invariant_is_seen_by_a_worker_and_so_is_its_repair(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        await world.post((await world.ping())["ping_id"])
    for change, broken in ((1, 1), (-1, 0)):
        await world.rows("update accounts set balance_micros = balance_micros + $1 where kind = 'buyer'", change)
        await worker._check(world.database, asyncio.Event())
        assert counted("exchange_invariants_broken", invariant=BALANCES) == broken
        assert f'exchange_invariants_broken{{invariant="{BALANCES}"}} {broken}.0' in (
            (await world.client.get("/metrics")).text
        )


async def test_a_worker_that_is_to_stop_does_not_wait_for_a_check(world: World) -> None:
    stop = asyncio.Event()
    async with world.holding("lock table accounts in access exclusive mode"):
        checking = asyncio.create_task(worker._check(world.database, stop))
        while not await world.waiting_for_locks():
            await asyncio.sleep(0.02)
        stop.set()
        await checking


async def test_an_offer_that_cannot_be_kept_is_counted_with_its_cause(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = market({"only": buyer})
        document["buyers"]["only"]["credit_limit"] = "30.00"
        await world.apply(document)
        before = counted("exchange_claims_refused_total", campaign="auto-us", reason="insufficient_balance")
        offers = [await world.ping() for _ in range(2)]
        statuses = [(await world.post(offer["ping_id"]))["status"] for offer in offers]
        assert statuses == ["accepted", "rejected"]
        after = counted("exchange_claims_refused_total", campaign="auto-us", reason="insufficient_balance")
        assert after == before + 1


async def test_a_held_up_event_loop_lags() -> None:
    pulse = Pulse("gateway")
    before = counted("exchange_loop_lag_seconds_sum")
    pulse.start()
    await asyncio.sleep(0.01)
    time.sleep(0.5)  # noqa: ASYNC251  # this is what it is about
    seen = counted("exchange_loop_lag_seconds_count")
    while counted("exchange_loop_lag_seconds_count") == seen:  # nobody says when it beats
        await asyncio.sleep(0.01)
    await pulse.close()
    assert counted("exchange_loop_lag_seconds_sum") - before > 0.3


async def test_operators_verdicts_are_counted_by_a_worker(world: World) -> None:
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        await world.apply(market({"only": buyer}))
        post = await world.post((await world.ping())["ping_id"])
        attempt = await attempt_of(world, post)
        await records.resolve_attempt(world.database, attempt["attempt_id"], accepted=True, note="he has it")
        await worker._recover(world.database)
    assert counted("exchange_operator_verdicts", verdict="accepted") == 1
