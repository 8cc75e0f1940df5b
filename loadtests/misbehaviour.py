"""Bad buyers: a server that does on a real socket exactly what a script says, and a table of what scripts do wrong."""

import asyncio
import gzip
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from exchange.values.reason import Reason


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
        self._buyer.keep(head + body)
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


@dataclass
class BadBuyer:
    """Listens on a free port of loopback. Of the requests he has read the first `requests_max` are kept."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    requests_max: int = 10_000
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

    def keep(self, request: bytes) -> None:
        if len(self.requests) < self.requests_max:
            self.requests.append(request)

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


class Stale:
    """Answers the first request of each connection, and breaks the second one off after `last_words`."""

    def __init__(self, last_words: bytes = b"", good_from: int = 2) -> None:
        self.connections = 0
        self._last_words = last_words
        self._good_from = good_from

    async def __call__(self, peer: Peer) -> None:
        self.connections += 1
        good = self.connections >= self._good_from
        await peer.request()
        await peer.say(bid())
        while good:
            await peer.request()
            await peer.say(bid())
        await peer.request()
        await peer.say(self._last_words)


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


def text(body: bytes | str) -> Script:
    """A 200 with this body."""
    return says(answer(body))


def status(code: int, *headers: str) -> Script:
    """An answer with another status, which offers the best price of all."""
    return says(answer('{"bid":"99.00"}', code, *headers))


def large(head: bytes) -> Script:
    """Ten million bytes of body."""
    return says(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", *[b" " * 1_000_000] * 10)


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


@contextmanager
def black_hole() -> Iterator[str]:
    """The address of somebody who never takes a connection: his queue is full, and nobody empties it."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/bid"


class Misbehaviour(NamedTuple):
    """What a buyer does wrong, by name, and the code that the exchange has for it."""

    name: str
    script: Script
    reason: Reason


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n"
GOOD = b'{"bid":"10.00"}'
BOMB = gzip.compress(b" " * 50_000_000)

SILENT = [
    Misbehaviour("reads and says nothing", silent, Reason.TIMEOUT),
    Misbehaviour("does not even read", lambda _: asyncio.sleep(5), Reason.TIMEOUT),
    Misbehaviour("one byte of body every 50 ms", says(HEAD, *[bytes([c]) for c in GOOD], pause_s=0.05), Reason.TIMEOUT),
    Misbehaviour("one byte of head every 50 ms", says(*[bytes([c]) for c in HEAD], pause_s=0.05), Reason.TIMEOUT),
    Misbehaviour("a head and no body", says(HEAD, b"", pause_s=5), Reason.TIMEOUT),
]
BROKEN = [
    Misbehaviour(name, script, Reason.CONNECTION_LOST)
    for name, script in {
        "closes at once": closes_at_once,
        "closes before the head": says(),
        "closes in the head": says(HEAD[:20]),
        "closes after the head": says(HEAD),
        "closes in the body": says(HEAD + GOOD[:-1]),
        "closes in a chunk": says(CHUNKED + b"f\r\n{"),
        "closes after an interim answer": says(b"HTTP/1.1 100 Continue\r\n\r\n"),
        "resets": resets,
    }.items()
]
STATUSES = [
    Misbehaviour("204", says(b"HTTP/1.1 204 No Content\r\n\r\n"), Reason.NO_BID),
    Misbehaviour("204 with a length", says(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), Reason.NO_BID),
    Misbehaviour("302", status(302, "Location: /bid"), Reason.REDIRECT_REFUSED),
    Misbehaviour("307 to elsewhere", status(307, "Location: http://127.0.0.1:1/bid"), Reason.REDIRECT_REFUSED),
    Misbehaviour("400", status(400), Reason.CLIENT_ERROR),
    Misbehaviour("408", status(408), Reason.CLIENT_ERROR),
    Misbehaviour("429", status(429, "Retry-After: 1"), Reason.TOO_MANY_REQUESTS),
    Misbehaviour("500", status(500), Reason.SERVER_ERROR),
    Misbehaviour("503", status(503), Reason.SERVER_ERROR),
    Misbehaviour("201", status(201), Reason.INVALID_RESPONSE),
    Misbehaviour("999", status(999), Reason.INVALID_RESPONSE),
]
NOT_HTTP = [
    Misbehaviour(name, script, Reason.INVALID_RESPONSE)
    for name, script in {
        "not HTTP": says(b"Hello!\r\n\r\n"),
        "a TLS alert": says(b"\x15\x03\x01\x00\x02\x02\x46"),
        "HTTP/2.0": says(b"HTTP/2.0 200 OK\r\nContent-Length: 15\r\n\r\n" + GOOD),
        "101": says(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
        "two lengths": says(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n" + HEAD[17:] + GOOD),
        "a length and chunks": says(CHUNKED[:-2] + HEAD[17:]),
        "a length that overflows": says(answer("", 200, "Content-Length: " + "9" * 30)),
        "a negative length": says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        "gzip": says(answer(BOMB[:1000], 200, "Content-Encoding: gzip")),
        "a gzip bomb": says(answer(BOMB, 200, "Content-Encoding: gzip")),
        "compressed chunks": says(CHUNKED.replace(b"chunked", b"gzip, chunked")),
        "10,000 headers": says(answer(GOOD, 200, *["X: y"] * 10_000)),
        "a header of 40,000 bytes": says(answer(GOOD, 200, "X: " + "y" * 40_000)),
        "a phrase of 40,000 bytes": says(b"HTTP/1.1 200 " + b"y" * 40_000 + b"\r\n\r\n"),
        "a head without end": endless_head,
        "interim answers without end": endless_interim,
    }.items()
]
TOO_LARGE = [
    Misbehaviour(name, script, Reason.RESPONSE_TOO_LARGE)
    for name, script in {
        "10 MB with a length": large(b"Content-Length: 10000000\r\n"),
        "10 MB until the end": large(b""),
        "10 MB in a chunk": large(b"Transfer-Encoding: chunked\r\n\r\n989680\r\n"),
        "64 KiB and a byte": text(GOOD.ljust(65_537)),
        "a chunk size without end": endless_chunk_size,
    }.items()
]
NOT_A_BID = [
    Misbehaviour(repr(body)[2:-1][:40] or "an empty body", text(body), reason)
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

ALL = SILENT + BROKEN + STATUSES + NOT_HTTP + TOO_LARGE + NOT_A_BID
