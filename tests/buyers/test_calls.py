"""A round of calls: each ends with one outcome, the last that matters ends the round, and nothing is left of it."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable

import pytest
from support.buyer import Buyer, bids, silent

from exchange.buyers.calls import SILENT, Call
from exchange.buyers.dialects import native
from exchange.buyers.fanout import Fanout
from exchange.buyers.line import Line
from exchange.values.bid import Bid, Refusal, Reply
from exchange.values.deadline import Deadline
from exchange.values.market import Sale
from exchange.values.reason import Reason

READ = native.bid_reader(sale=Sale.EXCLUSIVE, currency="USD")
TEN = Bid(10_000_000, "b1")


@pytest.fixture
async def fanout() -> AsyncIterator[Fanout]:
    found = Fanout(allow_private=True)
    yield found
    await found.close()


def line(fanout: Fanout, buyer: Buyer, order: str = "order") -> Line:
    return fanout.line(order, f"{buyer.url}/bid", native.ping_headers(order), native.TIMEOUT_HEADER)


def call(line: Line, timeout_ms: int = 2_000, read: Callable[[int, bytes], Reply] = READ, body: bytes = b"{}") -> Call:
    return Call(line, body, timeout_ms, read)


async def test_nobody_to_ask(fanout: Fanout) -> None:
    assert await fanout.ask([], Deadline.after_ms(5_000)) == ()


async def test_outcomes_are_in_the_order_of_the_calls(fanout: Fanout) -> None:
    async with Buyer(bids("10.00")) as one, Buyer(bids("11.00")) as two:
        calls = [call(line(fanout, buyer, f"order-{index}")) for index, buyer in enumerate([one, two, one, two])]
        asked = await fanout.ask(calls, Deadline.after_ms(5_000))
    assert [(found.order, found.reply) for found in asked] == [
        ("order-0", TEN),
        ("order-1", Bid(11_000_000, "b1")),
        ("order-2", TEN),
        ("order-3", Bid(11_000_000, "b1")),
    ]
    assert all(found.elapsed_ms is not None and 0 < found.elapsed_ms < 5_000 for found in asked)


async def test_each_buyer_is_told_his_own_time_and_sent_his_own_body(fanout: Fanout) -> None:
    async with Buyer(bids("10.00")) as buyer:
        way = line(fanout, buyer)
        calls = [call(way, 2_000, body=b"{}"), call(way, 1_500, body=b"{}"), call(way, 1_500, body=b'{"a":1}')]
        await fanout.ask(calls, Deadline.after_ms(5_000))
        told = sorted((ping.headers["exchange-timeout-ms"], ping.body) for ping in buyer.pings)
    assert told == [("1500", b'{"a":1}'), ("1500", b"{}"), ("2000", b"{}")]
    assert {ping.headers["accept-encoding"] for ping in buyer.pings} == {"identity"}


async def test_the_decision_is_not_later_than_it_may_be(fanout: Fanout) -> None:
    async with Buyer(silent) as buyer:
        started_s = time.monotonic()
        [asked] = await fanout.ask([call(line(fanout, buyer), 60_000)], Deadline.after_ms(100))
        assert asked.reply == SILENT
        assert 0.1 <= time.monotonic() - started_s < 5


async def test_a_dialect_that_fails_costs_one_bid(fanout: Fanout) -> None:
    def fails(status: int, body: bytes) -> Reply:
        raise LookupError(status, body)

    async with Buyer(bids("10.00")) as buyer:
        way = line(fanout, buyer)
        asked = await fanout.ask([call(way, read=fails), call(way)], Deadline.after_ms(5_000))
    assert [found.reply for found in asked] == [Refusal(Reason.INTERNAL_ERROR, "LookupError"), TEN]


class Broken(asyncio.Transport):
    """A transport on which nothing can be written any more."""

    aborted = False

    def write(self, data: object) -> None:
        raise RuntimeError(data)

    def abort(self) -> None:
        self.aborted = True


async def test_a_connection_that_cannot_be_written_to_costs_one_bid(fanout: Fanout) -> None:
    async with Buyer(bids("10.00")) as buyer:
        way = line(fanout, buyer)
        await fanout.ask([call(way)], Deadline.after_ms(5_000))
        assert way.pool is not None
        [connection] = way.pool._idle
        working, connection._transport = connection._transport, Broken()
        asked = await fanout.ask([call(way), call(way)], Deadline.after_ms(5_000))
        assert [found.reply for found in asked] == [Refusal(Reason.INTERNAL_ERROR, "RuntimeError"), TEN]
        assert connection._transport.aborted
        working.abort()


async def test_a_call_that_makes_no_sense_fails_alone(fanout: Fanout) -> None:
    async with Buyer(bids("10.00")) as buyer:
        way = line(fanout, buyer)
        nonsense = call(Line("order", way.pool, None))  # type: ignore[arg-type]  # what no head can be
        asked = await fanout.ask([nonsense, call(way)], Deadline.after_ms(5_000))
    assert [found.reply for found in asked] == [Refusal(Reason.INTERNAL_ERROR, "TypeError"), TEN]


async def test_rounds_leave_nothing_to_the_garbage_collector(fanout: Fanout) -> None:
    async with Buyer(bids("10.00")) as buyer, Buyer(silent) as never:
        ways = [line(fanout, buyer), line(fanout, never)]
        await fanout.ask([call(way, 100) for way in ways], Deadline.after_ms(5_000))
        tracked = []
        for _ in range(2):
            gc.collect()
            gc.disable()
            try:
                for _ in range(10):
                    await fanout.ask([call(ways[0]), call(ways[0])], Deadline.after_ms(5_000))
                tracked.append(sum(isinstance(found, Call) for found in gc.get_objects()))
            finally:
                gc.enable()
        assert tracked == [0, 0]


async def test_a_cancelled_round_ends_at_once(fanout: Fanout) -> None:
    async with Buyer(silent) as never:
        ping = asyncio.create_task(fanout.ask([call(line(fanout, never))], Deadline.after_ms(60_000)))
        await asyncio.sleep(0.05)
        ping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ping
    assert not [found for found in gc.get_objects() if isinstance(found, Call)]
