"""The link that misbehaves: each fate does to a connection what its name says."""

import asyncio
import time
from collections.abc import AsyncIterator
from random import Random

import pytest

from exchange.ports import HOST
from exchange.simulation.chaos.link import FAIR, Link, Weather


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    """A link to somebody who says everything twice."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(2 * data)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    opened = Link("echo", (HOST, server.sockets[0].getsockname()[1]), Random(1))  # noqa: S311  # not a secret
    await opened.open()
    yield opened
    await opened.close()
    server.close()
    await asyncio.sleep(0)


async def say(link: Link, word: bytes, within_s: float = 5.0) -> bytes:
    """What comes back until the end of the stream, or for a moment."""
    reader, writer = await asyncio.open_connection(HOST, link.port)
    writer.write(word)
    heard = b""
    try:
        async with asyncio.timeout(within_s):
            while len(heard) < 2 * len(word) and (data := await reader.read(1000)):
                heard += data
    except TimeoutError:
        heard += b"(silence)"
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
    return heard


async def test_fair_weather_changes_nothing(link: Link) -> None:
    assert await say(link, b"lead") == b"leadlead"


async def test_a_cut_comes_in_the_middle(link: Link) -> None:
    await link.change(Weather(cut_pct=100))
    with pytest.raises(ConnectionResetError):
        await say(link, b"x" * 2000)


async def test_a_reset_comes_at_once(link: Link) -> None:
    await link.change(Weather(reset_pct=100))
    with pytest.raises(ConnectionError):
        await say(link, b"lead")


async def test_a_half_closed_end_says_nothing(link: Link) -> None:
    await link.change(Weather(half_pct=100))
    assert await say(link, b"lead") == b""


async def test_what_is_held_back_arrives_when_the_weather_is_fair(link: Link) -> None:
    await link.change(Weather(hole_pct=100))
    saying = asyncio.create_task(say(link, b"lead"))
    await asyncio.sleep(0.1)
    assert not saying.done()
    await link.change(FAIR)
    assert await saying == b"leadlead"


async def test_a_shut_door_refuses_and_opens_on_the_same_port(link: Link) -> None:
    port = link.port
    await link.change(Weather(shut=True))
    with pytest.raises(ConnectionRefusedError):
        await say(link, b"lead")
    await link.change(FAIR)
    assert link.port == port
    assert await say(link, b"lead") == b"leadlead"


async def test_latency_counts_both_ways(link: Link) -> None:
    await link.change(Weather(latency_ms=50))
    began_s = time.monotonic()
    assert await say(link, b"lead") == b"leadlead"
    assert time.monotonic() - began_s >= 0.1
