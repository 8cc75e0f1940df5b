"""Judging: what every order replied, gone through once: which bids could win, and why the others cannot.

The outcome of every order is made on the way, as if nobody won; who does is told after. What depends on an order's
margin alone is worked out once a margin.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from exchange.rules.contest import Entrant, Terms, Valid
from exchange.rules.estimates import NO_LIMIT, Left
from exchange.rules.outcomes import all_bids, refused, with_worse
from exchange.rules.pricing import least_gross_for
from exchange.values.bid import Bid
from exchange.values.market import Margin, Sale
from exchange.values.money import AMOUNT_MICROS_MAX, MICROS_PER_CENT
from exchange.values.reason import Reason
from exchange.values.trace import BidOutcome, OrderOutcome

_OUTBID, _SHARED = Reason.OUTBID, Sale.SHARED  # an enum's members cost more to look up than to compare
_made: Final = tuple.__new__  # makes a named tuple in half the time that its class takes: there are hundreds


class Judged(NamedTuple):
    """One outcome an order, and the bids that could win, for the lead alone and for a share of it.

    `enough` leave the seller his least price, `less` do not. Of shares that is asked for all legs together.
    """

    outcomes: list[OrderOutcome]
    enough: list[Valid]
    less: list[Valid]
    shares: list[Valid]


def judged(entrants: Sequence[Entrant], terms: Terms) -> Judged:
    """Where a lead is only sold alone: the first bid of an order counts."""
    outcomes, enough, less, _ = found = Judged([], [], [], [])
    margin, floor_micros, enough_micros = None, 0, 0
    for number, (order, buyer, priority, most, available, its_margin, (_, reply, elapsed_ms), left) in enumerate(
        entrants
    ):
        if not isinstance(reply, Bid):
            outcomes.append(refused(order, buyer, reply, elapsed_ms))
            continue
        if its_margin is not margin:  # most orders have the campaign's
            margin = its_margin
            floor_micros, enough_micros = _floors(terms, margin)
        gross_micros, bid_id, _, _, others = reply
        limit_micros = NO_LIMIT if available is None else available
        if most is not None or left is not None:  # few have more limits than their balance
            limit_micros = _limit(limit_micros, most, left)
        if floor_micros <= gross_micros <= limit_micros:
            reason = _OUTBID
            (enough if gross_micros >= enough_micros else less).append((-gross_micros, priority, number, reply))
        else:
            reason = _why_not(gross_micros, floor_micros, most, available, left)
        bids = with_worse(reply, reason) if others else ()
        outcomes.append(_made(OrderOutcome, (order, buyer, reason, gross_micros, bid_id, elapsed_ms, "", bids)))
    return found


def judged_both_ways(entrants: Sequence[Entrant], terms: Terms) -> Judged:
    """Where leads are shared: the best bid of an order counts for each way that the campaign sells."""
    outcomes, enough, less, shares = found = Judged([], [], [], [])
    only_shared, margin, floor_micros, enough_micros = terms.sale is _SHARED, None, 0, 0
    for number, (order, buyer, priority, most, available, its_margin, (_, reply, elapsed_ms), left) in enumerate(
        entrants
    ):
        if not isinstance(reply, Bid):
            outcomes.append(refused(order, buyer, reply, elapsed_ms))
            continue
        if its_margin is not margin:
            margin = its_margin
            floor_micros, enough_micros = _floors(terms, margin)
        limit_micros = NO_LIMIT if available is None else available
        if most is not None or left is not None:  # few have more limits than their balance
            limit_micros = _limit(limit_micros, most, left)
        others = reply[4]
        counted = _counted(reply, only_shared) if others or only_shared else (reply,)
        bids: tuple[BidOutcome, ...] = ()
        for bid in counted:
            gross_micros, bid_id, sale, shares_max, _ = bid
            if floor_micros <= gross_micros <= limit_micros:
                reason = _OUTBID
                could_win = shares if sale is _SHARED else enough if gross_micros >= enough_micros else less
                could_win.append((-gross_micros, priority, number, bid))
            else:
                reason = _why_not(gross_micros, floor_micros, most, available, left)
            bids += (_made(BidOutcome, (sale, gross_micros, bid_id, shares_max, reason)),)
        if others or not bids:
            if len(bids) <= len(others) or bids[0][4] is not reason:
                bids = all_bids(bids, reply, counted)
            _, gross_micros, bid_id, _, reason = bids[0]
        outcomes.append(_made(OrderOutcome, (order, buyer, reason, gross_micros, bid_id, elapsed_ms, "", bids)))
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


def _counted(reply: Bid, only_shared: bool) -> Sequence[Bid]:
    """An order's best bid for the lead alone, where it is sold so, then its best for a share: the first of equals."""
    others = reply[4]
    if len(others) == 1 and reply[2] is not _SHARED and others[0][2] is _SHARED:  # the usual pair
        return others if only_shared else (reply, others[0])
    best: list[Bid | None] = [None, None]
    for bid in (reply, *others):
        known = best[bid[2] is _SHARED]
        if known is None or bid[0] > known[0]:
            best[bid[2] is _SHARED] = bid
    return [bid for bid in best[only_shared:] if bid is not None]
