"""The entrance to the ping's door: as many are let in as the gateway can have in hand, and the others wait a little.

Whom there is no room for is refused at once, before anything of his request is read: so refusing costs next to nothing,
and the pings that were let in are answered in time. `rules.limiter` and `rules.waiting` decide. Posts do not come this
way.
"""

import asyncio
import math
import statistics
import time
from dataclasses import dataclass

from exchange.api.door import Arrival, Comer
from exchange.api.problems import Prepared, prepared
from exchange.api.rate_limits import RateLimits
from exchange.buyers.calls import Tally
from exchange.errors import Problem
from exchange.observe import metrics
from exchange.rules.limiter import REST, Bounds, Limit, Strain, Window, adjusted
from exchange.rules.waiting import Lines, has_his_part, pace, room_for, room_next
from exchange.storage.keys import KeyRing
from exchange.values.deadline import Deadline

TICK_S = 0.01
WINDOW_TICKS = 9
STARTS_A_TURN = 2
"""So many pings go in at one turn of the event loop, and who stands behind them waits here, not in the loop: its turns
stay short, and at each of them those are refused for whom there is no room."""
PACE_GRAIN_S = 0.001
"""When it is looked again whether by their pace another may go in, where nothing else happens."""
BURST_WINDOWS = 3
"""Where pings have had to wait for so long without a pause it is more than a burst, and they are let in at a pace."""
SMOOTHING = 0.25
"""How much of a window's rates goes into those that are reckoned with."""
STRANGERS = ""
"""Keys that nobody has used yet stand in one line: they may be anybody's, and each costs a look into Postgres."""
OVERLOADED = "overloaded"
RETRY_AFTER_S = (1, 2, 3)
"""In turn, so that those who were refused together do not come back together."""


@dataclass(frozen=True, slots=True)
class EntranceLimits:
    """Settings of these names; `time_min_ms` is the least time that a ping can be answered in."""

    in_flight_max: int
    in_hand_min: int
    lag_target_ms: int
    own_target_ms: int
    wait_max_ms: int
    time_min_ms: int


