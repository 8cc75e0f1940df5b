"""One deadline for a request: a moment on the monotonic clock that every step asks for what remains."""

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment in seconds of `time.monotonic()`. It is made once, at the door, and only ever moved forward in time."""

    at_s: float

    @classmethod
    def after_ms(cls, milliseconds: float, since_s: float | None = None) -> Self:
        """The moment `milliseconds` after `since_s` (default: now)."""
        return cls((time.monotonic() if since_s is None else since_s) + milliseconds / 1000)

    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at_s - time.monotonic())

    def remaining_ms(self) -> int:
        """Whole milliseconds left, never negative."""
        return int(self.remaining_s() * 1000)

    def less_ms(self, milliseconds: float) -> "Deadline":
        """An earlier deadline: this one with `milliseconds` kept back for what comes after."""
        return Deadline(self.at_s - milliseconds / 1000)

    def sooner(self, other: "Deadline") -> "Deadline":
        """The earlier of two deadlines."""
        return self if self.at_s <= other.at_s else other
