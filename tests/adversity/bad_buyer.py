"""A buyer who does on a real socket exactly what a script says, and an engine that must leave nothing behind."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from exchange.buyers.calls import Call
from exchange.buyers.dialects import native
from exchange.buyers.fanout import Fanout
from exchange.buyers.limits import Limits
from exchange.buyers.line import Line
from exchange.values.bid import Asked
from exchange.values.deadline import Deadline
from exchange.values.market import Sale

PATIENCE_S = 10
BODY = b'{"ping_id":"p","lead":{"zip":"60601"}}'
READ = native.bid_reader(sale=Sale.EXCLUSIVE, currency="USD")


def answer(body: bytes | str, status: int = 200, *headers: str) -> bytes:
    """An HTTP response with its length."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def bid(price: str = "10.00") -> bytes:
    return answer(f'{{"bid":"{price}"}}')


class Peer:
    """One connection, seen from the buyer's side."""

    def __init__(self, buyer: "BadBuyer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._buyer = buyer
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Reads a whole request; raises IncompleteReadError at the end of the connection."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        body = await self._reader.readexactly(int(lengths[0].partition(b":")[2]))
        self._buyer.requests.append(head + body)
        return head + body

    async def say(self, *parts: bytes, pause_s: float = 0.0) -> None:
        """Sends parts, each in a packet of its own."""
        for index, part in enumerate(parts):
            if index:
                await asyncio.sleep(pause_s)
            self._writer.write(part)
            await self._writer.drain()

    async def hang(self) -> None:
        """Waits until the other side closes."""
        with suppress(ConnectionError):
            while await self._reader.read(65_536):
                pass

    def reset(self) -> None:
        """Breaks the connection off with an RST."""
        found = self._writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[Any]]
"""What a buyer does with a connection, from its beginning; when it returns, the connection is closed."""


def says(*parts: bytes, pause_s: float = 0.0) -> Script:
    """Answers one request, then closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(*parts, pause_s=pause_s)

    return script


def keeps_saying(content: bytes, after_s: float = 0.0) -> Script:
    """Answers every request alike and keeps the connection."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await asyncio.sleep(after_s)
            await peer.say(content)

    return script


async def silent(peer: Peer) -> None:
    """Reads and never answers."""
    await peer.hang()


@dataclass
class BadBuyer:
    """Listens on a free port of loopback."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.close_connections()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def close_connections(self) -> None:
        for writer in list(self.open):
            writer.transport.abort()

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/bid"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open.add(writer)
        self.connections += 1
        try:
            await self.script(Peer(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(writer)
            self._tasks.discard(task)
            writer.close()


@dataclass
class Engine:
    """The ping engine, with lines to buyers made as they are needed."""

    fanout: Fanout
    lines: dict[str, Line] = field(default_factory=dict)

    def line(self, buyer: BadBuyer | str) -> Line:
        url = buyer if isinstance(buyer, str) else buyer.url
        if url not in self.lines:
            headers = native.ping_headers(f"order-{len(self.lines)}")
            self.lines[url] = self.fanout.line(headers["Exchange-Order"], url, headers, native.TIMEOUT_HEADER)
        return self.lines[url]

    def call(self, buyer: BadBuyer | str, timeout_ms: int = 2_000) -> Call:
        return Call(self.line(buyer), BODY, timeout_ms, READ)

    async def warmed(self, buyer: "BadBuyer", count: int = 1) -> None:
        """Connects, and waits until both sides know it."""
        self.fanout.warm([self.line(buyer)], count)
        await eventually(lambda: len(buyer.open) == count and self.fanout.stats().idle >= count)

    async def ask(self, *buyers: BadBuyer | str, timeout_ms: int = 2_000, decide_ms: int = 5_000) -> tuple[Asked, ...]:
        """Asks every buyer with the same deadline of his own."""
        calls = [self.call(buyer, timeout_ms) for buyer in buyers]
        return await self.fanout.ask(calls, Deadline.after_ms(decide_ms))


@asynccontextmanager
async def engine(limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Engine]:
    """An engine for one test. Afterwards no task, timer or socket of it may be left."""
    tasks, sockets = other_tasks(), open_sockets()
    fanout = Fanout(allow_private=True, limits=limits, tls=tls or NO_TRUST)
    opened = Engine(fanout)
    try:
        yield opened
    finally:
        await fanout.close()
    await eventually(lambda: other_tasks() <= tasks)
    assert fanout.stats().open == 0
    assert fanout._sockets.count == 0
    assert not live_timers()
    await eventually(lambda: open_sockets() <= sockets)


async def eventually(is_so: Callable[[], bool]) -> None:
    """Waits until something is so, but not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.005)


def other_tasks() -> set["asyncio.Task[Any]"]:
    """All tasks but the one that asks."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def open_sockets() -> int:
    """How many sockets this process has."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def live_timers() -> list[asyncio.TimerHandle]:
    """The engine's timers that are still to fire. Only the standard event loop can be looked into."""
    scheduled: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled", [])
    return [timer for timer in scheduled if not timer.cancelled() and "exchange" in repr(timer)]


NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Making a context that trusts the usual authorities takes a while, and plain HTTP needs none."""
