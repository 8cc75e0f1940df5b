"""Connections to buyers: kept, shared, retried once, drained, given back, and never more of them than allowed."""

import asyncio
import errno
import socket
import time
from collections.abc import AsyncIterator

import pytest
from misbehaviour import BadBuyer, Stale, answer, bid, black_hole, keeps_saying, says, silent
from ping_engine import Engine, engine, eventually

from exchange.buyers import dialling
from exchange.buyers.calls import NOT_CONNECTED, SILENT
from exchange.buyers.connection import LOST_MIDWAY, LOST_SILENT
from exchange.buyers.dialling import NOT_IN_TIME
from exchange.buyers.limits import Limits
from exchange.buyers.pool import BUSY
from exchange.values.bid import Bid, Refusal
from exchange.values.deadline import Deadline
from exchange.values.reason import Reason

TEN = Bid(10_000_000)
LATE_TEN = Refusal(Reason.LATE, gross_micros=10_000_000)


@pytest.fixture
async def asking() -> AsyncIterator[Engine]:
    async with engine() as opened:
        yield opened


async def test_a_connection_is_kept_and_the_last_used_is_used_first(asking: Engine) -> None:
    async with BadBuyer(keeps_saying(bid())) as buyer:
        await asking.warmed(buyer, 5)
        for _ in range(20):
            assert (await asking.ask(buyer))[0].reply == TEN
        assert buyer.connections == 5
    assert asking.fanout.stats()._asdict().items() >= {"made": 5, "reused": 20, "retried": 0, "busy": 0}.items()


async def test_a_stale_connection_costs_one_request_and_no_outcome(asking: Engine) -> None:
    async with BadBuyer(Stale()) as buyer:
        assert (await asking.ask(buyer))[0].reply == TEN
        assert (await asking.ask(buyer))[0].reply == TEN
        assert (buyer.connections, len(buyer.requests)) == (2, 3)
        assert buyer.requests[0] == buyer.requests[1] == buyer.requests[2]
    assert asking.fanout.stats().retried == 1


async def test_a_farewell_that_crosses_with_a_request_is_no_answer_to_it(asking: Engine) -> None:
    async with BadBuyer(Stale(answer("", 408, "Connection: close"))) as buyer:
        assert (await asking.ask(buyer))[0].reply == TEN
        assert (await asking.ask(buyer))[0].reply == TEN
    assert asking.fanout.stats().retried == 1


async def test_nothing_is_retried_once_a_byte_of_the_answer_has_come(asking: Engine) -> None:
    async with BadBuyer(Stale(b"H")) as buyer:
        assert (await asking.ask(buyer))[0].reply == TEN
        assert (await asking.ask(buyer))[0].reply == LOST_MIDWAY
        assert len(buyer.requests) == 2


async def test_nothing_is_retried_twice(asking: Engine) -> None:
    async with BadBuyer(Stale(good_from=99)) as buyer:
        buyer.script = says(bid(), b"", pause_s=0.05)
        assert (await asking.ask(buyer))[0].reply == TEN
        buyer.script = says()
        await eventually(lambda: asking.fanout.stats().idle == 0)
        assert (await asking.ask(buyer))[0].reply == LOST_SILENT
        assert len(buyer.requests) == 2


async def test_a_retry_that_breaks_too_is_a_lost_connection(asking: Engine) -> None:
    async with BadBuyer(Stale(good_from=99)) as buyer:
        assert (await asking.ask(buyer))[0].reply == TEN
        buyer.script = says()
        assert (await asking.ask(buyer))[0].reply == LOST_SILENT
        assert len(buyer.requests) == 3


async def test_connections_that_a_restart_has_closed_are_not_used(asking: Engine) -> None:
    async with BadBuyer(keeps_saying(bid())) as buyer:
        await asking.warmed(buyer, 5)
        buyer.close_connections()
        await eventually(lambda: asking.fanout.stats().open == 0)
        assert (await asking.ask(buyer))[0].reply == TEN
    assert asking.fanout.stats().retried == 0


async def test_bytes_that_nobody_asked_for_end_an_idle_connection(asking: Engine) -> None:
    async with BadBuyer(says(bid(), bid("99.00"), b"", pause_s=0.05)) as buyer:
        assert (await asking.ask(buyer))[0].reply == TEN
        await eventually(lambda: asking.fanout.stats().open == 0)
        assert (await asking.ask(buyer))[0].reply == TEN


async def test_a_second_answer_in_the_same_packet_ends_the_connection(asking: Engine) -> None:
    async with BadBuyer(keeps_saying(bid() + bid("99.00"))) as buyer:
        for _ in range(3):
            assert (await asking.ask(buyer))[0].reply == TEN
        assert buyer.connections == 3


