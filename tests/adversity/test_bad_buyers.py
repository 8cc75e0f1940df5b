"""Bad buyers on real sockets: each has his code, and neither another buyer's outcome nor the ping's time changes."""

import time
from collections.abc import AsyncIterator

import pytest
from misbehaviour import ALL, CHUNKED, GOOD, HEAD, BadBuyer, Script, answer, bid, keeps_saying, says, silent, text
from ping_engine import Engine, engine, eventually

from exchange.values.bid import Bid, Refusal
from exchange.values.deadline import Deadline
from exchange.values.reason import Reason

TIMEOUT_MS = 150
SLACK_MS = 2_000
"""How much later than it should a ping may end here: other tests run beside."""


@pytest.fixture
async def asking() -> AsyncIterator[Engine]:
    async with engine() as opened:
        yield opened


ODD_BUT_GOOD: list[tuple[str, Script]] = [
    ("HTTP/1.0 with a length", says(b"HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n" + GOOD)),
    ("HTTP/1.0 until the end", says(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD)),
    ("HTTP/1.1 until the end", says(b"HTTP/1.1 200 OK\r\n\r\n" + GOOD[:5], GOOD[5:], pause_s=0.01)),
    ("Connection: close", says(answer(GOOD, 200, "Connection: close"))),
    ("100, then 200", says(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + GOOD)),
    ("103, a pause, then 200", says(b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", HEAD + GOOD, pause_s=0.01)),
    ("byte by byte", says(*[bytes([c]) for c in HEAD + GOOD])),
    ("chunks", says(CHUNKED + b"8;x=y\r\n" + GOOD[:8] + b"\r\n7\r\n", GOOD[8:], b"\r\n0\r\n\r\n", pause_s=0.01)),
    ("a trailer", says(CHUNKED + b"f\r\n" + GOOD + b"\r\n0\r\nContent-Encoding: gzip\r\n\r\n")),
    ("an answer too many", says(HEAD + GOOD + HEAD + GOOD)),
    ("half an answer too many", says(HEAD + GOOD + HEAD[:10])),
    ("rubbish after the answer", says(HEAD + GOOD + b"rubbish")),
    ("64 KiB", text(GOOD.ljust(65_536))),
    ("identity", says(answer(GOOD, 200, "Content-Encoding: identity"))),
    ("100 headers", says(answer(GOOD, 200, *["X: y"] * 99))),
]  # fmt: skip


@pytest.mark.parametrize(("script", "reason"), [case[1:] for case in ALL], ids=[case.name for case in ALL])
async def test_a_bad_answer_has_its_code_and_harms_nobody(asking: Engine, script: Script, reason: Reason) -> None:
    async with BadBuyer(keeps_saying(bid("11.00"))) as first, BadBuyer(script) as bad, BadBuyer(says(bid())) as last:
        patient_ms = TIMEOUT_MS if reason is Reason.TIMEOUT else 5_000
        calls = [asking.call(first, 5_000), asking.call(bad, patient_ms), asking.call(last, 5_000)]
        started_s = time.monotonic()
        asked = await asking.fanout.ask(calls, Deadline.after_ms(9_000))
        elapsed_ms = (time.monotonic() - started_s) * 1000
    assert [one.order for one in asked] == ["order-0", "order-1", "order-2"]
    assert asked[0].reply == Bid(11_000_000)
    assert asked[2].reply == Bid(10_000_000)
    assert isinstance(asked[1].reply, Refusal)
    assert asked[1].reply.reason is reason
    assert asked[1].reply.gross_micros is None or reason is Reason.WRONG_CURRENCY
    assert elapsed_ms < TIMEOUT_MS + SLACK_MS


@pytest.mark.parametrize("script", [case[1] for case in ODD_BUT_GOOD], ids=[case[0] for case in ODD_BUT_GOOD])
async def test_an_odd_answer_is_understood(asking: Engine, script: Script) -> None:
    async with BadBuyer(script) as odd:
        for _ in range(3):
            [asked] = await asking.ask(odd)
            assert asked.reply == Bid(10_000_000)
        await eventually(lambda: asking.fanout.stats().idle == 0)


async def test_the_auction_lasts_no_longer_than_the_last_deadline_that_matters(asking: Engine) -> None:
    async with BadBuyer(silent) as never, BadBuyer(keeps_saying(bid(), after_s=0.05)) as good:
        calls = [asking.call(never, timeout_ms=100), asking.call(good, timeout_ms=5_000)]
        started_s = time.monotonic()
        asked = await asking.fanout.ask(calls, Deadline.after_ms(8_000))
        assert time.monotonic() - started_s < 4
        assert asked[0].elapsed_ms is not None
        assert 100 <= asked[0].elapsed_ms < 4_000
        assert [one.reply for one in asked] == [Refusal(Reason.TIMEOUT), Bid(10_000_000)]
