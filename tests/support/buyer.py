"""A buyer on a real socket who does what a test tells him, and remembers what he was sent."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

Answer = bytes | None
"""Raw bytes of an HTTP response, or None to close the connection without a word."""


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Behaviour = Callable[[Received], Answer | Awaitable[Answer]]


def reply(document: object, status: int = 200) -> bytes:
    """An HTTP response with a JSON body."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def bids(price: object, bid_id: str = "b1") -> Behaviour:
    return lambda _: reply({"bid": price, "bid_id": bid_id})


def says(document: object, status: int = 200) -> Behaviour:
    return lambda _: reply(document, status)


async def silent(_: Received) -> Answer:
    await asyncio.sleep(60)
    return None


def slow(seconds: float, document: object) -> Behaviour:
    async def behave(_: Received) -> Answer:
        await asyncio.sleep(seconds)
        return reply(document)

    return behave


ACCEPTS = says({"status": "accepted", "reference": "crm-1"})
REJECTS = says({"status": "rejected", "reason": "no"})


@dataclass
class Buyer:
    """Listens on a free port; `on_ping` and `on_post` say what he answers."""

    on_ping: Behaviour
    on_post: Behaviour = ACCEPTS
    pings: list[Received] = field(default_factory=list)
    posts: list[Received] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None
    """What he listens with, as `localhost`, where that is not in the clear."""
    connections: int = 0
    """How many there have been, of both kinds."""
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    @property
    def open(self) -> int:
        """Connections that are open."""
        return len(self._writers)

    def hang_up(self) -> None:
        """Closes every connection in an orderly way."""
        for writer in list(self._writers):
            writer.close()

    def say(self, content: bytes) -> None:
        """Says something on every connection, asked or not."""
        for writer in list(self._writers):
            writer.write(content)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}" if self.tls is None else f"https://localhost:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            while (received := await _read(reader)) is not None:
                is_post = received.path.startswith("/post")
                (self.posts if is_post else self.pings).append(received)
                answer = (self.on_post if is_post else self.on_ping)(received)
                content = await answer if isinstance(answer, Awaitable) else answer
                if content is None:
                    break
                writer.write(content)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split()
    return Received(path, headers, body, method)
