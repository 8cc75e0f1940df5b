"""A contest: who takes part in an auction, on what terms, and in which order those who could win may have the lead."""

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from exchange.rules.estimates import Left
from exchange.rules.ranking import Candidate, Ranking, inputs_of, measured_for, order_of, tie_break
from exchange.rules.shares import Apart
from exchange.values.bid import Asked, Bid
from exchange.values.market import MAX_SHARES, Fallback, Margin, Sale
from exchange.values.trace import Inputs

NOBODY_APART: Apart = MappingProxyType({})


class Entrant(NamedTuple):
    """One order that was asked or has a fixed price, what it replied, and what limits its bid.

    `max_bid_micros` is the buyer's own limit, `available_micros` what he can still spend, `left` what caps and budget
    leave his order; None means no limit.
    """

    order: str
    buyer: str
    priority: int
    max_bid_micros: int | None
    available_micros: int | None
    margin: Margin
    asked: Asked
    left: Left | None = None


class Terms(NamedTuple):
    """What a bid must meet. `floor_micros` is on gross, inclusive; `min_price_micros` is on the payout.

    So is `payout_floor_micros`, for every bid. `ranking` is None where nothing but the price counts; `second_price`
    says that the winner pays what the next would.
    """

    floor_micros: int
    fallback: Fallback = Fallback.BREAK_EVEN
    min_price_micros: int | None = None
    payout_floor_micros: int = 0
    ranking: Ranking | None = None
    second_price: bool = False
    sale: Sale = Sale.EXCLUSIVE
    max_shares: int = MAX_SHARES
    apart: Apart = NOBODY_APART


Valid = tuple[int, int, int, Bid]
"""A bid that could win, as it is ranked by its price, lowest first: minus its gross price, its order's priority, its
entrant's number, itself. A plain tuple, for there is one for every bid."""


class Contest:
    """Those who could win one way of selling: those who leave the seller his least price before all who do not.

    By price they are put in order only as far as somebody asks: most bids of a large auction are far from winning.
    """

    def __init__(
        self,
        entrants: Sequence[Entrant],
        enough: list[Valid],
        less: list[Valid],
        ranking: Ranking | None,
        ping_id: UUID,
    ) -> None:
        """`inputs` is what the method goes by besides bids and terms, where it goes by more."""
        self._entrants, self._ping_id = entrants, ping_id
        self._groups = (enough, less) if less else (enough,)
        self._is_sorted = False
        self._ranked: list[Valid] | None = None
        self.inputs: Inputs | None = None
        if ranking is not None:
            ranking = measured_for(ranking, [entrants[number].order for _, _, number, _ in enough + less])
            ranked = self._by_ranking(enough, ranking)
            self._ranked = ranked + self._by_ranking(less, ranking.second if ranked else ranking)
            self.inputs = inputs_of(ranking)

    def best_first(self, least_micros: int = 0) -> Iterator[Valid]:
        """Those whose gross price is at least this, best first."""
        if self._ranked is None:
            return self._by_price(-least_micros)
        return (found for found in self._ranked if found[0] <= -least_micros)

    def _by_price(self, last: int) -> Iterator[Valid]:
        """Few are equal in price and priority; of these only who is asked for is hashed."""
        if not self._is_sorted:
            for valid in self._groups:
                valid.sort()
            self._is_sorted = True
        for valid in self._groups:
            place, count = 0, len(valid)
            while place < count:
                first = valid[place]
                price, priority, _, _ = first
                if price > last:
                    break
                end = place + 1
                while end < count and valid[end][0] == price and valid[end][1] == priority:
                    end += 1
                if end - place == 1:
                    yield first
                else:
                    yield from sorted(valid[place:end], key=self._tie_break)
                place = end

    def _tie_break(self, found: Valid) -> bytes:
        return tie_break(self._ping_id, self._entrants[found[2]].order)

    def _by_ranking(self, valid: Sequence[Valid], ranking: Ranking) -> list[Valid]:
        """The order of more than the price."""
        candidates = [Candidate(self._entrants[number].order, -gross, priority) for gross, priority, number, _ in valid]
        return [valid[place] for place in order_of(candidates, ranking, self._ping_id)]
