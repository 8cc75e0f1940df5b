"""A small HTTP/1.1 server on asyncio: keep-alive, pipelining, answers that wait, and answers that never come."""

import asyncio
from collections import deque
from collections.abc import Callable, MutableMapping, MutableSet
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl

import httptools

MESSAGE_BYTES_MAX = 128 * 1024  # head and body of one request
PIPELINED_MAX = 64  # requests of one connection that wait for their answer; no more is read until some have left


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request; header names are in lower case."""

    method: str
    path: str
    query: MutableMapping[str, str]
    headers: MutableMapping[str, str]
    body: bytes


class Ending(Enum):
    """What becomes of the connection with an answer."""

    KEEP = auto()  # as the request asks
    CLOSE = auto()  # closed after the answer


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: `payload` as it is on the wire (empty: nothing), after `wait_ms`; None means never.

    `sent` is called when the payload is with the operating system's socket or the ending has happened: True if the
    peer was still there.
    """

    payload: bytes
    wait_ms: float | None = 0
    ending: Ending = Ending.KEEP
    sent: Callable[[bool], None] | None = None


Handler = Callable[[Request], Reply]


def respond(status: int, body: bytes = b"", content_type: str = "application/json") -> bytes:
    """A whole response on the wire; 204 carries neither body nor length."""
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    if status != HTTPStatus.NO_CONTENT:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


@dataclass(slots=True, eq=False)
class _Slot:
    """The place of one answer in its connection's queue."""

    reply: Reply
    keep_alive: bool
    due: bool = False
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Incoming:
    """A request that is being received."""

    target: bytearray = field(default_factory=bytearray)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    method: str = ""
    keep_alive: bool = True

    def whole(self) -> Request:
        """Raises httptools.HttpParserError for a target that is no path."""
        target = httptools.parse_url(bytes(self.target))
        query = (target.query or b"").decode("latin-1")
        path = (target.path or b"/").decode("latin-1")
        return Request(self.method, path, dict(parse_qsl(query)), self.headers, bytes(self.body))


class HttpConnection(asyncio.Protocol):
    """One connection. Answers leave in the order of their requests (RFC 9112, 9.3.2), each when its time has come."""

    def __init__(self, handler: Handler, connections: MutableSet["HttpConnection"]) -> None:
        self._handler = handler
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._incoming = _Incoming()
        self._complete: list[_Incoming] = []
        self._incoming_bytes = 0
        self._slots: deque[_Slot] = deque()
        self._closing = False
        self._paused = False
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._connections.discard(self)
        while self._slots:
            self._abandon(self._slots.popleft())
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._incoming_bytes += len(data)
        refusal: HTTPStatus | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            refusal = HTTPStatus.BAD_REQUEST
        self._serve_complete()
        if self._incoming_bytes > MESSAGE_BYTES_MAX:
            refusal = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if refusal is not None and not self._closing:
            self._enqueue(Reply(respond(refusal), ending=Ending.CLOSE), keep_alive=False)

    def close_when_idle(self) -> None:
        """Reads no more, answers what is under way, then closes."""
        self._closing = True
        self._flush()

    def abort(self) -> None:
        """Closes at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    # What httptools calls while it reads. Nothing here raises: it would look like a bad request.

    def on_message_begin(self) -> None:
        self._incoming = _Incoming()

    def on_url(self, url: bytes) -> None:
        self._incoming.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._incoming.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._incoming.body += body

    def on_message_complete(self) -> None:
        self._incoming_bytes = 0
        self._incoming.method = self._parser.get_method().decode("latin-1")
        self._incoming.keep_alive = self._parser.should_keep_alive()
        self._complete.append(self._incoming)

    def _serve_complete(self) -> None:
        complete, self._complete = self._complete, []
        for incoming in complete:
            if self._closing:
                return
            try:
                request = incoming.whole()
            except httptools.HttpParserError:
                self._enqueue(Reply(respond(HTTPStatus.BAD_REQUEST), ending=Ending.CLOSE), keep_alive=False)
            else:
                self._enqueue(self._handler(request), keep_alive=incoming.keep_alive)

    def _enqueue(self, reply: Reply, *, keep_alive: bool) -> None:
        slot = _Slot(reply, keep_alive=keep_alive and reply.ending is Ending.KEEP)
        self._slots.append(slot)
        self._closing = not slot.keep_alive
        if len(self._slots) >= PIPELINED_MAX and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        if reply.wait_ms is None:
            return
        if reply.wait_ms > 0:
            slot.timer = self._loop.call_later(reply.wait_ms / 1000, self._come_due, slot)
        else:
            self._come_due(slot)

    def _come_due(self, slot: _Slot) -> None:
        slot.due = True
        self._flush()

    def _flush(self) -> None:
        """Writes every answer that is due and has no other before it."""
        transport = self._transport
        if transport is None:
            return
        while self._slots and self._slots[0].due:
            slot = self._slots.popleft()
            if slot.reply.payload:
                transport.write(slot.reply.payload)
            if slot.reply.sent is not None:
                slot.reply.sent(not transport.is_closing())
        if self._closing and not self._slots:
            transport.close()
        elif self._paused and len(self._slots) < PIPELINED_MAX:
            self._paused = False
            transport.resume_reading()

    @staticmethod
    def _abandon(slot: _Slot) -> None:
        if slot.timer is not None:
            slot.timer.cancel()
        if slot.reply.sent is not None:
            slot.reply.sent(False)
