"""What is kept of an auction: the ladder of those who may take the lead, and one outcome for every order."""

from collections.abc import Iterable, Sequence
from typing import Final

from exchange.rules.contest import Entrant, Valid
from exchange.values.bid import Bid, Refusal
from exchange.values.reason import Reason
from exchange.values.trace import BidOutcome, OrderOutcome, Rung

_OUTBID, _SUPERSEDED, _INVALID_RESPONSE = Reason.OUTBID, Reason.SUPERSEDED, Reason.INVALID_RESPONSE
_made: Final = tuple.__new__  # makes a named tuple in half the time that its class takes


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


def refused(order: str, buyer: str, refusal: Refusal, elapsed_ms: float | None) -> OrderOutcome:
    """The outcome of an order without a bid."""
    return OrderOutcome(order, buyer, refusal.reason, refusal.gross_micros, None, elapsed_ms, refusal.detail)


def with_worse(best: Bid, reason: Reason) -> tuple[BidOutcome, ...]:
    """The bids of an order of which only the best counts."""
    return (_bid_outcome(best, reason), *(_bid_outcome(bid, _SUPERSEDED) for bid in best.others))


def all_bids(told: tuple[BidOutcome, ...], reply: Bid, counted: Sequence[Bid]) -> tuple[BidOutcome, ...]:
    """The bids of an order where leads are shared: those that counted, the one that came further first, and the rest.

    The rest was not looked at: others of a kind were better, or nothing is sold as they say.
    """
    if len(told) == 2 and told[1][4] is _OUTBID and told[0][4] is not _OUTBID:
        told = told[1], told[0]
    if len(told) > len(reply[4]):
        return told
    reason = _SUPERSEDED if told else _INVALID_RESPONSE
    rest = [bid for bid in (reply, *reply.others) if not any(bid is counts for counts in counted)]
    return told + tuple([_bid_outcome(bid, reason) for bid in rest])


def tell_winner(outcomes: list[OrderOutcome], winner: Valid, reason: Reason) -> None:
    """Puts what became of the best bid in the place of what was said of it before, and before its order's others."""
    _, _, number, bid = winner
    order, buyer, _, _, _, elapsed_ms, detail, bids = outcomes[number]
    if bids:
        place = bids.index(_bid_outcome(bid, _OUTBID))
        bids = (_bid_outcome(bid, reason), *bids[:place], *bids[place + 1 :])
    outcomes[number] = _made(OrderOutcome, (order, buyer, reason, bid[0], bid[1], elapsed_ms, detail, bids))


def _bid_outcome(bid: Bid, reason: Reason) -> BidOutcome:
    return _made(BidOutcome, (bid[2], bid[0], bid[1], bid[3], reason))
