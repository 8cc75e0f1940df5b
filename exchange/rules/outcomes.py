"""What is kept of an auction: the ladder of those who may take the lead, and one outcome for every order.

Hundreds of named tuples are made in a large auction: `_made` makes one in half the time that its class takes.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from exchange.rules.contest import Contest, Entrant
from exchange.values.bid import Bid, Refusal
from exchange.values.reason import Reason
from exchange.values.trace import BidOutcome, OrderOutcome, Rung

_WON, _BELOW_MIN_PRICE, _OUTBID = Reason.WON, Reason.BELOW_MIN_PRICE, Reason.OUTBID
_made: Final = tuple.__new__

_SUPERSEDED, _INVALID_RESPONSE = Reason.SUPERSEDED, Reason.INVALID_RESPONSE


def rungs_of(entrants: Sequence[Entrant], found: Contest, numbers: Iterable[int], payout_micros: int = 0) -> list[Rung]:
    """A rung for each of these entrants whose bid covers the payout, in the same order."""
    bids = found.bids
    return [
        _made(Rung, (entrants[number][0], entrants[number][1], bid[0], bid[1], None))
        for number in numbers
        if (bid := bids[number]) is not None and bid[0] >= payout_micros
    ]


def outcomes_of(entrants: Sequence[Entrant], found: Contest) -> tuple[OrderOutcome, ...]:
    """One outcome an order, where a bid is a bid for the lead alone."""
    outcomes = []
    for (order, buyer, _, _, _, _, (_, reply, elapsed_ms), _), reason in zip(entrants, found.reasons, strict=True):
        if isinstance(reply, Bid):
            gross_micros, bid_id, _, _, others = reply
            bids = _with_worse(reply, reason) if others else ()
            outcomes.append(_made(OrderOutcome, (order, buyer, reason, gross_micros, bid_id, elapsed_ms, "", bids)))
        else:
            outcomes.append(_refused(order, buyer, reply, elapsed_ms))
    return tuple(outcomes)


def outcomes_of_ways(entrants: Sequence[Entrant], exclusive: Contest, shared: Contest) -> tuple[OrderOutcome, ...]:
    """One outcome an order, with that of each of its bids: first those that counted, the one that came furthest first.

    The order's own outcome is that of its first bid.
    """
    outcomes = []
    for (order, buyer, _, _, _, _, (_, reply, elapsed_ms), _), alone, alone_reason, share, share_reason in zip(
        entrants, exclusive.bids, exclusive.reasons, shared.bids, shared.reasons, strict=True
    ):
        if isinstance(reply, Bid):
            if not reply[4] and reply is alone:  # nearly all bid one way, or both: these two need no looking around
                _, gross_micros, bid_id, _, reason = one = reply[2], reply[0], reply[1], reply[3], alone_reason
                bids: tuple[BidOutcome, ...] = (_made(BidOutcome, one),)
            else:
                bids = _counted(alone, alone_reason, share, share_reason)
                if len(bids) <= len(reply[4]):
                    bids += _not_counted(reply, (alone, share), _SUPERSEDED if bids else _INVALID_RESPONSE)
                _, gross_micros, bid_id, _, reason = bids[0]
            outcomes.append(_made(OrderOutcome, (order, buyer, reason, gross_micros, bid_id, elapsed_ms, "", bids)))
        else:
            outcomes.append(_refused(order, buyer, reply, elapsed_ms))
    return tuple(outcomes)


def _refused(order: str, buyer: str, refusal: Refusal, elapsed_ms: float | None) -> OrderOutcome:
    return OrderOutcome(order, buyer, refusal.reason, refusal.gross_micros, None, elapsed_ms, refusal.detail)


def _counted(
    alone: Bid | None, alone_reason: Reason | None, share: Bid | None, share_reason: Reason | None
) -> tuple[BidOutcome, ...]:
    """The outcomes of an order's bids that counted, for the lead alone and for a share of it."""
    if alone is None or alone_reason is None:
        return () if share is None or share_reason is None else (_bid_outcome(share, share_reason),)
    if share is None or share_reason is None:
        return (_bid_outcome(alone, alone_reason),)
    both = (
        _made(BidOutcome, (alone[2], alone[0], alone[1], alone[3], alone_reason)),
        _made(BidOutcome, (share[2], share[0], share[1], share[3], share_reason)),
    )
    return both if alone_reason is share_reason or _came(alone_reason) >= _came(share_reason) else both[::-1]


def _came(reason: Reason) -> int:
    """How far a bid came."""
    if reason is _OUTBID:
        return 1
    return 3 if reason is _WON else 2 if reason is _BELOW_MIN_PRICE else 0


def _with_worse(best: Bid, reason: Reason | None) -> tuple[BidOutcome, ...]:
    """An order's best bid of a kind, and its worse ones, which that one supersedes."""
    worse = [_bid_outcome(bid, _SUPERSEDED) for bid in best.others]
    return () if reason is None else (_bid_outcome(best, reason), *worse)


def _not_counted(reply: Bid, counted: Sequence[Bid | None], reason: Reason) -> tuple[BidOutcome, ...]:
    bids = [bid for bid in (reply, *reply.others) if not any(bid is counts for counts in counted)]
    return tuple([_bid_outcome(bid, reason) for bid in bids])


def _bid_outcome(bid: Bid, reason: Reason) -> BidOutcome:
    return _made(BidOutcome, (bid[2], bid[0], bid[1], bid[3], reason))
