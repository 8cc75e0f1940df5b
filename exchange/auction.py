"""The auction: a pure function from bids and terms to a winner, a ladder, and one reason for every order.

The order of bids is total: gross price, then the order's priority, then a hash of ping id and order key, unless the
terms rank otherwise. It depends neither on who answered first nor on anything outside the arguments, so a decision can
be repeated from its record.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from exchange.rules.charging import Taker, charges
from exchange.rules.contest import Contest, Entrant, Terms, contest_of, judged
from exchange.rules.outcomes import outcomes_of, outcomes_of_ways, rungs_of
from exchange.rules.pricing import payout_of
from exchange.rules.shares import Share, best_shares
from exchange.values.bid import Bid
from exchange.values.market import Fallback, Sale
from exchange.values.money import MICROS_PER_CENT
from exchange.values.reason import Reason
from exchange.values.trace import Inputs, OrderOutcome, Rung, Sums

__all__ = ["Decision", "Entrant", "Terms", "buyers_among", "decide", "has_buyer"]

_SHARED = Sale.SHARED


class Decision(NamedTuple):
    """The auction's result. Where `reason` is None, `ladder[0]` won and `payout_micros` may be promised.

    `inputs` is what the ranking of valid bids went by, where it is more than bids and terms.
    `sums` are what both ways of selling would have brought, where the campaign knows more than one.
    """

    reason: Reason | None
    payout_micros: int | None
    ladder: tuple[Rung, ...]
    outcomes: tuple[OrderOutcome, ...]
    inputs: Inputs | None = None
    sums: Sums | None = None


def decide(entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> Decision:
    """Decides a sale to the best bid, or, as the campaign sells, to the best set of shared bids.

    The ladder holds the winner and then, best first, every order whose own gross price covers the payout that the
    winner's bid promises (contract, section 1); under `Fallback.NONE` the winner alone.
    """
    if terms.sale is not Sale.EXCLUSIVE:
        return _decide_ways(entrants, terms, ping_id)
    found = contest_of(entrants, _bids(entrants), terms, ping_id)
    if not found.ranked:
        return Decision(_why_nobody(entrants), None, (), outcomes_of(entrants, found))
    best = found.ranked[0]
    charged = _charged(entrants, found, terms) if terms.second_price else None
    gross_micros = charged[0].gross_micros if charged else _gross(found, best)
    payout_micros = payout_of(gross_micros, entrants[best].margin)
    if terms.min_price_micros is not None and payout_micros < terms.min_price_micros:
        found.reasons[best] = Reason.BELOW_MIN_PRICE
        return Decision(Reason.BELOW_MIN_PRICE, None, (), outcomes_of(entrants, found), found.inputs)
    found.reasons[best] = Reason.WON
    if charged:
        ladder = [rung for rung in charged if rung.gross_micros >= payout_micros]
    else:
        ladder = rungs_of(entrants, found, found.ranked, payout_micros)
    kept = ladder[:1] if terms.fallback is Fallback.NONE else ladder
    return Decision(None, payout_micros, tuple(kept), outcomes_of(entrants, found), found.inputs)


def has_buyer(entrants: Sequence[Entrant], terms: Terms) -> bool:
    """Whether any of these replies would win if there were no others."""
    _, enough, _ = judged(entrants, _bids(entrants), terms)
    return bool(enough)


def buyers_among(entrants: Iterable[Entrant], terms: Terms) -> Iterator[Entrant]:
    """Those whose replies would win if there were no others."""
    return (entrant for entrant in entrants if has_buyer([entrant], terms))


def _bids(entrants: Sequence[Entrant]) -> list[Bid | None]:
    replies = [entrant.asked.reply for entrant in entrants]
    return [reply if isinstance(reply, Bid) else None for reply in replies]


def _gross(found: Contest, number: int) -> int:
    bid = found.bids[number]
    return 0 if bid is None else bid.gross_micros


def _why_nobody(entrants: Sequence[Entrant]) -> Reason:
    """Why there is no valid bid: nobody was asked or has a price of his own, or those are worth nothing."""
    took_part = any(item.asked.elapsed_ms is not None or isinstance(item.asked.reply, Bid) for item in entrants)
    return Reason.NO_BIDS if took_part else Reason.NO_ELIGIBLE_ORDERS


def _charged(entrants: Sequence[Entrant], found: Contest, terms: Terms) -> list[Rung]:
    """The rungs of all who could win, with what each would pay in place of his bid."""
    takers = [
        Taker(_gross(found, number), entrants[number].margin, entrants[number].asked.elapsed_ms is None)
        for number in found.ranked
    ]
    least_micros = max(MICROS_PER_CENT, terms.payout_floor_micros, terms.min_price_micros or 0)
    rungs = rungs_of(entrants, found, found.ranked)
    paid = charges(takers, terms.floor_micros, least_micros)
    return [rung._replace(gross_micros=micros) for rung, micros in zip(rungs, paid, strict=True)]


# Where leads are shared, every order has up to two bids that count, one for each way. Each way is its own contest; then
# the ways are compared.


class _Sellable(NamedTuple):
    """What one way of selling comes to: its contest, the winners in it, and their gross prices together."""

    contest: Contest
    winners: Sequence[int]
    gross_micros: int


def _decide_ways(entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> Decision:
    """Decides by the higher gross sum of the ways that the campaign sells; a tie is exclusive (contract, section 3)."""
    alone, shares = _bids_by_way(entrants, terms)
    exclusive = _exclusive(entrants, alone, terms, ping_id)
    shared = _shared(entrants, shares, terms, ping_id)
    sums = Sums(exclusive.gross_micros or None, shared.gross_micros or None, terms.max_shares)
    best = shared if shared.gross_micros > exclusive.gross_micros else exclusive
    payouts = [payout_of(_gross(best.contest, winner), entrants[winner].margin) for winner in best.winners]
    if not payouts:
        reason: Reason | None = _why_nobody(entrants)
    else:
        enough = terms.min_price_micros is None or sum(payouts) >= terms.min_price_micros
        reason = None if enough else Reason.BELOW_MIN_PRICE
    for winner in best.winners:
        best.contest.reasons[winner] = reason or Reason.WON
    outcomes = outcomes_of_ways(entrants, exclusive.contest, shared.contest)
    if reason is not None:
        return Decision(reason, None, (), outcomes, sums=sums)
    ladder = _ladder_of_legs if best is shared else _ladder_of_one
    return Decision(None, sum(payouts), tuple(ladder(entrants, best, payouts, terms)), outcomes, sums=sums)


def _bids_by_way(entrants: Sequence[Entrant], terms: Terms) -> tuple[list[Bid | None], list[Bid | None]]:
    """The best bid of each order for the lead alone, where it is sold so, and for a share of it."""
    alone: list[Bid | None] = []
    shares: list[Bid | None] = []
    for _, _, _, _, _, _, (_, reply, _), _ in entrants:
        one, share = None, None
        if isinstance(reply, Bid):
            others = reply[4]
            if not others:
                one, share = (None, reply) if reply[2] is _SHARED else (reply, None)
            elif len(others) == 1 and reply[2] is not _SHARED and others[0][2] is _SHARED:  # the usual pair
                one, share = reply, others[0]
            else:
                one, share = _best_of_each(reply)
        alone.append(one)
        shares.append(share)
    return ([None] * len(alone) if terms.sale is _SHARED else alone), shares


def _best_of_each(reply: Bid) -> tuple[Bid | None, Bid | None]:
    """An order's best bid of each kind, the first of equals."""
    best: list[Bid | None] = [None, None]
    for bid in (reply, *reply.others):
        known = best[bid.sale is _SHARED]
        if known is None or bid.gross_micros > known.gross_micros:
            best[bid.sale is _SHARED] = bid
    return best[0], best[1]


