"""Counts the leads that orders' filters let through, where an order buys a part of them only, until it is stored."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from exchange.rules.caps import AnyCap, Proportion, Window, window

Key = tuple[str, Window]
"""An order, and the window in which it was let a lead."""


class Passed:
    """What one gateway has counted and not stored yet."""

    def __init__(self) -> None:
        self._limits: dict[str, Proportion] = {}
        self._windows: dict[str, Window] = {}
        self._counted: Counter[Key] = Counter()

    def limit(self, caps: Iterable[AnyCap]) -> None:
        """Sets the share caps in force."""
        self._limits = {cap.scope.subject: cap for cap in caps if isinstance(cap, Proportion)}
        self._windows = {}

    def note(self, orders: Iterable[str], now: datetime) -> None:
        """The filters of these orders have let a lead through."""
        for order in orders:
            limit = self._limits.get(order)
            if limit is not None:
                self._counted[order, self._window(limit, now)] += 1

    def take(self) -> Mapping[Key, int]:
        """What was counted since this was last asked."""
        taken, self._counted = self._counted, Counter()
        return taken

    def _window(self, limit: Proportion, now: datetime) -> Window:
        order = limit.scope.subject
        found = self._windows.get(order)
        if found is None or not found.starts_at <= now < found.ends_at:
            found = self._windows[order] = window(limit.period, limit.scope.zone, now)
        return found
