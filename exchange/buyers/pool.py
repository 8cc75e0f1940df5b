"""The pool of one origin's connections: persistent, used last in first out, dialled on demand, limited."""

import asyncio
import time
from functools import partial
from itertools import takewhile
from weakref import WeakSet

from exchange.buyers.connection import Connection, Pending
from exchange.buyers.dialling import Dialler
from exchange.buyers.limits import Limits
from exchange.buyers.measures import Load, PoolMeasures, Stats
from exchange.values.bid import Refusal
from exchange.values.reason import Reason

BUSY = Refusal(Reason.BUSY)
CLOSING = Refusal(Reason.INTERNAL_ERROR, "the exchange is closing")
NOT_CONNECTED = Refusal(Reason.CONNECT_FAILED)

_GOLDEN = 0.618
_AGE_LEAST, _AGE_SPREAD = 0.75, 0.5


class Sockets:
    """How many sockets all pools together have, of how many they may."""

    __slots__ = ("count", "count_max")

    def __init__(self, count_max: int) -> None:
        self.count = 0
        self.count_max = count_max

    def left(self) -> bool:
        return self.count < self.count_max


class Pool:
    """Connections to one origin. What still refers to it is in `lines`; without any it may be dropped once empty."""

    def __init__(self, dialler: Dialler, limits: Limits, sockets: Sockets, address: str) -> None:
        self.lines: WeakSet[object] = WeakSet()
        self.network_ms = 0
        """What the network takes of a buyer's time, there and back, as far as is known."""
        self._dialler = dialler
        self._limits = limits
        self._sockets = sockets
        self._made = self._not_made = self._reused = self._busy = self._retried = self._drained = 0
        self._connections: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        self._draining: dict[Connection, _Drain] = {}
        self._waiting: dict[Pending, float] = {}  # since when
        self._dials: dict[Connection, asyncio.Task[Refusal | None]] = {}
        self._measures = PoolMeasures(address)
        self._closed = False

    def send(self, call: Pending) -> None:
        """Sends a call on the connection that was idle last, or on the first that becomes free or connected."""
        if self._idle:
            self._reused += 1
            self._idle.popitem()[0].send(call)
        elif self._closed:
            call.failed(CLOSING)
        elif self._has_room():
            self._wait(call)
        else:
            self._busy += 1
            call.failed(BUSY)

    def withdraw(self, call: Pending, now_s: float, load: Load | None = None) -> None:
        """Nobody waits for this call any more: it leaves the queue, or its answer is drained for a while.

        While it is drained, the call counts in `load`.
        """
        if call.connection is None:
            self._waiting.pop(call, None)
        else:
            drain = _Drain(self, call.connection, now_s + self._limits.drain_s, load)
            self._draining[call.connection] = drain
            call.connection.replace(drain)

    def warm(self, count: int) -> "list[asyncio.Task[Refusal | None]]":
        """Dials until there are `count` connections, as far as the limits allow; what is being dialled."""
        while len(self._connections) + len(self._dials) < count and self._has_room() and self._may_dial():
            self._dial()
        return list(self._dials.values())

    def sweep(self, now_s: float) -> bool:
        """Closes what has been idle or draining for too long; false when nothing is left and nobody refers to it."""
        idle_since_s = now_s - self._limits.idle_s
        for connection in list(takewhile(lambda idle: idle.idle_since_s <= idle_since_s, self._idle)):
            connection.close()
        for connection, _ in list(takewhile(lambda draining: draining[1].until_s <= now_s, self._draining.items())):
            connection.close()
        busy = self._connections or self._dials or self._waiting or not self._dialler.resting
        return bool(busy or self.lines)

    async def close(self) -> None:
        """Closes every connection; calls under way fail."""
        self._closed = True
        for call in list(self._waiting):
            call.failed(CLOSING)
        self._waiting.clear()
        for connection in list(self._connections):
            connection.fail(CLOSING)
        dials = list(self._dials.values())
        for dial in dials:
            dial.cancel()
        if dials:
            await asyncio.wait(dials)
        await self._dialler.close()

    def stats(self) -> Stats:
        counts = self._made, self._not_made, self._reused, self._busy, self._retried, self._drained
        return Stats(*counts, open=len(self._connections), idle=len(self._idle))

    def measure(self) -> None:
        """Brings the metrics up to date."""
        self._measures.tell(self.stats())

    def dropped(self) -> Stats:
        """The last counts of a pool that is no more."""
        self.measure()
        self._measures.forget()
        return self.stats()

    def connected(self, connection: Connection) -> None:
        if self._dials.pop(connection, None) is None:
            connection.close()  # its dial has been given up
            return
        self._connections.add(connection)
        self._made += 1
        self.network_ms = int(self._dialler.round_trip_s * 1000)
        now_s = time.monotonic()
        self._measures.connected(now_s - connection.idle_since_s)
        self.released(connection, now_s)

    def released(self, connection: Connection, now_s: float) -> None:
        if self._closed or now_s >= connection.retire_at_s:
            connection.close()
        elif self._waiting and (call := self._taker(connection)) is not None:
            self._measures.waited(now_s - self._waiting.pop(call))
            connection.send(call)
        else:
            connection.reused = True
            connection.idle_since_s = now_s
            self._idle[connection] = None

    def drained(self, connection: Connection) -> None:
        """An answer has come that nobody waited for any more."""
        self._drained += 1
        self._end_drain(connection)

    def gone(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        self._end_drain(connection)
        if connection in self._connections:
            self._connections.remove(connection)
            self._sockets.count -= 1

    def retried(self, call: Pending) -> bool:
        """Takes a call back whose connection had been closed by the buyer before it was sent; false if it cannot."""
        if self._closed or not call.may_retry or not self._has_room():
            return False
        call.may_retry = False  # once is enough
        self._retried += 1
        self._wait(call)
        return True

    def _end_drain(self, connection: Connection) -> None:
        drain = self._draining.pop(connection, None)
        if drain is not None and drain.load is not None:
            drain.load.calls -= 1

    def _taker(self, connection: Connection) -> Pending | None:
        """The call that waits longest; one that lost its connection already is not trusted to another used one."""
        return next((call for call in self._waiting if call.may_retry or not connection.reused), None)

    def _wait(self, call: Pending) -> None:
        call.connection = None
        self._waiting[call] = time.monotonic()
        self._dial_as_needed()

    def _has_room(self) -> bool:
        coming = max(len(self._dials), len(self._waiting))
        return len(self._connections) + coming < self._limits.connections_max and self._sockets.left()

    def _may_dial(self) -> bool:
        return len(self._dials) < self._limits.dials_max and self._sockets.left()

    def _dial_as_needed(self) -> None:
        while len(self._dials) < len(self._waiting) and self._may_dial():
            self._dial()

    def _dial(self) -> None:
        spread = _AGE_LEAST + _AGE_SPREAD * (self._made * _GOLDEN % 1)  # not all of them at the same moment
        now_s = time.monotonic()
        connection = Connection(self, now_s + self._limits.age_s * spread)
        connection.idle_since_s = now_s  # until it is connected, since when it is dialled
        dial = asyncio.get_running_loop().create_task(self._dialler.dial(connection))
        self._sockets.count += 1
        self._dials[connection] = dial
        dial.add_done_callback(partial(self._dialled, connection))

    def _dialled(self, connection: Connection, dial: "asyncio.Task[Refusal | None]") -> None:
        """A dial has ended. A failed one fails the call that waits longest, unless enough others are under way."""
        if self._dials.pop(connection, None) is not None:
            self._sockets.count -= 1
            self._not_made += 1
            if len(self._waiting) > len(self._dials):
                call = next(iter(self._waiting))
                del self._waiting[call]
                call.failed(_outcome(dial))
        self._dial_as_needed()


class _Drain:
    """Stands in for a call that nobody waits for any more, so that its answer is read and the connection lives."""

    __slots__ = ("_pool", "connection", "load", "until_s")

    request = b""
    may_retry = False

    def __init__(self, pool: Pool, connection: Connection, until_s: float, load: Load | None) -> None:
        self.until_s = until_s
        self.load = load
        if load is not None:
            load.calls += 1
        self._pool = pool
        self.connection: Connection | None = connection

    def answered(self, status: int, body: bytes, now_s: float) -> None:  # noqa: ARG002  # it is late, whatever it says
        if self.connection is not None:
            self._pool.drained(self.connection)

    def failed(self, refusal: Refusal) -> None:
        """Nobody cares."""

    def asked_to_wait(self, retry_after: bytes) -> None:
        """It is too late to tell anybody."""


def _outcome(dial: "asyncio.Task[Refusal | None]") -> Refusal:
    """Why a dial that has ended made no connection."""
    if dial.cancelled():
        return CLOSING
    error = dial.exception()
    if error is not None:
        return Refusal(Reason.INTERNAL_ERROR, type(error).__name__)
    return dial.result() or NOT_CONNECTED
