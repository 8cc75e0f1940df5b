"""Pings that wait to be let in: sellers take turns, and where there is no more room the one with most waiting loses.

So each seller gets the same part of what can be served, or all that he sends if that is less: a flood of one seller
fills his own line, and goes before nobody else's pings.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

ROOM_MIN = 200
"""As many may wait, however few were let in of late, unless it is a line that stands."""
STANDS_WINDOWS = 5
"""A line for which the room was too small in so many windows without a pause is no burst any more: it stands."""
STANDING_S, STANDING_ROOM_MIN = 0.03, 8
"""In a line that stands, so many may wait as are let in in this time, and at least so many."""
SHORTER, LONGER = 0.7, 1.1
"""What the room becomes after each window in which a line stands, and after each in which there was room for all."""
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


def room_next(room: float, let_in_a_s: float, wait_max_s: float, full_windows: int) -> float:
    """How many may wait in the next window, after so many without a pause in which there was not room for all.

    Where more come than go in for longer than a burst, a long line makes all of them wait and serves no more of them:
    then it becomes shorter, so that who cannot be served is told at once, and who can is served soon.
    """
    if full_windows >= STANDS_WINDOWS:
        return max(STANDING_ROOM_MIN, let_in_a_s * STANDING_S, room * SHORTER)
    if full_windows:
        return room
    return min(float(room_for(let_in_a_s, wait_max_s)), room * LONGER)


class Lines(Generic[Item]):
    """A line for each seller who has something waiting. `size` is how many wait in all of them."""

    def __init__(self) -> None:
        self.size = 0
        self._lines: dict[str, deque[Item]] = {}
        self._longest = 0
        self._of_length: list[int] = [0]
        """How many lines there are of each length; of 0 it is not counted."""

    def is_longest(self, seller: str) -> bool:
        """Whether nobody has more waiting than this seller, who has something."""
        own = self._lines.get(seller)
        return own is not None and len(own) == self._longest

    def add(self, seller: str, item: Item, room: float) -> Item | None:
        """Adds to a seller's line; returns who has to go for it, which may be the item itself, or None."""
        own = self._lines.get(seller)
        if self.size < room:
            self._append(seller, own, item)
            return None
        if not self._longest or (own is not None and len(own) == self._longest):
            return item
        longest = next(name for name, line in self._lines.items() if len(line) == self._longest)
        line = self._lines[longest]
        gone = line.pop()
        self._one_less(line)
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
        self._one_less(line)
        if line:
            self._lines[seller] = line
        return item

    def overdue(self, since_s: float) -> Iterator[Item]:
        """Takes out all who have waited since before that moment."""
        for seller in [seller for seller, line in self._lines.items() if line[0].since_s < since_s]:
            line = self._lines[seller]
            while line and line[0].since_s < since_s:
                item = line.popleft()
                self._one_less(line)
                yield item
            if not line:
                del self._lines[seller]

    def _append(self, seller: str, own: "deque[Item] | None", item: Item) -> None:
        if own is None:
            own = self._lines[seller] = deque()
        own.append(item)
        self.size += 1
        length = len(own)
        self._of_length[length - 1] -= 1
        if length == len(self._of_length):
            self._of_length.append(0)
        self._of_length[length] += 1
        self._longest = max(self._longest, length)

    def _one_less(self, line: "deque[Item]") -> None:
        self.size -= 1
        length = len(line)
        self._of_length[length + 1] -= 1
        self._of_length[length] += 1
        if length + 1 == self._longest and not self._of_length[length + 1]:
            self._longest = length