class Entrance:
    """Lets pings in. `tally` says how many of those who are in wait for their buyers, and are not in hand."""

    def __init__(self, keys: KeyRing, rates: RateLimits, tally: Tally, limits: EntranceLimits) -> None:
        self._keys = keys
        self._rates = rates
        self._tally = tally
        self._most = most = limits.in_flight_max
        self._bounds = Bounds(min(limits.in_hand_min, most), most, limits.lag_target_ms, limits.own_target_ms)
        self._limit = Limit(min(REST, float(most)))
        self._time_min_ms = limits.time_min_ms
        self._wait_max_s = limits.wait_max_ms / 1000
        self._lines: Lines[Comer] = Lines()
        self._in_flight = 0
        self._inside: dict[str, int] = {}
        self._entered_a_s = self._out_a_s = 0.0
        self._pace = math.inf
        self._paced_s = 0.0
        self._starts = 0
        self._is_woken = False
        self._held_windows = self._full_windows = 0
        self._room = float(room_for(0.0, self._wait_max_s))
        self._watch = _Watch()
        self._refused = 0
        self._closed_to: set[str] = set()
        self._turned_away: dict[str, int] = {}
        """By door, since it was told."""
        self._refusals = [prepared(_overloaded(seconds)) for seconds in RETRY_AFTER_S]
        self._clock: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._set_clock()

    async def close(self) -> None:
        """Refuses those who wait: there is nothing to let them in to."""
        if self._clock is not None:
            self._clock.cancel()
        self._look_anew()
        for comer in self._lines.overdue(math.inf):
            self._refuse_late(comer)

    def turn_away(self, door: str, bearer: str, now_s: float) -> Prepared | None:
        """The answer to a ping that surely does not come in, before anything is made of it; None for all others.

        Where there was no room for a key, there is none for the rest of the turn, unless something changes.
        """
        if bearer not in self._closed_to:
            seller, is_certain = self._keys.seller_seen(bearer, now_s)
            if is_certain and seller is not None and (limited := self._rates.refusal(seller, now_s)) is not None:
                metrics.PROBLEMS.add((door, limited.code))
                return limited
            if not self._is_full() or not self._has_no_room(STRANGERS if seller is None else seller):
                return None
            self._close_to(bearer)
        self._turned_away[door] = self._turned_away.get(door, 0) + 1
        self._refused += 1
        return self._refusals[self._refused % len(RETRY_AFTER_S)]

    def enter(self, comer: Comer) -> Prepared | None:
        """Lets a ping in that was not turned away, or has it wait, and returns nothing; or returns what refuses it."""
        now_s = time.monotonic()
        seller, _ = self._keys.seller_seen(comer.bearer, now_s)
        comer.seller = STRANGERS if seller is None else seller
        return self._enter(comer, now_s)

    async def let_in(self, arrival: Arrival, seller: str) -> None:
        """Waits until a ping is in that did not come straight to its door. Raises Problem 503 where it is refused."""
        if arrival.inside is not None:
            return
        pause = _Pause(self._loop, seller)
        refused = self._enter(pause, time.monotonic()) is not None
        try:
            refused = refused or not await pause.ended
        except asyncio.CancelledError:
            if pause.is_in:
                self._one_less(seller)
            raise
        if refused:
            raise _overloaded(self._next())
        arrival.inside, arrival.has_waited = seller, pause.since_s > 0

    def leave(self, arrival: Arrival) -> None:
        """A ping is over. To be called at least once for each that is in."""
        if arrival.inside is not None:
            seller, arrival.inside = arrival.inside, None
            self._one_less(seller)

    def took(self, own_s: float) -> None:
        """How long a ping was in hand: without its wait here, and for its buyers."""
        self._watch.own_s += own_s
        self._watch.answered += 1

    def check_time(self, arrival: Arrival, time_ms: int) -> None:
        """Raises Problem 503 where a ping has lost so much of its time by waiting here that nobody could be asked."""
        if arrival.has_waited and Deadline.after_ms(time_ms, arrival.arrived_s).remaining_ms() < self._time_min_ms:
            metrics.REQUESTS_SHED.add(("no_time_left",))
            raise _overloaded(self._next())

    def _close_to(self, bearer: str) -> None:
        if not self._closed_to:
            self._loop.call_soon(self._look_anew)
        self._closed_to.add(bearer)

    def _look_anew(self) -> None:
        """Something changes, or the turn ends: whoever was turned away is counted, and for others there may be room."""
        if not self._closed_to:
            return
        self._closed_to.clear()
        for door, count in self._turned_away.items():
            metrics.PROBLEMS.add((door, OVERLOADED), count)
            self._count_refused(count)
        self._turned_away.clear()

    def _enter(self, comer: Comer, now_s: float) -> Prepared | None:
        if not self._lines.size and self._starts < STARTS_A_TURN and self._has_place():
            self._go(comer)
            return None
        if self._has_no_room(comer.seller):
            return self._refusal()
        comer.since_s = now_s
        self._look_anew()
        gone = self._lines.add(comer.seller, comer, self._room)
        if gone is None:
            return None
        refusal = self._refusal()
        if gone is comer:
            return refusal
        gone.refuse(refusal)
        return None

    def _is_full(self) -> bool:
        return self._lines.size >= self._room or self._in_flight >= self._most

    def _has_no_room(self, seller: str) -> bool:
        """Whether a seller has his part of all places, or of what may wait, and there is no more."""
        if self._in_flight >= self._most and has_his_part(self._inside, seller, self._most):
            return True
        return self._lines.size >= self._room and self._lines.is_longest(seller)

    def _has_place(self) -> bool:
        in_flight = self._in_flight
        return in_flight < self._most and in_flight - self._tally.asking < self._limit.at

    def _go(self, comer: Comer) -> None:
        self._look_anew()
        if not self._starts:
            self._loop.call_soon(self._next_turn)
        self._starts += 1
        if comer.go():
            self._in_flight += 1
            self._inside[comer.seller] = self._inside.get(comer.seller, 0) + 1
            self._watch.entered += 1

    def _one_less(self, seller: str) -> None:
        self._look_anew()
        self._in_flight -= 1
        self._watch.out += 1
        left = self._inside.pop(seller) - 1
        if left:
            self._inside[seller] = left
        if self._lines.size:
            self._let_next_in()

    def _next_turn(self) -> None:
        self._starts = 0
        if self._lines.size:
            self._let_next_in()

    def _let_next_in(self) -> None:
        """Lets in who waits, as far as there are places, this turn's are not used up, and their pace allows it."""
        now_s = time.monotonic()
        is_burst = self._held_windows < BURST_WINDOWS
        self._pace = math.inf if is_burst else pace(self._pace, self._out_a_s, now_s - self._paced_s)
        self._paced_s = now_s
        while self._starts < STARTS_A_TURN and self._pace >= 1 and self._has_place():
            comer = self._lines.take()
            if comer is None:
                return
            self._pace -= 1
            self._go(comer)
            metrics.PING_WAIT_SECONDS.observe(now_s - comer.since_s)
        if not self._starts and not self._is_woken and self._has_place():
            self._is_woken = True
            self._loop.call_later(PACE_GRAIN_S, self._wake)

    def _wake(self) -> None:
        self._is_woken = False
        if self._lines.size:
            self._let_next_in()

    def _set_clock(self) -> None:
        self._due_s = time.monotonic() + TICK_S
        self._clock = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._look_anew()
        watch, now_s = self._watch, time.monotonic()
        watch.lags_s.append(max(0.0, now_s - self._due_s))
        watch.in_hand = max(watch.in_hand, self._in_flight - self._tally.asking)
        if self._lines.size:
            watch.waited = True
            watch.held_back = watch.held_back or not self._has_place()
            for comer in self._lines.overdue(now_s - self._wait_max_s):
                self._refuse_late(comer)
            self._let_next_in()
        if len(watch.lags_s) == WINDOW_TICKS:
            self._adjust(now_s)
        self._set_clock()

    def _adjust(self, now_s: float) -> None:
        """Sets the limit, and the room, by what the last window has shown."""
        watch = self._watch
        self._limit = adjusted(self._limit, watch.seen(), self._bounds)
        passed_s = max(TICK_S, now_s - watch.since_s)
        self._entered_a_s += (watch.entered / passed_s - self._entered_a_s) * SMOOTHING
        self._out_a_s += (watch.out / passed_s - self._out_a_s) * SMOOTHING
        self._full_windows = self._full_windows + 1 if watch.refused else 0
        self._room = room_next(self._room, self._entered_a_s, self._wait_max_s, self._full_windows)
        self._held_windows = self._held_windows + 1 if watch.waited else 0
        self._watch = _Watch(now_s)
        metrics.PINGS_IN_FLIGHT.set(self._in_flight)
        metrics.PINGS_IN_HAND.set(self._in_flight - self._tally.asking)
        metrics.PINGS_IN_HAND_LIMIT.set(self._limit.at)
        metrics.PINGS_WAITING.set(self._lines.size)

    def _refuse_late(self, comer: Comer) -> None:
        metrics.REQUESTS_SHED.add(("waited_too_long",))
        metrics.LIMITS_HIT.add(("ping_wait_max_ms",))
        comer.refuse(self._refusals[self._next() - 1])

    def _refusal(self) -> Prepared:
        """What refuses a ping for want of room; it is counted."""
        self._count_refused(1)
        return self._refusals[self._next() - 1]

    def _count_refused(self, count: int) -> None:
        """Counts pings that were refused for want of room, by what keeps pings out."""
        self._watch.refused += count
        if self._in_flight >= self._most:
            metrics.REQUESTS_SHED.add(("pings_in_flight",), count)
            metrics.LIMITS_HIT.add(("pings_in_flight_max",), count)
        elif self._limit.strain is Strain.LOOP_LAG:
            metrics.REQUESTS_SHED.add(("loop_lag",), count)
        else:
            metrics.REQUESTS_SHED.add(("own_time",), count)

    def _next(self) -> int:
        """The seconds after which the next who is refused may come again."""
        self._refused += 1
        return RETRY_AFTER_S[self._refused % len(RETRY_AFTER_S)]


