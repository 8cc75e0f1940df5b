"""Messages between a gateway and its reader are the same on the other side, however they are cut on the way."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from exchange.takeover.frames import Frames, framed


async def received(parts: list[bytes]) -> list[bytes]:
    """All messages of a line on which these parts came, until it ended."""
    reader = asyncio.StreamReader()
    frames, found = Frames(reader), []
    for part in parts:
        reader.feed_data(part)
    reader.feed_eof()
    try:
        while True:
            found.append(await frames.next())
    except EOFError:
        return found


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 400), max_size=20))
def test_messages_come_whole_and_in_order(messages: list[bytes], cuts: list[int]) -> None:
    line = b"".join(map(framed, messages))
    parts, at = [], 0
    for cut in cuts:
        parts.append(line[at : at + cut])
        at += cut
    parts.append(line[at:])
    assert asyncio.run(received([part for part in parts if part])) == messages


def test_of_a_message_that_is_cut_short_nothing_comes() -> None:
    assert asyncio.run(received([framed(b"one"), framed(b"two")[:-1]])) == [b"one"]


async def test_what_came_with_another_is_at_hand() -> None:
    reader = asyncio.StreamReader()
    frames = Frames(reader)
    assert frames.at_hand() is None
    reader.feed_data(framed(b"one") + framed(b"") + framed(b"three")[:-1])
    assert await frames.next() == b"one"
    assert frames.at_hand() == b""
    assert frames.at_hand() is None
    reader.feed_data(b"e")
    assert await frames.next() == b"three"
