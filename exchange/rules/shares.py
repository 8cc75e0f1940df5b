"""Shares: the set of shared bids that brings the most for one lead, exactly, whoever may not have it with whom.

A set is allowed where no bid in it is shared by more than its buyer wants, no buyer is in it twice, and no two are who
must not have the same lead. Of equal sums the smaller set wins, then the one whose bids rank higher.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

SHARES_MAX = 10
"""The most legs that a lead is ever sold in."""

STEPS_MAX = 20_000
"""Where buyers exclude one another so intricately that it takes more steps, the best set found by then stands."""

Apart = Mapping[str, frozenset[str]]
"""The buyers whom each buyer must not have a lead with; both sides are there, whoever asked for it."""


_NOBODY: Final[frozenset[str]] = frozenset()


class Share(NamedTuple):
    """A shared bid: its buyer takes the lead at `gross_micros` where at most `shares_max` have it, he included."""

    buyer: str
    gross_micros: int
    shares_max: int


Plain = tuple[str, int, int]
"""A share, with or without its names."""


def best_shares(bids: Iterable[Plain], shares_max: int, apart: Apart) -> tuple[int, ...]:
    """Which of the bids are the best set of at most `shares_max`; best first, empty without bids.

    They are given highest first, equals by rank. No more of them are looked at than are needed.
    """
    rest = iter(bids)
    known: list[Plain] = []
    best: tuple[int, ...] = ()
    best_micros = 0
    for size in range(1, min(shares_max, SHARES_MAX) + 1):
        found, micros = _highest(known, rest, size)
        if not found:
            break  # who shares with more shares with fewer: larger sets there are neither
        if micros > best_micros and apart and _excludes(known, found, apart):
            found, micros = _together(known, rest, found, apart, best_micros)
        if micros > best_micros:
            best, best_micros = tuple(found), micros
    return best


def _highest(known: list[Plain], rest: Iterator[Plain], size: int) -> tuple[list[int], int]:
    """The highest bids that so many may share, one a buyer, and their sum; nothing where there are fewer.

    What has to be looked at of the rest for it is added to what is known.
    """
    found: list[int] = []
    buyers: list[str] = []
    micros = place = 0
    while len(found) < size:
        if place == len(known):
            bid = next(rest, None)
            if bid is None:
                return [], 0
            known.append(bid)
        buyer, gross_micros, willing = known[place]
        if willing >= size and buyer not in buyers:
            found.append(place)
            buyers.append(buyer)
            micros += gross_micros
        place += 1
    return found, micros


def _excludes(bids: Sequence[Plain], chosen: Sequence[int], apart: Apart) -> bool:
    """Whether any of these bids' buyers must not have the lead with another of them."""
    buyers = [bids[place][0] for place in chosen]
    return any(not apart[buyer].isdisjoint(buyers) for buyer in buyers if buyer in apart)


def _together(
    known: list[Plain], rest: Iterator[Plain], highest: Sequence[int], apart: Apart, above_micros: int
) -> tuple[list[int], int]:
    """The best set as large as the `highest`, of buyers who may have the lead together, if it is above the best so far.

    No bid of it is so low that the highest others would not make up for it, nor for less than the first set brings that
    is found by taking each bid that still fits.
    """
    size, micros, place = len(highest), 0, 0
    others_micros = sum([known[place][1] for place in highest[:-1]])
    least_micros = above_micros + 1 - others_micros
    willing: list[int] = []
    fitting: list[str] = []
    while True:
        if place == len(known):
            bid = next(rest, None)
            if bid is None:
                break
            known.append(bid)
        buyer, gross_micros, shares_max = known[place]
        if gross_micros < least_micros:
            break
        if shares_max >= size:
            willing.append(place)
            if len(fitting) < size and buyer not in fitting and apart.get(buyer, _NOBODY).isdisjoint(fitting):
                fitting.append(buyer)
                micros += gross_micros
                if len(fitting) == size:
                    least_micros = max(least_micros, micros - others_micros)
        place += 1
    found, micros = _search([known[place] for place in willing], size, apart, above_micros)
    return [willing[place] for place in found], micros


def _search(bids: Sequence[Plain], size: int, apart: Apart, above_micros: int) -> tuple[tuple[int, ...], int]:
    """The best set of exactly `size` bids, highest first, that brings more than `above_micros`; nothing without one.

    Depth first, the higher bid first, and a branch is left when even its bound is not above the best: so of equal sums
    the set that ranks higher is found first and stays.
    """
    clashes = _clashes(bids, apart)
    best: tuple[tuple[int, ...], int] = ((), above_micros)
    stack: list[tuple[tuple[int, ...], int, int]] = [((), 0, (1 << len(bids)) - 1)]
    steps = 0
    while stack and steps < STEPS_MAX:
        steps += 1
        chosen, micros, open_to = stack.pop()
        if len(chosen) == size:
            if micros > best[1]:
                best = (chosen, micros)
            continue
        bound = _bound(bids, clashes, open_to, size - len(chosen))
        if bound is None or micros + bound <= best[1]:
            continue
        first = (open_to & -open_to).bit_length() - 1
        rest = open_to & (open_to - 1)
        stack.append((chosen, micros, rest))
        stack.append(((*chosen, first), micros + bids[first][1], rest & ~clashes[first]))
    return best if best[0] else ((), 0)


def _clashes(bids: Sequence[Plain], apart: Apart) -> list[int]:
    """For each bid the bids, as a bit set, that cannot be in a set with it; itself among them."""
    by_buyer: dict[str, int] = {}
    for index, bid in enumerate(bids):
        by_buyer[bid[0]] = by_buyer.get(bid[0], 0) | 1 << index
    found = dict(by_buyer)
    for buyer in by_buyer.keys() & apart.keys():
        for other in apart[buyer] & by_buyer.keys():
            found[buyer] |= by_buyer[other]
    return [found[bid[0]] for bid in bids]


def _bound(bids: Sequence[Plain], clashes: Sequence[int], open_to: int, wanted: int) -> int | None:
    """The most that `wanted` more of the open bids can bring; None where so many cannot be had.

    The open bids are parted into groups in which each clashes with each: no set has two of one. As they come highest
    first, the first of each group is its highest.
    """
    groups: list[int] = []
    micros = 0
    while open_to:
        bit = open_to & -open_to
        open_to ^= bit
        index = bit.bit_length() - 1
        for number, joinable in enumerate(groups):
            if joinable & bit:
                groups[number] = joinable & clashes[index]
                break
        else:
            groups.append(clashes[index])
            micros += bids[index][1]
            if len(groups) == wanted:
                return micros
    return None
