"""The auction once more, written plainly: entrants are copied for each way, every equal is hashed, nothing is shared.

It stands beside the fast one so that the two can be compared on any auction there may be.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from exchange.auction import Decision, Entrant, Terms
from exchange.rules.charging import Taker, charges
from exchange.rules.pricing import payout_of
from exchange.rules.ranking import Candidate, Ranking, inputs_of, measured_for, order_of, tie_break
from exchange.rules.shares import Share, best_shares
from exchange.values.bid import Bid, Refusal
from exchange.values.market import Fallback, Sale
from exchange.values.money import MICROS_PER_CENT
from exchange.values.reason import Reason
from exchange.values.trace import BidOutcome, Inputs, OrderOutcome, Rung, Sums


class Decided(NamedTuple):
    """A decision with its outcomes as they are told."""

    reason: Reason | None
    payout_micros: int | None
    ladder: tuple[Rung, ...]
    outcomes: tuple[OrderOutcome, ...]
    inputs: Inputs | None = None
    sums: Sums | None = None


def as_told(decision: Decision) -> Decided:
    """The fast one's decision, to compare."""
    reason, payout_micros, ladder, _, inputs, sums = decision
    return Decided(reason, payout_micros, ladder, decision.outcomes, inputs, sums)


def decide(entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> Decided:
    """Decides a sale to the best bid, or, as the campaign sells, to the best set of shared bids.

    The ladder holds the winner and then, best first, every order whose own gross price covers the payout that the
    winner's bid promises (contract, section 1); under `Fallback.NONE` the winner alone.
    """
    if terms.sale is not Sale.EXCLUSIVE:
        return _decide_ways(entrants, terms, ping_id)
    reasons = [_refusal(entrant, terms) for entrant in entrants]
    ranked, inputs = _ranking(entrants, reasons, terms, ping_id)
    if not ranked:
        return Decided(_why_nobody(entrants), None, (), _outcomes(entrants, reasons))
    best = ranked[0]
    takers = [entrants[index] for index in ranked]
    if terms.second_price:
        takers = _charged(takers, terms)
    payout_micros = payout_of(_gross(takers[0]), takers[0].margin)
    if terms.min_price_micros is not None and payout_micros < terms.min_price_micros:
        reasons[best] = Reason.BELOW_MIN_PRICE
        return Decided(Reason.BELOW_MIN_PRICE, None, (), _outcomes(entrants, reasons), inputs)
    reasons[best] = Reason.WON
    ladder = _ladder(takers[:1] if terms.fallback is Fallback.NONE else takers, payout_micros)
    return Decided(None, payout_micros, ladder, _outcomes(entrants, reasons), inputs)


def has_buyer(entrants: Sequence[Entrant], terms: Terms) -> bool:
    """Whether any of these replies would win if there were no others."""
    return any(
        _refusal(entrant, terms) is None and not _pays_less(entrant, terms.min_price_micros) for entrant in entrants
    )


def _pays_less(entrant: Entrant, payout_micros: int | None) -> bool:
    """Whether a bid leaves the seller less than this."""
    return payout_of(_gross(entrant), entrant.margin) < (payout_micros or 0)


def _why_nobody(entrants: Sequence[Entrant]) -> Reason:
    """Why there is no valid bid: nobody was asked or has a price of his own, or those are worth nothing."""
    took_part = any(item.asked.elapsed_ms is not None or isinstance(item.asked.reply, Bid) for item in entrants)
    return Reason.NO_BIDS if took_part else Reason.NO_ELIGIBLE_ORDERS


def _refusal(entrant: Entrant, terms: Terms) -> Reason | None:
    """Why an order's reply cannot win, or None for a valid bid."""
    _, _, _, max_bid_micros, available_micros, margin, (_, reply, _), left = entrant
    if isinstance(reply, Refusal):
        return reply.reason
    gross_micros = reply.gross_micros
    if max_bid_micros is not None and gross_micros > max_bid_micros:
        return Reason.ABOVE_MAX_BID
    if gross_micros < terms.floor_micros or payout_of(gross_micros, margin) == 0:
        return Reason.BELOW_FLOOR
    if terms.payout_floor_micros and payout_of(gross_micros, margin) < terms.payout_floor_micros:
        return Reason.BELOW_FLOOR
    if available_micros is not None and gross_micros > available_micros:
        return Reason.INSUFFICIENT_BALANCE
    if left is not None and left.leads < 1:
        return Reason.CAPPED
    if left is not None and gross_micros > left.micros:
        return Reason.OUT_OF_BUDGET
    return None


def _ranking(
    entrants: Sequence[Entrant], reasons: Sequence[Reason | None], terms: Terms, ping_id: UUID
) -> tuple[list[int], Inputs | None]:
    """Which orders have a valid bid, best first, and what the method went by besides, of those that could win.

    Whoever pays the seller's least price comes before all who do not.
    """
    if terms.ranking is not None:
        return _ranked_by(terms.ranking, entrants, reasons, terms, ping_id)
    ranked = _ranked(entrants, reasons, ping_id)
    if terms.min_price_micros is not None:
        ranked.sort(key=lambda index: _pays_less(entrants[index], terms.min_price_micros))
    return ranked, None


def _ranked(entrants: Sequence[Entrant], reasons: Sequence[Reason | None], ping_id: UUID) -> list[int]:
    """Which orders have a valid bid, best first. Few bids are equal, so hashes are only made where some are."""
    valid = [
        (-_gross(entrant), entrant.priority, index)
        for index, (entrant, refused) in enumerate(zip(entrants, reasons, strict=True))
        if refused is None
    ]
    if len({rank[:2] for rank in valid}) == len(valid):
        return [index for _, _, index in sorted(valid)]
    hashed = [(gross, priority, tie_break(ping_id, entrants[index].order), index) for gross, priority, index in valid]
    return [index for _, _, _, index in sorted(hashed)]


def _ranked_by(
    ranking: Ranking, entrants: Sequence[Entrant], reasons: Sequence[Reason | None], terms: Terms, ping_id: UUID
) -> tuple[list[int], Inputs | None]:
    """As `_ranking`, by more than the price."""
    groups: tuple[list[int], list[int]] = ([], [])
    for index, (entrant, refused) in enumerate(zip(entrants, reasons, strict=True)):
        if refused is None:
            groups[_pays_less(entrant, terms.min_price_micros)].append(index)
    ranking = measured_for(ranking, [entrants[index].order for group in groups for index in group])
    found: list[int] = []
    for group in groups:
        candidates = [Candidate(entrants[i].order, _gross(entrants[i]), entrants[i].priority) for i in group]
        found += [group[place] for place in order_of(candidates, ranking.second if found else ranking, ping_id)]
    return found, inputs_of(ranking)


def _charged(takers: Sequence[Entrant], terms: Terms) -> list[Entrant]:
    """The entrants with what each would pay in place of his bid."""
    prices = [Taker(_gross(taker), taker.margin, taker.asked.elapsed_ms is None) for taker in takers]
    least_micros = max(MICROS_PER_CENT, terms.payout_floor_micros, terms.min_price_micros or 0)
    found = []
    for taker, micros in zip(takers, charges(prices, terms.floor_micros, least_micros), strict=True):
        asked = taker.asked
        found.append(taker._replace(asked=asked._replace(reply=asked.reply._replace(gross_micros=micros))))
    return found


def _ladder(candidates: Sequence[Entrant], payout_micros: int) -> tuple[Rung, ...]:
    """The winner, then whoever else covers the payout: the winner does by construction."""
    return tuple(
        [
            Rung(order, buyer, reply.gross_micros, reply.bid_id)
            for order, buyer, _, _, _, _, (_, reply, _), _ in candidates
            if isinstance(reply, Bid) and reply.gross_micros >= payout_micros
        ]
    )


def _gross(entrant: Entrant) -> int:
    return entrant.asked.reply.gross_micros or 0


def _outcomes(entrants: Sequence[Entrant], reasons: Sequence[Reason | None]) -> tuple[OrderOutcome, ...]:
    """One outcome an order: its reason, which is `OUTBID` for a valid bid that has none."""
    outcomes = []
    for (order, buyer, _, _, _, _, (_, reply, elapsed_ms), _), reason in zip(entrants, reasons, strict=True):
        if isinstance(reply, Bid):
            gross_micros, bid_id, _, _, others = reply
            outcome = OrderOutcome(order, buyer, reason or Reason.OUTBID, gross_micros, bid_id, elapsed_ms)
            if others:
                outcome = outcome._replace(bids=_with_worse(reply, outcome.reason))
        else:
            refused, detail, quoted_micros = reply
            outcome = OrderOutcome(order, buyer, reason or refused, quoted_micros, None, elapsed_ms, detail)
        outcomes.append(outcome)
    return tuple(outcomes)


def _with_worse(best: Bid, reason: Reason) -> tuple[BidOutcome, ...]:
    """An order's best bid of a kind, and its worse ones, which that one supersedes."""
    return (_bid_outcome(best, reason), *(_bid_outcome(bid, Reason.SUPERSEDED) for bid in best.others))


def _bid_outcome(bid: Bid, reason: Reason) -> BidOutcome:
    return BidOutcome(bid.sale, bid.gross_micros, bid.bid_id, bid.shares_max, reason)


# Where leads are shared, every order has up to two bids that count, one for each way. Each way is its own contest; then
# the ways are compared.


class _Way:
    """The contest of one way of selling: the bids of this kind, who of them won, and what the sale brings."""

    def __init__(self, sale: Sale, entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> None:
        found = [(index, _bid_of_kind(entrant.asked.reply, sale)) for index, entrant in enumerate(entrants)]
        self.numbers = [index for index, bid in found if bid is not None]
        self.bids = [bid for _, bid in found if bid is not None]
        self.entrants = [
            entrants[index]._replace(asked=entrants[index].asked._replace(reply=bid))
            for index, bid in found
            if bid is not None
        ]
        self.reasons = [_refusal(entrant, terms) for entrant in self.entrants]
        if sale is Sale.SHARED:  # the seller's least price is for all legs together
            terms = terms._replace(min_price_micros=None)
        self.ranked, _ = _ranking(self.entrants, self.reasons, terms, ping_id)
        self.winners = _best_set(self, terms) if sale is Sale.SHARED else self.ranked[:1]
        self.gross_micros = sum(self.bids[winner].gross_micros for winner in self.winners)

    def payouts(self) -> list[int]:
        """What each winner's bid leaves for the seller."""
        return [payout_of(_gross(self.entrants[winner]), self.entrants[winner].margin) for winner in self.winners]


def _decide_ways(entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> Decided:
    """Decides by the higher gross sum of the ways that the campaign sells; a tie is exclusive (contract, section 3)."""
    exclusive = _Way(Sale.EXCLUSIVE, entrants if terms.sale is Sale.BEST else (), terms, ping_id)
    shared = _Way(Sale.SHARED, entrants, terms, ping_id)
    sums = Sums(exclusive.gross_micros or None, shared.gross_micros or None, terms.max_shares)
    best = shared if shared.gross_micros > exclusive.gross_micros else exclusive
    if not best.winners:
        return Decided(_why_nobody(entrants), None, (), _outcomes_of_ways(entrants, exclusive, shared), sums=sums)
    payouts = best.payouts()
    enough = terms.min_price_micros is None or sum(payouts) >= terms.min_price_micros
    for winner in best.winners:
        best.reasons[winner] = Reason.WON if enough else Reason.BELOW_MIN_PRICE
    outcomes = _outcomes_of_ways(entrants, exclusive, shared)
    if not enough:
        return Decided(Reason.BELOW_MIN_PRICE, None, (), outcomes, sums=sums)
    ladder = _ladder_of_legs(best, payouts, terms) if best is shared else _ladder_of_one(best, payouts[0], terms)
    return Decided(None, sum(payouts), ladder, outcomes, sums=sums)


def _best_set(way: _Way, terms: Terms) -> list[int]:
    """The set of shared bids that brings the most together, highest first."""
    by_gross = sorted(way.ranked, key=lambda index: -way.bids[index].gross_micros)  # equals stay by rank
    shares = [
        Share(way.entrants[index].buyer, way.bids[index].gross_micros, _shares_max(way.bids[index], terms))
        for index in by_gross
    ]
    return [by_gross[position] for position in best_shares(shares, terms.max_shares, terms.apart)]


def _ladder_of_one(way: _Way, payout_micros: int, terms: Terms) -> tuple[Rung, ...]:
    kept = way.ranked[:1] if terms.fallback is Fallback.NONE else way.ranked
    return _ladder([way.entrants[index] for index in kept], payout_micros)


def _ladder_of_legs(way: _Way, payouts: Sequence[int], terms: Terms) -> tuple[Rung, ...]:
    """The legs' winners, then the reserve: whoever else covers some leg's payout and shares with so many."""
    rungs = [
        rung._replace(payout_micros=payout)
        for winner, payout in zip(way.winners, payouts, strict=True)
        for rung in _ladder([way.entrants[winner]], payout)
    ]
    if terms.fallback is Fallback.NONE:
        return tuple(rungs)
    reserve = [
        way.entrants[index]
        for index in way.ranked
        if index not in way.winners and _shares_max(way.bids[index], terms) >= len(rungs)
    ]
    return (*rungs, *_ladder(reserve, min(payouts)))


def _shares_max(bid: Bid, terms: Terms) -> int:
    return terms.max_shares if bid.shares_max is None else bid.shares_max


def _bid_of_kind(reply: Bid | Refusal, sale: Sale) -> Bid | None:
    """An order's best bid for one way of selling."""
    if isinstance(reply, Refusal):
        return None
    return max((bid for bid in (reply, *reply.others) if bid.sale is sale), key=_by_gross, default=None)


def _by_gross(bid: Bid) -> int:
    return bid.gross_micros


_ORDER_OF_REASONS = (Reason.WON, Reason.BELOW_MIN_PRICE, Reason.OUTBID)
"""What an order's own reason is, where its bids have several."""


def _outcomes_of_ways(entrants: Sequence[Entrant], *ways: _Way) -> tuple[OrderOutcome, ...]:
    """One outcome an order, with that of each of its bids."""
    counted: list[dict[int, tuple[Bid, Reason]]] = []
    for way in ways:
        reasons = [reason or Reason.OUTBID for reason in way.reasons]
        counted.append(dict(zip(way.numbers, zip(way.bids, reasons, strict=True), strict=True)))
    outcomes = []
    for number, (order, buyer, _, _, _, _, (_, reply, elapsed_ms), _) in enumerate(entrants):
        if isinstance(reply, Refusal):
            refused, detail, quoted_micros = reply
            outcomes.append(OrderOutcome(order, buyer, refused, quoted_micros, None, elapsed_ms, detail))
            continue
        best = [found[number] for found in counted if number in found]
        best.sort(key=lambda item: _ORDER_OF_REASONS.index(item[1]) if item[1] in _ORDER_OF_REASONS else 9)
        worse = [bid for bid in (reply, *reply.others) if not any(bid is counts for counts, _ in best)]
        bids = [_bid_outcome(bid, reason) for bid, reason in best]
        bids += [_bid_outcome(bid, Reason.SUPERSEDED if best else Reason.INVALID_RESPONSE) for bid in worse]
        _, gross_micros, bid_id, _, reason = bids[0]
        outcomes.append(OrderOutcome(order, buyer, reason, gross_micros, bid_id, elapsed_ms, "", tuple(bids)))
    return tuple(outcomes)
