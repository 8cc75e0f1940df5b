"""The moment at which a lead leaves: until then it can be held back for certain, from then on it cannot."""

import math
import threading
import time


class TooLate(Exception):
    """Nothing may be sent any more."""


class Departure:
    """One lead's. It may be asked from a thread, which goes on when nobody waits for it any more.

    Nothing leaves after `by_s`, a moment of `time.monotonic()`: a process that was frozen has lost its lease.
    """

    def __init__(self, by_s: float = math.inf) -> None:
        self._by_s = by_s
        self._lock = threading.Lock()
        self._is_open = True
        self.has_left = False

    def leave(self) -> None:
        """To be called before the first byte of the lead. Raises TooLate where it must stay."""
        with self._lock:
            if not self._is_open or time.monotonic() >= self._by_s:
                raise TooLate
            self.has_left = True

    def check(self) -> None:
        """Raises TooLate where nobody waits any more: what is half-way there is not made whole."""
        with self._lock:
            if not self._is_open:
                raise TooLate

    def close(self) -> bool:
        """Holds back what has not left yet; whether something has."""
        with self._lock:
            self._is_open = False
            return self.has_left
