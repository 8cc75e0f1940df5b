"""One connection to a buyer: it carries one ping at a time, and tells its pool when it is free, spent or broken."""

import asyncio
from time import monotonic
from typing import Protocol, cast

from exchange.buyers.answer import PLAIN_HEAD_BYTES_MAX, AnswerReader, read_plain_head
from exchange.values.bid import Refusal
from exchange.values.reason import Reason

REQUEST_TIMEOUT, TOO_MANY_REQUESTS = 408, 429

LOST_SILENT = Refusal(Reason.CONNECTION_LOST, "before an answer")
LOST_MIDWAY = Refusal(Reason.CONNECTION_LOST, "within an answer")


class Pending(Protocol):
    """What is sent on a connection, as the connection and its pool see it. It is told exactly one outcome."""

    request: bytes
    connection: "Connection | None"
    may_retry: bool

    def answered(self, status: int, body: bytes, now_s: float) -> None: ...

    def failed(self, refusal: Refusal) -> None: ...

    def asked_to_wait(self, retry_after: bytes) -> None: ...


class Keeper(Protocol):
    """A connection's pool, as the connection sees it."""

    def connected(self, connection: "Connection") -> None: ...

    def released(self, connection: "Connection", now_s: float) -> None: ...

    def gone(self, connection: "Connection") -> None: ...

    def retried(self, call: Pending) -> bool: ...


class Connection(asyncio.Protocol):
    """An open connection: idle, or with a call on it whose answer is awaited.

    `reused` tells a connection that has been idle or answered, which the buyer may be about to close, from a new one.
    """

    __slots__ = (
        "_call",
        "_closed",
        "_pool",
        "_reader",
        "_transport",
        "idle_since_s",
        "retire_at_s",
        "reused",
    )

    _transport: asyncio.Transport

    def __init__(self, pool: Keeper, retire_at_s: float) -> None:
        self.idle_since_s = 0.0
        self.retire_at_s = retire_at_s
        self.reused = False
        self._pool = pool
        self._call: Pending | None = None
        self._reader: AnswerReader | None = None
        self._closed = False

    def send(self, call: Pending) -> None:
        """Sends a call's request on this idle connection."""
        self._call = call
        call.connection = self
        self._transport.write(call.request)

    def replace(self, call: Pending) -> None:
        """Lets another one be told the answer that is awaited."""
        self._call = call

    def close(self) -> None:
        """Closes at once; a call that is still on it is told nothing."""
        if self._closed:
            return
        self._closed = True
        if self._reader is not None:
            self._reader.discard()
        self._call = self._reader = None
        self._pool.gone(self)
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
            call = self._call
            if call is None:
                self.close()  # nobody has asked
                return
            end = data.find(b"\r\n\r\n") + 4
            plain = read_plain_head(data[:end]) if end <= PLAIN_HEAD_BYTES_MAX else None
            if plain is not None and plain[1] == len(data) - end:  # nearly always: `_answered` without a call more
                now_s = monotonic()
                self._call = None
                self.reused = True
                self._pool.released(self, now_s)
                call.answered(plain[0], data[end:], now_s)
                return
            self._reader = reader = AnswerReader()
        if reader.feed(data):
            self._read(reader)

    def eof_received(self) -> None:
        """The buyer sends nothing more: an answer without a length is whole now."""
        reader = self._reader
        if reader is not None and reader.end():
            self._read(reader)
        else:
            self._lost()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # a reset is as lost as an end
        self._lost()
        del self._transport  # they hold each other

    def pause_writing(self) -> None:
        self.retire_at_s = 0.0  # the buyer does not read what we send: this connection is good for no other call

    def _read(self, reader: AnswerReader) -> None:
        """The reader is done."""
        self._reader = None
        call = self._call
        if reader.refusal is not None or call is None:
            self.fail(reader.refusal or LOST_MIDWAY)
        elif reader.status == REQUEST_TIMEOUT and not reader.keep_alive and self._goes_elsewhere(call):
            self.close()  # it was the buyer's farewell to an idle connection, crossing with our request
        else:
            if reader.status == TOO_MANY_REQUESTS and reader.retry_after:
                call.asked_to_wait(reader.retry_after)
            self._answered(call, reader.status, reader.body, keep_alive=reader.keep_alive)

    def _answered(self, call: Pending, status: int, body: bytes, *, keep_alive: bool) -> None:
        now_s = monotonic()
        self._call = None
        self.reused = True
        if keep_alive:
            self._pool.released(self, now_s)
        else:
            self.close()
        call.answered(status, body, now_s)

    def _lost(self) -> None:
        """The buyer has closed; a call that is still on the connection goes elsewhere, or fails."""
        call, silent = self._call, self._reader is None
        self.close()
        if call is not None and not (silent and self._goes_elsewhere(call)):
            call.failed(LOST_SILENT if silent else LOST_MIDWAY)

    def _goes_elsewhere(self, call: Pending) -> bool:
        """Whether this connection had been idle, so that the buyer was closing it already, and the call is moved."""
        return self.reused and self._pool.retried(call)
