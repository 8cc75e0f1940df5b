"""What pings leave behind is nothing: no slot, task, timer, socket or object, cancelled or not, however many."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import pytest
from misbehaviour import CHUNKED, GOOD, BadBuyer, Script, Stale, answer, bid, keeps_saying, says, silent
from ping_engine import Engine, engine, engine_objects, eventually, live_timers, open_sockets, other_tasks

from exchange.buyers.limits import Limits
from exchange.values.bid import Bid, Reply
from exchange.values.deadline import Deadline

TEN = Bid(10_000_000)
GOOD_COUNT = 16


@pytest.mark.parametrize("under_way", [0, 100, 500])
async def test_500_pings_that_are_cancelled_give_everything_back(under_way: int) -> None:
    limits = Limits(connections_max=500, connect_s=8, drain_s=0.2, idle_s=1, sweep_s=0.05)
    async with engine(limits) as asking, BadBuyer(silent) as never, BadBuyer(keeps_saying(bid())) as good:
        tasks, sockets = other_tasks(), open_sockets()
        pings = [asyncio.create_task(asking.ask(never, good, timeout_ms=60_000, decide_ms=60_000)) for _ in range(500)]
        await eventually(lambda: len(never.open) >= under_way)
        for ping in pings:
            ping.cancel()
        await asyncio.wait(pings)
        assert all(ping.cancelled() for ping in pings)
        never.script = keeps_saying(bid())
        await eventually(lambda: nothing_under_way(asking))
        asked = await asking.fanout.ask([asking.call(never) for _ in range(500)], Deadline.after_ms(9_000))
        assert Counter(one.reply for one in asked) == {TEN: 500}
        await eventually(lambda: other_tasks() <= tasks and open_sockets() <= sockets)
        assert asking.fanout.stats().open == asking.fanout._sockets.count == 0
        assert all("_sweep" in repr(timer) for timer in live_timers())
        del pings, ping, asked
        gc.collect()  # a task that was cancelled holds its own traceback
        assert not engine_objects()


async def test_1000_auctions_of_20_buyers_leave_nothing_behind() -> None:
    async with contest() as (asking, buyers):
        tasks, sockets = other_tasks(), open_sockets()
        assert await auctions(asking, buyers, 1_000) == {TEN: 1_000 * GOOD_COUNT}
        await eventually(lambda: asking.fanout.stats().open == 0)
        assert asking.fanout._sockets.count == 0
        await eventually(lambda: other_tasks() <= tasks and open_sockets() <= sockets)
        assert all("_sweep" in repr(timer) for timer in live_timers())
        await eventually(lambda: not engine_objects())


async def test_auctions_leave_no_work_for_the_garbage_collector() -> None:
    async with contest() as (asking, buyers):
        with no_collector():
            await auctions(asking, buyers, 100)
            await eventually(lambda: asking.fanout.stats().open == 0)
            await eventually(lambda: not engine_objects())


@asynccontextmanager
async def contest() -> AsyncIterator[tuple[Engine, list[BadBuyer]]]:
    """An engine and twenty buyers, the good ones first."""
    limits = Limits(connect_s=8, drain_s=0.3, idle_s=0.3, sweep_s=0.05)
    chunked = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    good = [keeps_saying(bid()), keeps_saying(chunked)] * (GOOD_COUNT // 2)
    bad: list[Script] = [keeps_saying(answer("", 503)), says(CHUNKED), says(bid()), Stale(good_from=10**6)]
    async with engine(limits) as asking, AsyncExitStack() as stack:
        yield asking, [await stack.enter_async_context(BadBuyer(script)) for script in (*good, *bad)]


async def auctions(asking: Engine, buyers: list[BadBuyer], count: int) -> Counter[Reply]:
    """Holds auctions, ten at a time; what became of the good buyers."""
    found: Counter[Reply] = Counter()
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            asked = await asking.ask(*buyers, timeout_ms=20_000, decide_ms=30_000)
            found.update(one.reply for one in asked[:GOOD_COUNT])

    await asyncio.gather(*(work() for _ in range(10)))
    return found


def nothing_under_way(asking: Engine) -> bool:
    """Whether every slot is free: nobody waits, connects or is listened to."""
    pools = asking.fanout._pools.values()
    return all(not pool._waiting and not pool._dials and len(pool._connections) == len(pool._idle) for pool in pools)


@contextmanager
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
