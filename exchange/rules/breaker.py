"""The breaker of one endpoint and phase: it opens where most calls of late have failed, and closes on proof.

A pure state machine. Times are seconds of one clock that should not jump; where it does, nothing is open for longer.

    closed ── most calls of the window failed ──▶ open ── its rest is over ──▶ half open ── enough successes ──▶ closed
                                                    ▲                              │
                                                    └──────── a probe failed ──────┘
"""

from dataclasses import dataclass
from enum import StrEnum

SLOTS = 10
"""The window is counted in so many parts: it is that much shorter at times."""

PROBE_S = 30.0
"""After so long a probe of which nothing was heard is forgotten."""

JUDGED_BY_MIN = 3
"""By so many calls at least is an endpoint judged that was open a while ago."""

_DOUBLINGS_MAX = 30


class State(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """When a breaker opens: `failed_percent` of at least `calls_min` calls in `window_s` failed. How it closes again.

    It rests `rest_first_s`, twice as long each time up to `rest_longest_s`; then `probe_percent` of the pings that
    would go there are probes, one at a time, and `probes_min` successes in a row close it.
    """

    window_s: float
    calls_min: int
    failed_percent: int
    rest_first_s: float
    rest_longest_s: float
    probe_percent: int
    probes_min: int


class Breaker:
    """The state of one breaker. A bout is the time from its first opening until it has stayed closed for a while.

    `good` are successes that are not yet in the window: while all is well, adding one there is all that a call costs.
    `since_s` is when the bout began, `openings` how often it has opened in it, `until_s` when its rest is over.
    """

    __slots__ = (
        "_at",
        "_calls",
        "_closed_s",
        "_credit",
        "_failures",
        "_opened_s",
        "_probed_s",
        "_proofs",
        "_slot_s",
        "_starts_s",
        "_well_s",
        "good",
        "openings",
        "since_s",
        "state",
        "terms",
        "until_s",
    )

    good: int

    def __init__(self, terms: BreakerTerms, now_s: float) -> None:
        self.state = State.CLOSED
        self.openings = 0
        self.since_s = self.until_s = self._opened_s = self._closed_s = now_s
        self._credit = self._proofs = self._at = 0
        self._probed_s: float | None = None
        self._starts_s = now_s
        self.set(terms)
        self._clear(now_s)

    def set(self, terms: BreakerTerms) -> None:
        """Goes on under other terms."""
        self.terms = terms
        self._slot_s = terms.window_s / SLOTS

    def note(self, *, failed: bool, began_s: float, now_s: float, luck: float = 0.5) -> bool:
        """Takes note of what became of a call that began at `began_s`; whether the state changed.

        `luck`, from 0 to 1, makes rests shorter or longer, so that not everybody comes back at the same moment.
        """
        if self.state is not State.CLOSED:
            return self._note_probe(began_s, now_s, luck, failed=failed)
        if not failed:
            self.good += 1
            return False
        if not self._starts_s <= now_s < self._starts_s + self._slot_s:
            self._turn(now_s)
        if self.good:
            self._count_good(now_s)
        self._well_s = now_s
        self._calls[self._at] += 1
        self._failures[self._at] += 1
        calls, failures = self.counted()
        if calls < self._judged_by(now_s) or failures * 100 < self.terms.failed_percent * calls:
            return False
        self._open(now_s, luck)
        return True

    def note_sign(self, *, began_s: float, now_s: float) -> bool:
        """Takes note of a sign of life that is no call of this kind, as an answered ping is for posts."""
        if self.state is not State.HALF_OPEN or began_s < self.until_s:
            return False
        return self._one_good(now_s)

    def tick(self, now_s: float) -> bool:
        """Ends a rest that is over; whether the state changed."""
        if self.state is not State.OPEN:
            return False
        if now_s < self._opened_s:  # the clock went back: the rest is no longer for it
            self.until_s += now_s - self._opened_s
            self._opened_s = now_s
        if now_s < self.until_s:
            return False
        self.state = State.HALF_OPEN
        self._proofs, self._credit, self._probed_s = 0, 100, None
        return True

    def probe(self, now_s: float) -> bool:
        """Whether a ping may go to a half-open endpoint, to see how it is; of all pings that ask, a share may."""
        self._credit = min(100, self._credit + self.terms.probe_percent)
        is_out = self._probed_s is not None and 0 <= now_s - self._probed_s < PROBE_S
        if self.state is not State.HALF_OPEN or is_out or self._credit < 100:
            return False
        self._credit -= 100
        self._probed_s = now_s
        return True

    def probed(self, began_s: float) -> None:
        """The probe that was let through at `began_s` is over, whatever it has shown: another may be."""
        if self._probed_s == began_s:
            self._probed_s = None

    def close(self, now_s: float) -> None:
        """Closes by time or word; what was counted is forgotten, not that it has been open."""
        self.state, self._closed_s = State.CLOSED, now_s
        self._clear(now_s)
        self._starts_s = now_s

    def _count_good(self, now_s: float) -> None:
        """Puts the successes since the last failure into the window, as evenly as they may have come."""
        took_s = max(now_s - self._well_s, 0.0)
        parts = min(SLOTS, int(took_s / self._slot_s) + 1)
        lately = int(self.good * min(1.0, self.terms.window_s / took_s)) if took_s else self.good
        each, rest = divmod(lately, parts)
        for back in range(parts):
            self._calls[(self._at - back) % SLOTS] += each + (back < rest)
        self.good = 0

    def counted(self) -> tuple[int, int]:
        """The calls in the window, and those of them that failed."""
        return sum(self._calls), sum(self._failures)

    def _note_probe(self, began_s: float, now_s: float, luck: float, *, failed: bool) -> bool:
        if self.state is not State.HALF_OPEN or began_s < self.until_s:
            return False  # the call is older than the rest, and proves nothing
        self._probed_s = None
        if not failed:
            return self._one_good(now_s)
        self._open(now_s, luck)
        return True

    def _one_good(self, now_s: float) -> bool:
        self._proofs += 1
        if self._proofs < self.terms.probes_min:
            return False
        self.close(now_s)
        return True

    def _open(self, now_s: float, luck: float) -> None:
        if not self._is_in_bout(now_s):
            self.openings, self.since_s = 0, now_s
        self.openings += 1
        doubled_s = self.terms.rest_first_s * 2 ** min(self.openings - 1, _DOUBLINGS_MAX)
        self.state, self._opened_s = State.OPEN, now_s
        self.until_s = now_s + min(doubled_s, self.terms.rest_longest_s) * (0.75 + 0.5 * luck)

    def _is_in_bout(self, now_s: float) -> bool:
        if self.state is not State.CLOSED:
            return True
        return self.openings > 0 and now_s - self._closed_s <= self.terms.rest_longest_s

    def _judged_by(self, now_s: float) -> int:
        """An endpoint that was open lately is given fewer calls to fail in."""
        if not self.openings or not self._is_in_bout(now_s):
            return self.terms.calls_min
        return min(self.terms.calls_min, max(JUDGED_BY_MIN, self.terms.calls_min >> self.openings))

    def _turn(self, now_s: float) -> None:
        """Lets go of the parts of the window that are over."""
        steps = int((now_s - self._starts_s) // self._slot_s)
        if steps < 0:  # the clock went back: what was counted stays, and goes in its turn
            self._starts_s = now_s
        elif steps >= SLOTS:
            self._calls, self._failures = [0] * SLOTS, [0] * SLOTS
            self._starts_s = now_s
        else:
            for _ in range(steps):
                self._at = (self._at + 1) % SLOTS
                self._calls[self._at] = self._failures[self._at] = 0
            self._starts_s += steps * self._slot_s

    def _clear(self, now_s: float) -> None:
        self._calls, self._failures = [0] * SLOTS, [0] * SLOTS
        self.good, self._well_s = 0, now_s
