"""A ping's calls: each order is asked at once, each ends with one outcome, and a counter says when all have."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

from exchange.buyers.connection import Connection
from exchange.buyers.line import Line
from exchange.values.bid import Asked, Bid, Refusal, Reply
from exchange.values.reason import Reason

TIMER_GRAIN_S = 0.0015
"""Event loops count in whole milliseconds and round: set this much later, a timer is never early."""

TOLD_MS_MIN = 5
"""A buyer who would be told that he has less is not asked."""

SILENT = Refusal(Reason.TIMEOUT)
NO_TIME_LEFT = Refusal(Reason.NO_TIME_LEFT, "the network needs it")
NOT_CONNECTED = Refusal(Reason.TIMEOUT, "still connecting")

_new = tuple.__new__
"""Makes a named tuple in half the time that its name takes; here ten for each ping."""


class Call:
    """One order, to be asked once. `timeout_ms` is its own deadline; `read` turns an answer into its meaning.

    The buyer is told his deadline less what the network takes, there and back.

    The rest is the engine's: `asked` is there once the round is over, `retry_after` is what a 429 said beside it.
    """

    __slots__ = (
        "asked",
        "body",
        "connection",
        "due_s",
        "line",
        "may_retry",
        "overdue",
        "read",
        "request",
        "retry_after",
        "round",
        "timeout_ms",
    )

    asked: Asked
    due_s: float
    request: bytes

    def __init__(self, line: Line, body: bytes, timeout_ms: int, read: Callable[[int, bytes], Reply]) -> None:
        self.line = line
        self.body = body
        self.timeout_ms = timeout_ms
        self.read = read
        self.connection: Connection | None = None
        self.round: Round | None = None
        self.retry_after = b""
        self.may_retry = True
        self.overdue = False

    def answered(self, status: int, body: bytes, now_s: float) -> None:
        """The buyer has answered. A bid after the order's own deadline is late."""
        try:
            reply = self.read(status, body)
        except Exception as error:  # noqa: BLE001  # one buyer's answer must not end the auction for the others
            reply = Refusal(Reason.INTERNAL_ERROR, type(error).__name__)
        if now_s > self.due_s and isinstance(reply, Bid):
            reply = Refusal(Reason.LATE, gross_micros=reply.gross_micros)
        self._settle(reply, now_s)

    def asked_to_wait(self, retry_after: bytes) -> None:
        """The answer that comes now is a 429 with this Retry-After."""
        self.retry_after = retry_after

    def failed(self, refusal: Refusal) -> None:
        """There will be no answer."""
        self._settle(refusal, monotonic())

    def left_out(self, refusal: Refusal) -> None:
        """Nobody is asked."""
        if self.round is not None:
            current, self.round = self.round, None
            self.asked = Asked(self.line.order, refusal)
            current.one_less()

    def _settle(self, reply: Reply, now_s: float) -> None:
        current = self.round
        if current is None:
            return
        self.round = None
        elapsed_ms = int((now_s - current.started_s) * 1_000_000) / 1000
        self.asked = _new(Asked, (self.line.order, reply, elapsed_ms))
        if not self.overdue:
            current.one_less()


class Tally:
    """How many pings wait for their buyers at the moment."""

    __slots__ = ("asking",)

    def __init__(self) -> None:
        self.asking = 0


class Round:
    """The calls of one ping. It is decided when every order has answered or is past its own deadline.

    No order's deadline is after `decide_at_s`, a moment of `time.monotonic()`.
    """

    __slots__ = ("_calls", "_decide_at_s", "_decided", "_loop", "_open", "_tally", "_timer", "started_s")

    def __init__(
        self, calls: Sequence[Call], decide_at_s: float, loop: asyncio.AbstractEventLoop, tally: Tally
    ) -> None:
        self._calls = calls
        self._tally = tally
        self._decide_at_s = decide_at_s
        self._loop = loop
        self.started_s = monotonic()
        self._open = len(calls)
        self._decided: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> tuple[Asked, ...]:
        """Asks; the outcomes are in the order of the calls. Whoever cancels this leaves nothing behind."""
        try:
            first_due_s = self._start()
            if self._open:
                self._decided = self._loop.create_future()
                self._wake_at(first_due_s)
                self._tally.asking += 1
                try:
                    await self._decided
                finally:
                    self._tally.asking -= 1
        finally:
            self._end()
        return tuple([call.asked for call in self._calls])

    def one_less(self) -> None:
        """One order less to wait for."""
        self._open -= 1
        if not self._open and self._decided is not None and not self._decided.done():
            self._decided.set_result(None)

    def _start(self) -> float:
        """Sends all requests; the moment at which the first order will be past its deadline."""
        started_s, first_due_s = self.started_s, self._decide_at_s
        body, timeout_ms, told_ms, size, due_s, middle, rest = None, -1, -1, -1, 0.0, b"", b""
        for call in self._calls:
            line, pool = call.line, call.line.pool
            call.round = self
            if pool is None or (told := call.timeout_ms - pool.network_ms) < TOLD_MS_MIN:
                call.left_out(line.refusal if pool is None else NO_TIME_LEFT)
                continue
            if call.timeout_ms != timeout_ms:
                timeout_ms = call.timeout_ms
                due_s = min(started_s + timeout_ms / 1000, self._decide_at_s)
                first_due_s = min(first_due_s, due_s)
            if call.body is not body or told != told_ms:
                body = call.body
                if told != told_ms or len(body) != size:
                    told_ms, size = told, len(body)
                    middle = b"%d\r\nContent-Length: %d\r\n\r\n" % (told_ms, size)
                rest = middle + body
            call.due_s = due_s
            try:
                call.request = line.head + rest
                pool.send(call)
            except Exception as error:  # noqa: BLE001  # free where nothing is raised; see `answered`
                _break(call, error)
        return first_due_s

    def _end(self) -> None:
        """Stops waiting: silent calls are withdrawn, and nothing refers to anything in a circle any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = monotonic()
        for call in self._calls:
            if call.round is None:
                continue
            call.overdue = True
            call.failed(NOT_CONNECTED if call.connection is None else SILENT)
            if call.line.pool is not None:
                call.line.pool.withdraw(call, now_s, call.line.load)

    def _wake_at(self, moment_s: float) -> None:
        delay_s = max(0.0, moment_s - monotonic()) + TIMER_GRAIN_S
        self._timer = self._loop.call_later(delay_s, self._wake)

    def _wake(self) -> None:
        """Some orders are past their deadlines: the auction waits for the others only."""
        now_s, next_due_s = monotonic(), self._decide_at_s
        for call in self._calls:
            if call.round is None or call.overdue:
                continue
            if call.due_s <= now_s:
                call.overdue, call.may_retry = True, False
                self.one_less()
            else:
                next_due_s = min(next_due_s, call.due_s)
        if self._open:
            self._wake_at(next_due_s)


def _break(call: Call, error: Exception) -> None:
    if call.connection is not None:
        call.connection.close()
    call.failed(Refusal(Reason.INTERNAL_ERROR, type(error).__name__))
