"""Answers made of luck, on real sockets: whatever comes, it is one outcome, and the engine goes on as before."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from misbehaviour import BadBuyer, answer, bid, keeps_saying, says
from ping_engine import engine, eventually

from exchange.values.bid import Bid, Refusal

GOOD = [
    bid(),
    answer('{"bid":"10.00"}', 200, "Connection: close", "Date: Sun, 22 Nov 2026 10:00:00 GMT"),
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"bid":"\r\n7\r\n10.00"}\r\n0\r\nX: y\r\n\r\n',
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b'HTTP/1.0 200 OK\r\n\r\n{"bid":"10.00"}',
]
SHARDS = [
    b"\r\n",
    b"\r\n\r\n",
    b"HTTP/1.1 200 OK",
    b"Content-Length: 15",
    b"0",
    b"\x00",
    b"\xff",
    b"Transfer-Encoding: chunked",
]

rubbish = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(SHARDS)), max_size=12).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good answer with a piece cut out, put in or said twice."""
    whole = draw(st.sampled_from(GOOD))
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + 20)))
    put_in = draw(st.one_of(st.just(b""), st.just(whole), st.sampled_from(SHARDS), st.binary(max_size=8)))
    return whole[:start] + put_in + whole[end:]


@st.composite
def packets(draw: st.DrawFn) -> list[bytes]:
    """Some answer, in pieces."""
    content = draw(st.one_of(damaged(), damaged(), rubbish))
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=4)))
    return [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@settings(max_examples=100, deadline=None, derandomize=True)
@given(parts=packets())
def test_any_answer_is_one_outcome(new_loop: Callable[[], asyncio.AbstractEventLoop], parts: list[bytes]) -> None:
    async def main() -> None:
        async with engine() as asking, BadBuyer(says(*parts)) as odd, BadBuyer(keeps_saying(bid())) as good:
            for _ in range(2):
                asked = await asking.ask(odd, good)
                assert isinstance(asked[0].reply, Bid | Refusal)
                assert asked[1].reply == Bid(10_000_000)
            await eventually(lambda: asking.fanout.stats().open == 1)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
