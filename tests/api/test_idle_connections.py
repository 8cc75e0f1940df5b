"""A seller's connection lives while requests come, and ends when none has come for as long as it may be idle."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import uvicorn
from uvicorn.server import ServerState

from exchange.api.door import Arrival, Door
from exchange.api.places import Places
from exchange.api.protocol import door_protocol

IDLE_S = 1
REQUEST = b"POST /door HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


async def nothing(scope: object, receive: object, send: object) -> None:
    """Nobody comes here: every request has a door."""


async def thank(arrival: Arrival) -> bytes:
    """Answers when a client has had time to be idle twice over, if he asks for that."""
    if arrival.header(b"x-slow"):
        await asyncio.sleep(2.2 * IDLE_S)
    return b'"thanks"'


@pytest.fixture
async def port() -> AsyncIterator[int]:
    protocol = door_protocol(5.0, {"/door": Door(thank)}, Places(10, None))
    config = uvicorn.Config(
        nothing,
        http=protocol,
        loop="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=IDLE_S,
    )
    config.load()
    loop, state = asyncio.get_running_loop(), ServerState()
    server = await loop.create_server(
        lambda: protocol(config=config, server_state=state, app_state={}, _loop=loop), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_connection_ends_when_it_has_been_idle_and_not_before(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(4):  # two of these waits are longer than a connection may be idle
        writer.write(REQUEST)
        assert (await reader.readuntil(b'"thanks"')).startswith(b"HTTP/1.1 200")
        answered_s = time.monotonic()
        await asyncio.sleep(0.6 * IDLE_S)
    async with asyncio.timeout(60):
        assert await reader.read() == b""
    assert time.monotonic() - answered_s > 0.9 * IDLE_S
    writer.close()


async def test_a_request_that_is_under_way_is_not_idleness(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in (REQUEST, REQUEST.replace(b"Host: x", b"Host: x\r\nX-Slow: 1"), REQUEST):
        writer.write(request)
        assert (await reader.readuntil(b'"thanks"')).startswith(b"HTTP/1.1 200")
    writer.close()
