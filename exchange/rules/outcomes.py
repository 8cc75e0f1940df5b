"""What is kept of an auction: the ladder of those who may take the lead, and one outcome for every order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from exchange.rules.contest import Entrant, Valid
from exchange.values.bid import Bid, Refusal
from exchange.values.market import Sale
from exchange.values.reason import Reason
from exchange.values.trace import BidRow, OutcomeRow, Rung

_OUTBID, _SUPERSEDED, _INVALID_RESPONSE = Reason.OUTBID, Reason.SUPERSEDED, Reason.INVALID_RESPONSE
_SHARED = Sale.SHARED
_FURTHEST = (Reason.WON, Reason.BELOW_MIN_PRICE, Reason.OUTBID)
_made: Final = tuple.__new__  # makes a named tuple in half the time that its class takes

Reasons = dict[int, Reason]
"""What became of the bid of each entrant that counted, by his number, unless it was merely outbid."""


Pair = tuple[Bid | None, Bid | None]
"""The bids of an order that count: its best for the lead alone, and its best for a share."""


def rungs_of(entrants: Sequence[Entrant], ranked: Iterable[Valid]) -> list[Rung]:
    """A rung for each of these, in the same order."""
    return [
        _made(Rung, (entrants[number][0], entrants[number][1], bid[0], bid[1], None)) for _, _, number, bid in ranked
    ]


def legs_won(entrants: Sequence[Entrant], winners: Sequence[Valid], payouts: Sequence[int]) -> list[Rung]:
    """The rungs of a shared offer's legs, with what is promised for each."""
    return [
        _made(Rung, (entrants[number][0], entrants[number][1], bid[0], bid[1], payout))
        for (_, _, number, bid), payout in zip(winners, payouts, strict=True)
    ]


def counted(reply: Bid, only_shared: bool) -> Pair:
    """An order's best bid for the lead alone, where it is sold so, and its best for a share: the first of equals."""
    others = reply[4]
    if not others and reply[2] is not _SHARED:
        return None if only_shared else reply, None
    if len(others) == 1 and reply[2] is not _SHARED and others[0][2] is _SHARED:  # the usual pair
        return None if only_shared else reply, others[0]
    alone, share = None, None
    for bid in (reply, *others):
        if bid[2] is _SHARED:
            if share is None or bid[0] > share[0]:
                share = bid
        elif not only_shared and (alone is None or bid[0] > alone[0]):
            alone = bid
    return alone, share


def rows_alone(entrants: Sequence[Entrant], reasons: Mapping[int, Reason]) -> list[OutcomeRow]:
    """One outcome an order, where a lead is only sold alone: of several bids the first counts."""
    rows: list[OutcomeRow] = []
    for number, (order, buyer, _, _, _, _, (_, reply, elapsed_ms), _) in enumerate(entrants):
        if not isinstance(reply, Bid):
            rows.append(_refused(order, buyer, reply, elapsed_ms))
            continue
        reason = reasons.get(number, _OUTBID)
        bids = _with_worse(reply, reason) if reply[4] else ()
        rows.append((order, buyer, reason, reply[0], reply[1], elapsed_ms, "", bids))
    return rows


def rows_both_ways(
    entrants: Sequence[Entrant],
    reasons: Mapping[int, Reason],
    of_shares: Mapping[int, Reason],
    pairs: Sequence[Pair],
) -> list[OutcomeRow]:
    """One outcome an order, where leads are shared, with that of each of its bids; `pairs` are of those who bid."""
    rows: list[OutcomeRow] = []
    bidding = iter(pairs)
    for number, (order, buyer, _, _, _, _, (_, reply, elapsed_ms), _) in enumerate(entrants):
        if not isinstance(reply, Bid):
            rows.append(_refused(order, buyer, reply, elapsed_ms))
            continue
        alone, share = next(bidding)
        bids: tuple[BidRow, ...] = () if alone is None else (_row(alone, reasons.get(number, _OUTBID)),)
        if share is not None:
            bid = _row(share, of_shares.get(number, _OUTBID))
            comes_first = bids and bid[4] is not bids[0][4] and _is_further(bid[4], bids[0][4])
            bids = (bid, *bids) if comes_first else (*bids, bid)
        if len(bids) <= len(reply[4]):
            bids += _not_looked_at(reply, alone, share)
        _, gross_micros, bid_id, _, reason = bids[0]
        rows.append((order, buyer, reason, gross_micros, bid_id, elapsed_ms, "", bids))
    return rows


def _refused(order: str, buyer: str, refusal: Refusal, elapsed_ms: float | None) -> OutcomeRow:
    """The outcome of an order without a bid."""
    reason, detail, gross_micros = refusal
    return order, buyer, reason, gross_micros, None, elapsed_ms, detail, ()


def _with_worse(best: Bid, reason: Reason) -> tuple[BidRow, ...]:
    """The bids of an order of which only the best counts."""
    return (_row(best, reason), *[_row(bid, _SUPERSEDED) for bid in best[4]])


def _not_looked_at(reply: Bid, alone: Bid | None, share: Bid | None) -> tuple[BidRow, ...]:
    """The bids that did not count: others of their kind were better, or nothing is sold as they say."""
    reason = _INVALID_RESPONSE if alone is share else _SUPERSEDED
    return tuple([_row(bid, reason) for bid in (reply, *reply[4]) if bid is not alone and bid is not share])


def _is_further(reason: Reason, other: Reason) -> bool:
    """Whether the first of two bids, which came to different ends, came further."""
    return reason in _FURTHEST and other not in _FURTHEST[: _FURTHEST.index(reason)]


def _row(bid: Bid, reason: Reason) -> BidRow:
    return bid[2], bid[0], bid[1], bid[3], reason
