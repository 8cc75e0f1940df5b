"""Shares: the set of shared bids that brings the most for one lead, exactly, whoever may not have it with whom.

A set is allowed where no bid in it is shared by more than its buyer wants, no buyer is in it twice, and no two are who
must not have the same lead. Of equal sums the smaller set wins, then the one whose bids rank higher.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

SHARES_MAX = 10
"""The most legs that a lead is ever sold in."""

STEPS_MAX = 20_000
"""Where buyers exclude one another so intricately that it takes more steps, the best set found by then stands."""

Apart = Mapping[str, frozenset[str]]
"""The buyers whom each buyer must not have a lead with; both sides are there, whoever asked for it."""


class Share(NamedTuple):
    """A shared bid: its buyer takes the lead at `gross_micros` where at most `shares_max` have it, he included."""

    buyer: str
    gross_micros: int
    shares_max: int


def best_shares(bids: Iterable[Share], shares_max: int, apart: Apart) -> tuple[int, ...]:
    """Which of the bids are the best set of at most `shares_max`; best first, empty without bids.

    They are given highest first, equals by rank. No more of them are looked at than are needed.
    """
    rest = iter(bids)
    known: list[Share] = []
    best: tuple[int, ...] = ()
    best_micros = 0
    for size, highest in enumerate(_highest(rest, known, min(shares_max, SHARES_MAX)), 1):
        found, micros = highest
        if apart and micros > best_micros and _excludes(known, found, apart):
            known += rest
            willing = [place for place, bid in enumerate(known) if bid.shares_max >= size]
            positions, micros = _search([known[place] for place in willing], size, apart, best_micros)
            found = [willing[position] for position in positions]
        if micros > best_micros:
            best, best_micros = tuple(found), micros
    return best


def _highest(bids: Iterator[Share], known: list[Share], sizes: int) -> list[tuple[list[int], int]]:
    """Of each size the highest bids that so many may share, one a buyer, and their sum; nothing where there are fewer.

    Then a smaller size has found them. What was looked at is added to `known`.
    """
    taken: list[dict[str, int]] = [{} for _ in range(sizes)]
    sums = [0] * sizes
    filled = 0  # where a set is full, so are the smaller ones: who shares with more shares with fewer
    for place, bid in enumerate(bids):
        known.append(bid)
        buyer, gross_micros, willing = bid
        for size in range(filled, min(willing, sizes)):
            if buyer not in (found := taken[size]):
                found[buyer] = place
                sums[size] += gross_micros
                filled += len(found) > size
        if filled == sizes:
            break
    return [(list(taken[size].values()), sums[size]) for size in range(filled)]


def _excludes(bids: Sequence[Share], chosen: Sequence[int], apart: Apart) -> bool:
    """Whether any of these bids' buyers must not have the lead with another of them."""
    buyers = {bids[index].buyer for index in chosen}
    return any(apart[buyer] & buyers for buyer in buyers & apart.keys())


def _search(bids: Sequence[Share], size: int, apart: Apart, above_micros: int) -> tuple[tuple[int, ...], int]:
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
        stack.append(((*chosen, first), micros + bids[first].gross_micros, rest & ~clashes[first]))
    return best if best[0] else ((), 0)


def _clashes(bids: Sequence[Share], apart: Apart) -> list[int]:
    """For each bid the bids, as a bit set, that cannot be in a set with it; itself among them."""
    by_buyer: dict[str, int] = {}
    for index, bid in enumerate(bids):
        by_buyer[bid.buyer] = by_buyer.get(bid.buyer, 0) | 1 << index
    found = dict(by_buyer)
    for buyer in by_buyer.keys() & apart.keys():
        for other in apart[buyer] & by_buyer.keys():
            found[buyer] |= by_buyer[other]
    return [found[bid.buyer] for bid in bids]


def _bound(bids: Sequence[Share], clashes: Sequence[int], open_to: int, wanted: int) -> int | None:
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
            micros += bids[index].gross_micros
            if len(groups) == wanted:
                return micros
    return None
