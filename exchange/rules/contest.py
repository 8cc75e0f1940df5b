"""A contest: which bids of one way of selling could win, in which order, and why the others cannot.

It is gone through for every bid of every ping: what depends on an order's margin alone is worked out once a margin, and
a hash only where two bids are equal otherwise.
"""

from collections.abc import Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from exchange.rules.estimates import Left
from exchange.rules.pricing import least_gross_for
from exchange.rules.ranking import Candidate, Ranking, inputs_of, measured_for, order_of, tie_break
from exchange.rules.shares import Apart
from exchange.values.bid import Asked, Bid
from exchange.values.market import MAX_SHARES, Fallback, Margin, Sale
from exchange.values.money import AMOUNT_MICROS_MAX, MICROS_PER_CENT
from exchange.values.reason import Reason
from exchange.values.trace import Inputs

NOBODY_APART: Apart = MappingProxyType({})

# An enum's members cost more to look up than the comparisons that lead to them.
_ABOVE_MAX_BID, _BELOW_FLOOR, _OUTBID = Reason.ABOVE_MAX_BID, Reason.BELOW_FLOOR, Reason.OUTBID
_SHORT_OF_BALANCE, _CAPPED, _OUT_OF_BUDGET = Reason.INSUFFICIENT_BALANCE, Reason.CAPPED, Reason.OUT_OF_BUDGET


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


Valid = tuple[int, int, int]
"""A bid that could win, as it is ranked by its price, lowest first: minus its gross price, its order's priority, its
entrant's number. A plain tuple, for there is one for every bid."""


class Contest(NamedTuple):
    """The bids, one an entrant or none, what became of each so far, and the numbers of those who could win, best first.

    A bid that could win is `OUTBID` for now. `inputs` is what the method went by besides.
    """

    bids: Sequence[Bid | None]
    reasons: list[Reason | None]
    ranked: list[int]
    inputs: Inputs | None


def contest_of(entrants: Sequence[Entrant], bids: Sequence[Bid | None], terms: Terms, ping_id: UUID) -> Contest:
    """Who could win with these bids. Whoever pays the seller's least price comes before all who do not."""
    reasons, enough, less = judged(entrants, bids, terms)
    ranking, inputs = terms.ranking, None
    if ranking is None:
        ranked = _by_price(enough, entrants, ping_id)
        if less:
            ranked += _by_price(less, entrants, ping_id)
    else:
        ranking = measured_for(ranking, [entrants[number].order for _, _, number in enough + less])
        ranked = _by_ranking(enough, entrants, ranking, ping_id)
        ranked += _by_ranking(less, entrants, ranking.second if ranked else ranking, ping_id)
        inputs = inputs_of(ranking)
    return Contest(bids, reasons, ranked, inputs)


def judged(
    entrants: Sequence[Entrant], bids: Sequence[Bid | None], terms: Terms
) -> tuple[list[Reason | None], list[Valid], list[Valid]]:
    """The reason of each bid, and the valid ones: those that pay the seller's least price, and those that pay less."""
    reasons: list[Reason | None] = []
    enough: list[Valid] = []
    less: list[Valid] = []
    margin, floor_micros, enough_micros = None, 0, 0
    for number, (_, _, priority, max_bid_micros, available_micros, its_margin, _, left) in enumerate(entrants):
        bid = bids[number]
        if bid is None:
            reasons.append(None)
            continue
        if its_margin is not margin:  # most orders have the campaign's
            margin = its_margin
            floor_micros, enough_micros = _floors(terms, margin)
        gross_micros = bid[0]
        reason = _OUTBID
        if max_bid_micros is not None and gross_micros > max_bid_micros:
            reason = _ABOVE_MAX_BID
        elif gross_micros < floor_micros:
            reason = _BELOW_FLOOR
        elif available_micros is not None and gross_micros > available_micros:
            reason = _SHORT_OF_BALANCE
        elif left is not None and (left.leads < 1 or gross_micros > left.micros):
            reason = _CAPPED if left.leads < 1 else _OUT_OF_BUDGET
        else:
            (enough if gross_micros >= enough_micros else less).append((-gross_micros, priority, number))
        reasons.append(reason)
    return reasons, enough, less


def _floors(terms: Terms, margin: Margin) -> tuple[int, int]:
    """The least gross price that is valid at a margin, and the least that leaves the seller his least price."""
    payout_micros, wanted_micros = max(MICROS_PER_CENT, terms.payout_floor_micros), terms.min_price_micros or 0
    valid_micros = least_gross_for(payout_micros, margin)
    if valid_micros is None:  # the margin is the whole price
        return AMOUNT_MICROS_MAX + 1, 0
    enough_micros = least_gross_for(wanted_micros, margin) or 0
    return max(terms.floor_micros, valid_micros), enough_micros


def _by_price(valid: list[Valid], entrants: Sequence[Entrant], ping_id: UUID) -> list[int]:
    """The numbers of valid bids, best first. Few are equal in price and priority, so few need a hash."""
    valid.sort()
    tied = {one[:2] for one, other in pairwise(valid) if one[0] == other[0] and one[1] == other[1]}
    if tied:
        hashed = {found[2]: tie_break(ping_id, entrants[found[2]].order) for found in valid if found[:2] in tied}
        valid.sort(key=lambda found: (found[0], found[1], hashed.get(found[2], b""), found[2]))
    return [number for _, _, number in valid]


def _by_ranking(valid: Sequence[Valid], entrants: Sequence[Entrant], ranking: Ranking, ping_id: UUID) -> list[int]:
    """The numbers of valid bids, best first by more than the price."""
    candidates = [Candidate(entrants[number].order, -gross, priority) for gross, priority, number in valid]
    return [valid[place][2] for place in order_of(candidates, ranking, ping_id)]
