"""Pings that wait to be let in: sellers take turns, and where there is no more room the one with most waiting loses.

So each seller gets the same part of what can be served, or all that he sends if that is less: a flood of one seller
fills his own line, and goes before nobody else's pings.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

ROOM_MIN = 100
"""As many may always wait, however few were let in of late."""
PACE_MORE, PACE_MIN_A_S = 1.2, 500.0
"""Who waits goes in at this many times the pace at which pings come out, and never slower than the other."""


def pace(before: float, out_a_s: float, passed_s: float) -> float:
    """How many who wait may go in by now: about as many as have come out, or pings for slow buyers come in waves.

    `before` is what was left of it last time, of which one at most is kept.
    """
    return min(before, 1.0) + max(PACE_MIN_A_S, PACE_MORE * out_a_s) * passed_s


def has_his_part(inside: Mapping[str, int], seller: str, most: int) -> bool:
    """Whether a seller has as many of at most `most` places as each of those who are inside may have."""
    return inside.get(seller, 0) * len(inside) >= most


class Waiting(Protocol):
    """Whatever waits knows since when."""

    since_s: float


Item = TypeVar("Item", bound=Waiting)


def room_for(let_in_a_s: float, wait_max_s: float) -> int:
    """How many may wait: as many as can be let in by half the time that they may wait, for that is only an estimate."""
    return max(ROOM_MIN, int(let_in_a_s * wait_max_s / 2))


class Lines(Generic[Item]):
    """A line for each seller who has something waiting. `size` is how many wait in all of them."""

    def __init__(self) -> None:
        self.size = 0
        self._lines: dict[str, deque[Item]] = {}

    def add(self, seller: str, item: Item, room: int) -> Item | None:
        """Adds to a seller's line; returns who has to go for it, which may be the item itself, or None."""
        own = self._lines.get(seller)
        if self.size < room:
            self._append(seller, own, item)
            return None
        longest, line = max(self._lines.items(), key=_length, default=(seller, own))
        if line is None or (own is not None and len(own) >= len(line)):
            return item
        gone = line.pop()
        self.size -= 1
        if not line:
            del self._lines[longest]
        self._append(seller, self._lines.get(seller), item)
        return gone

    def take(self) -> Item | None:
        """Who is next: the first in the line of the seller whose turn it is. His line then goes behind the others."""
        if not self.size:
            return None
        seller = next(iter(self._lines))
        line = self._lines.pop(seller)
        item = line.popleft()
        if line:
            self._lines[seller] = line
        self.size -= 1
        return item

    def overdue(self, since_s: float) -> Iterator[Item]:
        """Takes out all who have waited since before that moment."""
        for seller in [seller for seller, line in self._lines.items() if line[0].since_s < since_s]:
            line = self._lines[seller]
            while line and line[0].since_s < since_s:
                self.size -= 1
                yield line.popleft()
            if not line:
                del self._lines[seller]

    def _append(self, seller: str, own: "deque[Item] | None", item: Item) -> None:
        if own is None:
            own = self._lines[seller] = deque()
        own.append(item)
        self.size += 1


def _length(line: "tuple[str, deque[Item]]") -> int:
    return len(line[1])
