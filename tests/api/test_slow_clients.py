"""Clients that are slow or rude at the door: cut off in time, and nobody else notices."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.buyer import Buyer, bids
from support.market import LEAD, market
from support.waiting import Held
from support.world import World, open_world

from exchange.api.protocol import HEAD_BYTES_MAX
from exchange.embedded.lease import Services

HEAD = b"POST /v1/ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def hasty(services: Services, tmp_path: Path) -> AsyncIterator[World]:
    """An exchange that gives a client 0.3 s to send a request."""
    async with open_world(services, tmp_path, receive_timeout_s=0.3) as opened:
        yield opened


async def open_to(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(str(world.client.base_url))
    return await asyncio.open_connection(parts.hostname, parts.port)


async def drop(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def answer_before_the_cut(reader: asyncio.StreamReader) -> bytes:
    """What was said before the connection ended, in order or by a reset."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"PO", id="half a word"),
        pytest.param(HEAD, id="a head without its end"),
        pytest.param(HEAD + b"Content-Length: 100\r\n\r\n{", id="a body without its end"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", id="a chunk without its end"),
    ],
)
async def test_a_request_that_does_not_come_to_its_end_is_cut_off(hasty: World, begun: bytes) -> None:
    reader, writer = await open_to(hasty)
    key = f"Authorization: Bearer {hasty.keys['acme']}\r\n".encode()  # without one it would be answered at once
    writer.write(begun.replace(b"Host: x\r\n", b"Host: x\r\n" + key))
    async with asyncio.timeout(60):
        assert told(await answer_before_the_cut(reader)) == (408, "request_timeout")
    await drop(writer)


def told(answer: bytes) -> tuple[int, str]:
    """The status and the code of one problem that ends a connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert {"content-type: application/problem+json", "connection: close", f"content-length: {len(body)}"} <= {*lines}
    document = json.loads(body)
    assert lines[0].split()[1] == str(document["status"])
    return document["status"], document["code"]


async def test_dripping_bytes_does_not_buy_time(hasty: World) -> None:
    parts = urlsplit(str(hasty.client.base_url))
    with socket.create_connection((parts.hostname, parts.port)) as client:  # of a stream, a reset would take the answer
        client.setblocking(False)
        cut = asyncio.create_task(heard(client))
        dripped = 0
        while not cut.done() and dripped < 100:
            with suppress(ConnectionError):
                client.send(HEAD[dripped : dripped + 1])
            dripped += 1
            await asyncio.sleep(0.02)
        assert dripped < 60
        assert told(await cut) == (408, "request_timeout")


async def heard(client: socket.socket) -> bytes:
    """What is said until the connection ends, in order or by a reset, which comes behind it."""
    heard = bytearray()
    with suppress(ConnectionError):
        while piece := await asyncio.get_running_loop().sock_recv(client, 65_536):
            heard += piece
    return bytes(heard)


async def test_an_endless_head_is_cut_off_by_its_size(hasty: World) -> None:
    reader, writer = await open_to(hasty)
    writer.write(HEAD + b"X-Long: " + b"a" * 100_000)
    async with asyncio.timeout(0.25):  # sooner than the clock would
        answer = await answer_before_the_cut(reader)
    assert answer == b"" or told(answer) == (431, "head_too_large")  # nothing of it is heard while more comes
    await drop(writer)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["without its end", "whole"])
async def test_a_head_that_is_too_long_is_told_so_however_it_comes(world: World, end: bytes) -> None:
    for pieces in (1, 3):
        reader, writer = await open_to(world)
        head = HEAD + b"X-Long: " + b"a" * HEAD_BYTES_MAX + end
        size = -(-len(head) // pieces)
        for start in range(0, len(head), size):
            writer.write(head[start : start + size])
            await writer.drain()
            await asyncio.sleep(0.05)
        assert told(await answer_before_the_cut(reader)) == (431, "head_too_large")
        await drop(writer)


async def test_a_head_may_be_as_long_as_it_may_be(world: World) -> None:
    reader, writer = await open_to(world)
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: "
    writer.write(head + b"a" * (HEAD_BYTES_MAX - len(head) - 4) + b"\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    await drop(writer)


@pytest.mark.parametrize(
    "sent",
    [
        b"NONSENSE\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Bad Header: 1\r\n\r\n",
    ],
    ids=["no request", "two lengths", "two ends", "less than nothing", "a blank in a name"],
)
async def test_what_is_no_http_is_a_problem_as_any_other(world: World, sent: bytes) -> None:
    reader, writer = await open_to(world)
    writer.write(sent)
    assert told(await answer_before_the_cut(reader)) == (400, "malformed_http")
    await drop(writer)


async def test_nothing_is_said_in_the_middle_of_another_answer(world: World) -> None:
    held = Held({"bid": "21.00"})
    async with Buyer(held) as buyer:
        await world.apply(market({"only": buyer}))
        reader, writer = await open_to(world)
        body = json.dumps({"campaign": "auto-us", "lead": LEAD}).encode()
        key = f"Authorization: Bearer {world.keys['acme']}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        writer.write(HEAD + key + body)
        await held.asked.wait()
        writer.write(b"NONSENSE\r\n\r\n")
        assert await answer_before_the_cut(reader) == b""
        held.release.set()
        assert (await world.ping())["status"] == "offered"
        await drop(writer)


@pytest.mark.parametrize("setting", ["connections_max", "connections_per_address_max"])
async def test_more_connections_than_may_be_are_closed_at_once(
    services: Services, tmp_path: Path, setting: str
) -> None:
    async with open_world(services, tmp_path, **{setting: 10}) as world, Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        held = [await open_to(world) for _ in range(20)]
        ended = [asyncio.create_task(answer_before_the_cut(reader)) for reader, _ in held]
        while sum(task.done() for task in ended) < 10:
            await asyncio.sleep(0.01)
        assert {await task for task in ended if task.done()} == {b""}
        assert sum(task.done() for task in ended) <= 11  # the client of these tests has one, or none
        assert (await world.ping())["status"] == "offered"
        text = (await world.client.get("/metrics")).text
        assert f'exchange_limits_hit_total{{limit="{setting}"}}' in text
        for _, writer in held:
            await drop(writer)
        reader, writer = await open_to(world)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await drop(writer)


async def test_two_hundred_slow_clients_change_nothing_for_others(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        slow = [await open_to(world) for _ in range(200)]
        for _, writer in slow:
            writer.write(HEAD)
        assert (await world.ping())["status"] == "offered"
        for _, writer in slow:
            await drop(writer)


async def test_more_pings_than_may_be_under_way_are_refused_at_once(services: Services, tmp_path: Path) -> None:
    async with open_world(services, tmp_path, pings_in_flight_max=2) as world:
        held = asyncio.Event()

        async def wait(_: object) -> bytes | None:
            await held.wait()
            return None

        async with Buyer(wait) as buyer:
            await world.apply(market({"only": buyer}))
            under_way = [asyncio.create_task(world.ping()) for _ in range(2)]
            while len(buyer.pings) < 2:
                await asyncio.sleep(0.01)
            refused = await world.send("/v1/ping", {"campaign": "auto-us", "lead": {"zip": "60601"}})
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            assert refused.headers["retry-after"] in {"1", "2", "3"}  # so that not all come back at once
            held.set()
            assert [(await task)["status"] for task in under_way] == ["unsold", "unsold"]
            assert (await world.ping())["status"] == "unsold"