class _Watch:
    """What is seen in one window."""

    def __init__(self, since_s: float | None = None) -> None:
        self.since_s = time.monotonic() if since_s is None else since_s
        self.lags_s: list[float] = []
        self.in_hand = 0
        self.waited = self.held_back = False
        """Whether anybody waited, and whether it was the limit that held him back."""
        self.entered = self.out = self.refused = 0
        self.answered = 0
        self.own_s = 0.0

    def seen(self) -> Window:
        """The window that ends now."""
        own_ms = self.own_s / self.answered * 1000 if self.answered else None
        return Window(statistics.median(self.lags_s) * 1000, own_ms, self.in_hand, self.held_back)


class _Pause:
    """A ping that did not come straight to its door, and waits there."""

    bearer = ""

    def __init__(self, loop: asyncio.AbstractEventLoop, seller: str) -> None:
        self.seller = seller
        self.since_s = 0.0
        self.is_in = False
        self.ended: asyncio.Future[bool] = loop.create_future()

    def go(self) -> bool:
        if self.ended.done():
            return False
        self.ended.set_result(True)
        self.is_in = True
        return True

    def refuse(self, _: Prepared) -> None:
        if not self.ended.done():
            self.ended.set_result(False)


def _overloaded(retry_after_s: int) -> Problem:
    detail = "More pings come than can be answered in time: send it again later."
    return Problem(503, OVERLOADED, detail, retry_after_s=retry_after_s)