async def test_a_call_gets_the_first_connection_that_becomes_free() -> None:
    async with engine(Limits(dials_max=1)) as asking, BadBuyer(keeps_saying(bid(), after_s=0.1)) as buyer:
        first = asyncio.create_task(asking.ask(buyer))
        await eventually(lambda: len(buyer.requests) == 1)
        with black_hole() as url:
            pool, nowhere = asking.line(buyer).pool, asking.line(url).pool
            assert pool is not None
            assert nowhere is not None
            pool._dialler = nowhere._dialler
            assert [one.reply for one in (*await asking.ask(buyer), *await first)] == [TEN, TEN]
        assert buyer.connections == 1


async def test_an_answer_after_its_own_deadline_is_late_and_keeps_its_price(asking: Engine) -> None:
    async with BadBuyer(keeps_saying(bid(), after_s=0.2)) as slow, BadBuyer(keeps_saying(bid(), after_s=0.6)) as slower:
        calls = [asking.call(slow, timeout_ms=50), asking.call(slower, timeout_ms=5_000)]
        asked = await asking.fanout.ask(calls, Deadline.after_ms(8_000))
        assert [one.reply for one in asked] == [LATE_TEN, TEN]
        assert asked[0].elapsed_ms is not None
        assert asked[0].elapsed_ms > 50
    assert asking.fanout.stats().drained == 0


async def test_a_late_refusal_stays_what_it_is(asking: Engine) -> None:
    no = keeps_saying(answer("", 503), after_s=0.2)
    async with BadBuyer(no) as slow, BadBuyer(keeps_saying(bid(), after_s=0.6)) as slower:
        calls = [asking.call(slow, timeout_ms=50), asking.call(slower, timeout_ms=5_000)]
        asked = await asking.fanout.ask(calls, Deadline.after_ms(8_000))
        assert asked[0].reply == Refusal(Reason.SERVER_ERROR, "HTTP 503")


async def test_an_answer_after_the_decision_is_drained_and_its_connection_used_again(asking: Engine) -> None:
    async with BadBuyer(keeps_saying(bid(), after_s=0.2)) as slow:
        await asking.warmed(slow)
        assert (await asking.ask(slow, timeout_ms=50))[0].reply == SILENT
        await eventually(lambda: asking.fanout.stats().idle == 1)
        assert asking.fanout.stats().drained == 1
        assert (await asking.ask(slow))[0].reply == TEN
        assert slow.connections == 1


async def test_a_connection_whose_answer_never_comes_is_closed() -> None:
    async with engine(Limits(drain_s=0.1, sweep_s=0.02)) as asking, BadBuyer(silent) as never:
        await asking.warmed(never)
        assert (await asking.ask(never, timeout_ms=30))[0].reply == SILENT
        assert asking.fanout.stats().open == 1
        await eventually(lambda: asking.fanout.stats().open == 0)
        await eventually(lambda: not never.open)


async def test_a_drained_answer_that_is_broken_closes_its_connection(asking: Engine) -> None:
    async with BadBuyer(keeps_saying(b"Hello!\r\n\r\n", after_s=0.1)) as bad:
        await asking.warmed(bad)
        assert (await asking.ask(bad, timeout_ms=20))[0].reply == SILENT
        await eventually(lambda: asking.fanout.stats().open == 0)


async def test_idle_connections_are_closed_in_time() -> None:
    async with engine(Limits(idle_s=0.1, sweep_s=0.02)) as asking, BadBuyer(keeps_saying(bid())) as buyer:
        assert (await asking.ask(buyer))[0].reply == TEN
        await eventually(lambda: asking.fanout.stats().open == 0)
        await eventually(lambda: not buyer.open)


async def test_an_old_connection_is_not_used_again(asking: Engine) -> None:
    async with BadBuyer(keeps_saying(bid())) as buyer:
        await asking.warmed(buyer)
        pool = asking.line(buyer).pool
        assert pool is not None
        [connection] = pool._idle
        assert 0.7 * Limits().age_s < connection.retire_at_s - time.monotonic() < 1.3 * Limits().age_s
        connection.retire_at_s = 0.0
        assert (await asking.ask(buyer))[0].reply == TEN
        assert (asking.fanout.stats().open, buyer.connections) == (0, 1)
        assert (await asking.ask(buyer))[0].reply == TEN
        assert buyer.connections == 2


async def test_no_call_queues_for_more_connections_than_allowed() -> None:
    async with engine(Limits(connections_max=3)) as asking, BadBuyer(keeps_saying(bid(), after_s=0.1)) as buyer:
        asked = await asking.fanout.ask([asking.call(buyer) for _ in range(5)], Deadline.after_ms(5_000))
        assert [one.reply for one in asked] == [TEN, TEN, TEN, BUSY, BUSY]
        assert (await asking.ask(buyer))[0].reply == TEN
        assert buyer.connections == 3
    assert asking.fanout.stats().busy == 2


async def test_all_endpoints_together_have_a_limit_too() -> None:
    slow = keeps_saying(bid(), after_s=0.05)
    async with engine(Limits(sockets_max=2)) as asking, BadBuyer(slow) as one, BadBuyer(slow) as two:
        asked = await asking.fanout.ask([asking.call(buyer) for buyer in (one, two, two)], Deadline.after_ms(5_000))
        assert [reply for _, reply, _ in asked] == [TEN, TEN, BUSY]


