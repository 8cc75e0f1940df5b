"""Judging: what every order replied, gone through once: which bids could win, and why the others cannot.

Nothing is kept of a bid that could win but its place; an outcome is made of it when somebody asks. What depends on an
order's margin alone is worked out once a margin.
"""

from collections.abc import Sequence
from typing import NamedTuple

from exchange.rules.contest import Entrant, Terms, Valid
from exchange.rules.estimates import NO_LIMIT, Left
from exchange.rules.outcomes import Pair, Reasons, counted
from exchange.rules.pricing import least_gross_for
from exchange.values.bid import Bid
from exchange.values.market import Margin, Sale
from exchange.values.money import AMOUNT_MICROS_MAX, MICROS_PER_CENT
from exchange.values.reason import Reason

_SHARED = Sale.SHARED  # an enum's members cost more to look up than to compare


class Judged(NamedTuple):
    """The bids that could win, for the lead alone and for a share of it, and of all others why they cannot.

    `enough` leave the seller his least price, `less` do not. Of shares that is asked for all legs together. `pairs` are
    the bids that counted of each order that bid, where leads are shared.
    """

    enough: list[Valid]
    less: list[Valid]
    shares: list[Valid]
    reasons: Reasons
    reasons_of_shares: Reasons
    pairs: list[Pair]


def judged(entrants: Sequence[Entrant], terms: Terms) -> Judged:
    """Where a lead is only sold alone: the first bid of an order counts."""
    enough, less, _, reasons, _, _ = found = Judged([], [], [], {}, {}, [])
    margin, floor_micros, enough_micros = None, 0, 0
    for number, (_, _, priority, most, available, its_margin, asked, left) in enumerate(entrants):
        reply = asked[1]
        if not isinstance(reply, Bid):
            continue
        if its_margin is not margin:  # most orders have the campaign's
            margin = its_margin
            floor_micros, enough_micros = _floors(terms, margin)
        limit_micros = NO_LIMIT if available is None else available
        if most is not None or left is not None:  # few have more limits than their balance
            limit_micros = _limit(limit_micros, most, left)
        gross_micros = reply[0]
        if floor_micros <= gross_micros <= limit_micros:
            (enough if gross_micros >= enough_micros else less).append((-gross_micros, priority, number, reply))
        else:
            reasons[number] = _why_not(gross_micros, floor_micros, most, available, left)
    return found


def judged_both_ways(entrants: Sequence[Entrant], terms: Terms) -> Judged:
    """Where leads are shared: the best bid of an order counts for each way that the campaign sells."""
    enough, less, shares, reasons, reasons_of_shares, pairs = found = Judged([], [], [], {}, {}, [])
    only_shared, margin, floor_micros, enough_micros = terms.sale is _SHARED, None, 0, 0
    for number, (_, _, priority, most, available, its_margin, asked, left) in enumerate(entrants):
        reply = asked[1]
        if not isinstance(reply, Bid):
            continue
        if its_margin is not margin:
            margin = its_margin
            floor_micros, enough_micros = _floors(terms, margin)
        limit_micros = NO_LIMIT if available is None else available
        if most is not None or left is not None:  # few have more limits than their balance
            limit_micros = _limit(limit_micros, most, left)
        alone, share = pair = counted(reply, only_shared)
        pairs.append(pair)
        if alone is not None:
            gross_micros = alone[0]
            if floor_micros <= gross_micros <= limit_micros:
                (enough if gross_micros >= enough_micros else less).append((-gross_micros, priority, number, alone))
            else:
                reasons[number] = _why_not(gross_micros, floor_micros, most, available, left)
        if share is not None:
            gross_micros = share[0]
            if floor_micros <= gross_micros <= limit_micros:
                shares.append((-gross_micros, priority, number, share))
            else:
                reasons_of_shares[number] = _why_not(gross_micros, floor_micros, most, available, left)
    return found


def _limit(available: int, most: int | None, left: Left | None) -> int:
    """The highest gross price that an order's limits allow: what its buyer can spend, his own, what caps leave."""
    limit_micros = available if most is None else min(available, most)
    if left is None:
        return limit_micros
    return min(limit_micros, left.micros) if left.leads >= 1 else -1


def _why_not(
    gross_micros: int, floor_micros: int, most: int | None, available: int | None, left: Left | None
) -> Reason:
    """Why a bid cannot win that is below the floor or above the limit."""
    if most is not None and gross_micros > most:
        return Reason.ABOVE_MAX_BID
    if gross_micros < floor_micros:
        return Reason.BELOW_FLOOR
    if available is not None and gross_micros > available:
        return Reason.INSUFFICIENT_BALANCE
    return Reason.CAPPED if left is not None and left.leads < 1 else Reason.OUT_OF_BUDGET


def _floors(terms: Terms, margin: Margin) -> tuple[int, int]:
    """The least gross price that is valid at a margin, and the least that leaves the seller his least price."""
    payout_micros, wanted_micros = max(MICROS_PER_CENT, terms.payout_floor_micros), terms.min_price_micros or 0
    valid_micros = least_gross_for(payout_micros, margin)
    if valid_micros is None:  # the margin is the whole price
        return AMOUNT_MICROS_MAX + 1, 0
    enough_micros = least_gross_for(wanted_micros, margin) or 0
    return max(terms.floor_micros, valid_micros), enough_micros
