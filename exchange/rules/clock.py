"""The clock of a campaign: the set of orders that their schedules keep closed, kept until the next one changes."""

import heapq
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from exchange.rules.schedule import HORIZON_DAYS, Timeline

_HORIZON_S: Final = HORIZON_DAYS * 86_400.0

_NEVER_S: Final = float("-inf")


class Clock:
    """Timelines, each with the numbers of the orders that keep it. Times are Unix times in seconds.

    Between two changes the set is only looked at; at a change only the timelines that change are worked out.
    """

    __slots__ = ("_closed", "_due", "_from_s", "_orders", "_set", "_timelines", "_until_s")

    def __init__(self, orders: Mapping[Timeline, Sequence[int]]) -> None:
        self._timelines: Final = tuple(orders)
        self._orders: Final = tuple(orders.values())
        self._set = 0
        self._from_s = self._until_s = _NEVER_S
        self._due: list[tuple[float, int]] = []
        self._closed = bytearray()

    def closed(self, now_s: float) -> int:
        """The set of orders that are closed at an instant."""
        if not self._from_s <= now_s < self._until_s:
            self._move(now_s)
        return self._set

    def _move(self, now_s: float) -> None:
        if now_s < self._from_s or not self._due:
            self._begin()
        now = datetime.fromtimestamp(now_s, UTC)
        while self._due[0][0] <= now_s:
            number = self._due[0][1]
            is_open, until = self._timelines[number].standing(now)
            self._put(number, is_open=is_open)
            heapq.heapreplace(self._due, (until.timestamp() if until else now_s + _HORIZON_S, number))
        self._from_s, self._until_s = now_s, self._due[0][0]
        self._set = int.from_bytes(self._closed, "little")

    def _begin(self) -> None:
        """Nothing is known yet, or the clock was set back: every timeline is worked out."""
        self._closed = bytearray(max(map(max, self._orders)) // 8 + 1)
        self._due = [(_NEVER_S, number) for number in range(len(self._timelines))]

    def _put(self, number: int, *, is_open: bool) -> None:
        closed = self._closed
        for order in self._orders[number]:
            if is_open:
                closed[order >> 3] &= ~(1 << (order & 7))
            else:
                closed[order >> 3] |= 1 << (order & 7)
