"""Bad buyers on real sockets: each has his code, and neither another buyer's outcome nor the ping's time changes."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator

import pytest
from bad_buyer import BadBuyer, Engine, Peer, Script, answer, bid, engine, eventually, keeps_saying, says, silent

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


def text(body: bytes | str) -> Script:
    """A 200 with this body."""
    return says(answer(body))


def status(code: int, *headers: str) -> Script:
    """An answer with another status, which offers the best price of all."""
    return says(answer('{"bid":"99.00"}', code, *headers))


async def closes_at_once(_: Peer) -> None:
    """Closes before it has read anything."""


async def resets(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def endless_interim(peer: Peer) -> None:
    await peer.request()
    while True:
        await peer.say(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


async def endless_head(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        await peer.say(b"x" * 4_096)


async def endless_chunk_size(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
    while True:
        await peer.say(b"x" * 65_536)


def large(head: bytes) -> Script:
    """Ten million bytes of body."""
    return says(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", *[b" " * 1_000_000] * 10)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n"
GOOD = b'{"bid":"10.00"}'
BOMB = gzip.compress(b" " * 50_000_000)

SILENT: list[tuple[str, Script, Reason]] = [
    ("reads and says nothing", silent, Reason.TIMEOUT),
    ("does not even read", lambda _: asyncio.sleep(5), Reason.TIMEOUT),
    ("one byte of body every 50 ms", says(HEAD, *[bytes([c]) for c in GOOD], pause_s=0.05), Reason.TIMEOUT),
    ("one byte of head every 50 ms", says(*[bytes([c]) for c in HEAD], pause_s=0.05), Reason.TIMEOUT),
    ("a head and no body", says(HEAD, b"", pause_s=5), Reason.TIMEOUT),
]
BROKEN: list[tuple[str, Script, Reason]] = [
    ("closes at once", closes_at_once, Reason.CONNECTION_LOST),
    ("closes before the head", says(), Reason.CONNECTION_LOST),
    ("closes in the head", says(HEAD[:20]), Reason.CONNECTION_LOST),
    ("closes after the head", says(HEAD), Reason.CONNECTION_LOST),
    ("closes in the body", says(HEAD + GOOD[:-1]), Reason.CONNECTION_LOST),
    ("closes in a chunk", says(CHUNKED + b"f\r\n{"), Reason.CONNECTION_LOST),
    ("closes after an interim answer", says(b"HTTP/1.1 100 Continue\r\n\r\n"), Reason.CONNECTION_LOST),
    ("resets", resets, Reason.CONNECTION_LOST),
]
STATUSES: list[tuple[str, Script, Reason]] = [
    ("204", says(b"HTTP/1.1 204 No Content\r\n\r\n"), Reason.NO_BID),
    ("204 with a length", says(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), Reason.NO_BID),
    ("302", status(302, "Location: /bid"), Reason.REDIRECT_REFUSED),
    ("307 to elsewhere", status(307, "Location: http://127.0.0.1:1/bid"), Reason.REDIRECT_REFUSED),
    ("400", status(400), Reason.CLIENT_ERROR),
    ("408", status(408), Reason.CLIENT_ERROR),
    ("429", status(429, "Retry-After: 1"), Reason.TOO_MANY_REQUESTS),
    ("500", status(500), Reason.SERVER_ERROR),
    ("503", status(503), Reason.SERVER_ERROR),
    ("201", status(201), Reason.INVALID_RESPONSE),
    ("999", status(999), Reason.INVALID_RESPONSE),
]
NOT_HTTP: list[tuple[str, Script, Reason]] = [
    ("not HTTP", says(b"Hello!\r\n\r\n"), Reason.INVALID_RESPONSE),
    ("a TLS alert", says(b"\x15\x03\x01\x00\x02\x02\x46"), Reason.INVALID_RESPONSE),
    ("HTTP/2.0", says(b"HTTP/2.0 200 OK\r\nContent-Length: 15\r\n\r\n" + GOOD), Reason.INVALID_RESPONSE),
    ("101", says(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"), Reason.INVALID_RESPONSE),
    ("two lengths", says(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n" + HEAD[17:] + GOOD), Reason.INVALID_RESPONSE),
    ("a length and chunks", says(CHUNKED[:-2] + HEAD[17:]), Reason.INVALID_RESPONSE),
    ("a length that overflows", says(answer("", 200, "Content-Length: " + "9" * 30)), Reason.INVALID_RESPONSE),
    ("a negative length", says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Reason.INVALID_RESPONSE),
    ("gzip", says(answer(BOMB[:1000], 200, "Content-Encoding: gzip")), Reason.INVALID_RESPONSE),
    ("a gzip bomb", says(answer(BOMB, 200, "Content-Encoding: gzip")), Reason.INVALID_RESPONSE),
    ("compressed chunks", says(CHUNKED.replace(b"chunked", b"gzip, chunked")), Reason.INVALID_RESPONSE),
    ("10,000 headers", says(answer(GOOD, 200, *["X: y"] * 10_000)), Reason.INVALID_RESPONSE),
    ("a header of 40,000 bytes", says(answer(GOOD, 200, "X: " + "y" * 40_000)), Reason.INVALID_RESPONSE),
    ("a phrase of 40,000 bytes", says(b"HTTP/1.1 200 " + b"y" * 40_000 + b"\r\n\r\n"), Reason.INVALID_RESPONSE),
    ("a head without end", endless_head, Reason.INVALID_RESPONSE),
    ("interim answers without end", endless_interim, Reason.INVALID_RESPONSE),
]  # fmt: skip
TOO_LARGE: list[tuple[str, Script, Reason]] = [
    ("10 MB with a length", large(b"Content-Length: 10000000\r\n"), Reason.RESPONSE_TOO_LARGE),
    ("10 MB until the end", large(b""), Reason.RESPONSE_TOO_LARGE),
    ("10 MB in a chunk", large(b"Transfer-Encoding: chunked\r\n\r\n989680\r\n"), Reason.RESPONSE_TOO_LARGE),
    ("64 KiB and a byte", text(GOOD.ljust(65_537)), Reason.RESPONSE_TOO_LARGE),
    ("a chunk size without end", endless_chunk_size, Reason.RESPONSE_TOO_LARGE),
]
NOT_A_BID: list[tuple[str, Script, Reason]] = [
    (repr(body)[:40], text(body), reason)
    for reason, bodies in {
        Reason.INVALID_RESPONSE: [
            b"", b"{", b"<html>", b'{"bid":"10.00"}}', b"[" * 10_000, b'{"a":' * 5_000,
            b'{"bid":"10.00","bid":"11.00"}',
            b'\xef\xbb\xbf{"bid":"10.00"}', b'{"bid":"10.00","note":"\xe9"}', b"[]", b'"10.00"', b"10.00", b"null",
            b'{"price":"10.00"}', b'{"bids":{}}', b'{"bids":[1]}', b'{"bid":"10.00","sale":"shared"}',
            b'{"bid":"10.00","bid_id":[]}', b'{"bid":"10.00","bid_id":"\\u0000"}',
            b'{"bid":"10.00","bid_id":"\\ud800"}',
        ],
        Reason.INVALID_PRICE: [
            b'{"bid":NaN}', b'{"bid":Infinity}', b'{"bid":1e400}', b'{"bid":1e2}', b'{"bid":"12,50"}', b'{"bid":true}',
            b'{"bid":-1}', b'{"bid":"-1.00"}', b'{"bid":" 1.00"}', b'{"bid":""}', b'{"bid":[]}', b'{"bid":{}}',
            b'{"bid":"1000000000000"}', b'{"bid":"1.0000001"}', b'{"bid":"\xef\xbc\x91.00"}',
        ],
        Reason.WRONG_CURRENCY: [b'{"bid":"10.00","currency":"EUR"}'],
        Reason.NO_BID: [b'{"bid":0}', b'{"bid":"0.000000"}', b'{"bid":null,"reason":"no"}', b'{"bids":[]}',
                        b'{"bid":0.00}'],
    }.items()
    for body in bodies
]  # fmt: skip
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

BAD = SILENT + BROKEN + STATUSES + NOT_HTTP + TOO_LARGE + NOT_A_BID


@pytest.mark.parametrize(("script", "reason"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
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