def _exclusive(entrants: Sequence[Entrant], bids: Sequence[Bid | None], terms: Terms, ping_id: UUID) -> _Sellable:
    found = contest_of(entrants, bids, terms, ping_id)
    winners = found.ranked[:1]
    return _Sellable(found, winners, sum(_gross(found, winner) for winner in winners))


def _shared(entrants: Sequence[Entrant], bids: Sequence[Bid | None], terms: Terms, ping_id: UUID) -> _Sellable:
    """The set of shared bids that brings the most together. The seller's least price is for all legs together."""
    found = contest_of(entrants, bids, terms._replace(min_price_micros=None), ping_id)
    shares = []
    for number in found.ranked:
        bid = bids[number]
        if bid is not None:
            shares_max = terms.max_shares if bid[3] is None else bid[3]
            shares.append(tuple.__new__(Share, (entrants[number][1], bid[0], shares_max)))
    winners = [found.ranked[place] for place in best_shares(shares, terms.max_shares, terms.apart)]
    return _Sellable(found, winners, sum(_gross(found, winner) for winner in winners))


def _ladder_of_one(
    entrants: Sequence[Entrant], sold: _Sellable, payouts: Sequence[int], terms: Terms
) -> Sequence[Rung]:
    kept = sold.winners if terms.fallback is Fallback.NONE else sold.contest.ranked
    return rungs_of(entrants, sold.contest, kept, payouts[0])


def _ladder_of_legs(
    entrants: Sequence[Entrant], sold: _Sellable, payouts: Sequence[int], terms: Terms
) -> Sequence[Rung]:
    """The legs' winners, then the reserve: whoever else covers some leg's payout and shares with so many."""
    rungs = [
        rung._replace(payout_micros=payout)
        for rung, payout in zip(rungs_of(entrants, sold.contest, sold.winners), payouts, strict=True)
    ]
    if terms.fallback is Fallback.NONE:
        return rungs
    reserve = [
        number
        for number in sold.contest.ranked
        if number not in sold.winners
        and (bid := sold.contest.bids[number]) is not None
        and _shares_max(bid, terms) >= len(rungs)
    ]
    return [*rungs, *rungs_of(entrants, sold.contest, reserve, min(payouts))]


def _shares_max(bid: Bid, terms: Terms) -> int:
    return terms.max_shares if bid.shares_max is None else bid.shares_max