async def test_few_connect_at_a_time_and_the_others_wait_for_whichever_comes_first() -> None:
    async with engine(Limits(dials_max=2)) as asking, BadBuyer(keeps_saying(bid())) as buyer:
        asked = await asking.fanout.ask([asking.call(buyer) for _ in range(50)], Deadline.after_ms(5_000))
        assert [one.reply for one in asked] == [TEN] * 50
        assert buyer.connections < 50


async def test_calls_that_take_a_connection_over_survive_that_the_buyer_closes_it() -> None:
    async with engine(Limits(dials_max=1)) as asking, BadBuyer(says(bid())) as buyer:
        asked = await asking.fanout.ask([asking.call(buyer) for _ in range(12)], Deadline.after_ms(5_000))
        assert [one.reply for one in asked] == [TEN] * 12


async def test_pools_are_warmed_within_their_limits() -> None:
    async with engine(Limits(connections_max=4)) as asking, BadBuyer(keeps_saying(bid())) as buyer:
        asking.fanout.warm([asking.line(buyer), asking.line("http://[broken")], 3)
        await eventually(lambda: asking.fanout.stats().idle == 3)
        asking.fanout.warm([asking.line(buyer)], 9)
        await eventually(lambda: asking.fanout.stats().idle == 4)
        assert (await asking.ask(buyer))[0].reply == TEN
        assert asking.fanout.stats()._asdict().items() >= {"made": 4, "reused": 1}.items()


async def test_nobody_listens(asking: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    async with BadBuyer(keeps_saying(bid())) as good:
        asked = await asking.ask(f"http://127.0.0.1:{port}/bid", good)
    assert [one.reply for one in asked] == [Refusal(Reason.CONNECT_FAILED, "ECONNREFUSED"), TEN]


async def test_a_black_hole_is_a_failed_connection_if_that_is_over_in_time() -> None:
    async with engine(Limits(connect_s=0.1)) as asking, BadBuyer(keeps_saying(bid())) as good:
        with black_hole() as url:
            assert [one.reply for one in await asking.ask(url, good)] == [NOT_IN_TIME, TEN]
            assert (await asking.ask(url, timeout_ms=20))[0].reply == NOT_CONNECTED
            await eventually(lambda: asking.fanout.stats().not_made == 2)


async def test_a_line_that_cannot_be_put_on_the_wire_fails_alone(asking: Engine) -> None:
    broken = asking.fanout.line("broken", "http://127.0.0.1/bid", {"X-Key": "two\r\nlines"}, "T")
    async with BadBuyer(keeps_saying(bid())) as good:
        call = asking.call(good)
        call.line = broken
        asked = await asking.fanout.ask([call, asking.call(good)], Deadline.after_ms(5_000))
    assert isinstance(asked[0].reply, Refusal)
    assert asked[0].reply.reason is Reason.INTERNAL_ERROR
    assert asked[1].reply == TEN


async def test_closing_ends_the_calls_that_are_under_way() -> None:
    async with engine() as asking, BadBuyer(silent) as never:
        ping = asyncio.create_task(asking.ask(never))
        await eventually(lambda: asking.fanout.stats().made == 1)
        await asking.fanout.close()
        [asked] = await ping
        assert isinstance(asked.reply, Refusal)
        assert asked.reply.reason is Reason.INTERNAL_ERROR
        assert (await asking.ask(never))[0].reply == asked.reply


async def test_closing_does_not_wait_for_a_connection(asking: Engine) -> None:
    with black_hole() as url:
        assert (await asking.ask(url, timeout_ms=20))[0].reply == NOT_CONNECTED
        await asking.fanout.close()


async def test_a_process_without_sockets_left_says_that_it_is_its_own_fault(
    asking: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with BadBuyer(keeps_saying(bid())) as buyer, BadBuyer(keeps_saying(bid())) as other:
        assert (await asking.ask(buyer))[0].reply == TEN
        with monkeypatch.context() as patched:
            patched.setattr(dialling, "socket", NoneLeft)
            assert [one.reply for one in await asking.ask(buyer, other)] == [TEN, dialling.NO_SOCKET]
        assert [one.reply for one in await asking.ask(buyer, other)] == [TEN, TEN]


class NoneLeft:
    """The socket module of a process that has as many as it may."""

    SOCK_STREAM = socket.SOCK_STREAM

    @staticmethod
    def socket(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")


async def test_a_market_without_them_lets_go_of_its_endpoints() -> None:
    async with engine(Limits(idle_s=0.05, sweep_s=0.02)) as asking, BadBuyer(keeps_saying(bid())) as buyer:
        for _ in range(5):
            assert (await asking.ask(buyer))[0].reply == TEN
            assert len(asking.fanout._pools) == 1
            asking.lines.clear()
            await eventually(lambda: not asking.fanout._pools)
    assert asking.fanout.stats().made == 5
