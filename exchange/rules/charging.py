"""Second price: whoever may have a lead pays what the next would, and never more than his own bid."""

from collections.abc import Sequence
from typing import NamedTuple

from exchange.rules.pricing import gross_for, payout_of
from exchange.values.market import Margin
from exchange.values.money import ceil_to_cent


class Taker(NamedTuple):
    """Who may have a lead, at what gross price of his own. A fixed price is not lowered."""

    gross_micros: int
    margin: Margin
    is_fixed: bool = False


def charges(takers: Sequence[Taker], floor_micros: int, payout_micros: int) -> list[int]:
    """What each would pay, best first: as much as the best of those behind him would.

    It is at least the floor and what the seller must get: `payout_micros` from the first, from the others what the
    first one's price promises. All of it is rounded up to the cent, and cut at each one's own price.
    """
    first = _charge(takers, floor_micros, payout_micros)
    promised_micros = payout_of(first, takers[0].margin)
    return [first, *(_charge(takers[start:], floor_micros, promised_micros) for start in range(1, len(takers)))]


def _charge(takers: Sequence[Taker], floor_micros: int, payout_micros: int) -> int:
    """What the first of these pays. The others' prices are whole cents already."""
    first = takers[0]
    needed_micros = gross_for(payout_micros, first.margin)
    if first.is_fixed or needed_micros is None:
        return first.gross_micros
    behind = max((taker.gross_micros for taker in takers[1:]), default=0)
    return min(first.gross_micros, max(behind, ceil_to_cent(floor_micros), needed_micros))
