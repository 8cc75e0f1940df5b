"""How long news gather before Valkey is told of them: for a moment, and for longer while there are many."""

import math
import time

PAUSE_S = 0.01
BUSY_PAUSE_S = 0.05
BUSY_PER_S = 50.0
"""So many news a second are many: telling of each would cost as much as what it tells of."""

LATELY_S = 0.5
"""What was more than a few of these ago hardly counts."""


class Gathering:
    """Knows how many news there have been lately."""

    def __init__(self) -> None:
        self._per_s = 0.0
        self._told_s = time.monotonic()

    def pause_s(self, count: int) -> float:
        """How long to wait after so many have been told."""
        now_s = time.monotonic()
        passed_s, self._told_s = max(now_s - self._told_s, PAUSE_S), now_s
        self._per_s += (count / passed_s - self._per_s) * (1 - math.exp(-passed_s / LATELY_S))
        return BUSY_PAUSE_S if self._per_s > BUSY_PER_S else PAUSE_S
