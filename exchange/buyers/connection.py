"""One connection to a buyer: it carries one ping at a time, and tells its pool when it is free, spent or broken."""

import asyncio
from time import monotonic
from typing import Protocol, cast

from exchange.buyers.answer import AnswerReader, KnownHeads
from exchange.values.bid import Refusal
from exchange.values.reason import Reason

LOST_SILENT = Refusal(Reason.CONNECTION_LOST, "before an answer")
LOST_MIDWAY = Refusal(Reason.CONNECTION_LOST, "within an answer")


class Pending(Protocol):
    """What is sent on a connection, as the connection and its pool see it. It is told exactly one outcome."""

    request: bytes
    connection: "Connection | None"
    may_retry: bool

    def answered(self, status: int, body: bytes, now_s: float) -> None: ...

    def failed(self, refusal: Refusal) -> None: ...


class Keeper(Protocol):
    """A connection's pool, as the connection sees it."""

    heads: KnownHeads

    def connected(self, connection: "Connection") -> None: ...

    def released(self, connection: "Connection", now_s: float) -> None: ...

    def gone(self, connection: "Connection") -> None: ...

    def retried(self, call: Pending) -> bool: ...


class Connection(asyncio.Protocol):
    """An open connection: idle, or with a call on it whose answer is awaited.

    `reused` tells a connection that had been idle, which the buyer may have been about to close, from a new one.
    """

    __slots__ = (
        "_call",
        "_closed",
        "_known",
        "_pool",
        "_reader",
        "_transport",
        "idle_since_s",
        "retire_at_s",
        "reused",
    )

    def __init__(self, pool: Keeper, retire_at_s: float) -> None:
        self.idle_since_s = 0.0
        self.retire_at_s = retire_at_s
        self.reused = False
        self._pool = pool
        self._known = pool.heads.meanings
        self._transport: asyncio.Transport | None = None
        self._call: Pending | None = None
        self._reader: AnswerReader | None = None
        self._closed = False

    def send(self, call: Pending) -> None:
        """Sends a call's request on this idle connection."""
        self._call = call
        call.connection = self
        self._transport.write(call.request)  # type: ignore[union-attr]  # the pool knows connected ones only

    def replace(self, call: Pending) -> None:
        """Lets another one be told the answer that is awaited."""
        self._call = call

    def close(self) -> None:
        """Closes at once; a call that is still on it is told nothing."""
        if self._closed:
            return
        self._closed = True
        self._call = self._reader = None
        self._pool.gone(self)
        if self._transport is not None:
            self._transport.abort()

    def fail(self, refusal: Refusal) -> None:
        """Closes at once; a call that is still on it is told why."""
        call = self._call
        self.close()
        if call is not None:
            call.failed(refusal)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pool.connected(self)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            if self._call is None:
                self.close()  # nobody has asked
                return
            end = data.find(b"\r\n\r\n") + 4
            known = self._known.get(data[:end])
            if known is not None and known[1] == len(data) - end:
                self._answered(self._call, known[0], data[end:], keep_alive=True)
                return
            self._reader = reader = AnswerReader()
        if reader.feed(data):
            self._read(reader, data)

    def eof_received(self) -> None:
        """The buyer sends nothing more: an answer without a length is whole now."""
        reader = self._reader
        if reader is not None and reader.end():
            self._read(reader, b"")
        else:
            self._lost()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # a reset is as lost as an end
        self._lost()

    def pause_writing(self) -> None:
        self.retire_at_s = 0.0  # the buyer does not read what we send: this connection is good for no other call

    def _read(self, reader: AnswerReader, packet: bytes) -> None:
        """The reader is done; `packet` was the last that it got."""
        if reader.refusal is not None or self._call is None:
            self.fail(reader.refusal or LOST_MIDWAY)
            return
        self._reader = None
        self._pool.heads.learn(reader, packet)
        self._answered(self._call, reader.status, reader.body, keep_alive=reader.keep_alive)

    def _answered(self, call: Pending, status: int, body: bytes, *, keep_alive: bool) -> None:
        now_s = monotonic()
        self._call = None
        if keep_alive:
            self._pool.released(self, now_s)
        else:
            self.close()
        call.answered(status, body, now_s)

    def _lost(self) -> None:
        """The buyer has closed. A reused connection without a byte of an answer was stale: the call goes elsewhere."""
        call, silent = self._call, self._reader is None
        if call is not None and silent and self.reused:
            self.close()
            if not self._pool.retried(call):
                call.failed(LOST_SILENT)
        else:
            self.fail(LOST_SILENT if silent else LOST_MIDWAY)
