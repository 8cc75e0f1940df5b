"""The auction: a pure function from bids and terms to a winner, a ladder, and one reason for every order.

The order of bids is total: gross price, then the order's priority, then a hash of ping id and order key, unless the
terms rank otherwise. It depends neither on who answered first nor on anything outside the arguments, so a decision can
be repeated from its record.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple
from uuid import UUID

from exchange.rules.charging import Taker, charges
from exchange.rules.contest import Contest, Entrant, Terms, Valid
from exchange.rules.judging import judged, judged_both_ways
from exchange.rules.outcomes import Pair, Reasons, legs_won, rows_alone, rows_both_ways, rungs_of
from exchange.rules.pricing import payout_of
from exchange.rules.shares import Plain, best_shares
from exchange.values.bid import Bid
from exchange.values.market import Fallback, Sale
from exchange.values.money import MICROS_PER_CENT
from exchange.values.reason import Reason
from exchange.values.trace import Inputs, OrderOutcome, OutcomeRow, Rung, Sums, named

__all__ = ["Decision", "Entrant", "Terms", "buyers_among", "decide", "has_buyer"]

_WON, _BELOW_MIN_PRICE, _EXCLUSIVE, _NO_FALLBACK = Reason.WON, Reason.BELOW_MIN_PRICE, Sale.EXCLUSIVE, Fallback.NONE
"""An enum's members are looked up once: that takes as long as judging a bid."""

_made: Final = tuple.__new__  # makes a named tuple in half the time that its class takes


class Found(NamedTuple):
    """What was found of every reply: outcomes are made of it for who asks. It says nothing of a bid merely outbid.

    `pairs` are the bids that counted of each order that bid, where leads are shared; None where they are not.
    """

    entrants: tuple[Entrant, ...]
    reasons: Reasons
    reasons_of_shares: Reasons
    pairs: list[Pair] | None


class Decision(NamedTuple):
    """The auction's result. Where `reason` is None, `ladder[0]` won and `payout_micros` may be promised.

    `inputs` is what the ranking of valid bids went by, where it is more than bids and terms.
    `sums` are what both ways of selling would have brought, where the campaign knows more than one.
    """

    reason: Reason | None
    payout_micros: int | None
    ladder: tuple[Rung, ...]
    found: Found
    inputs: Inputs | None = None
    sums: Sums | None = None

    @property
    def rows(self) -> tuple[OutcomeRow, ...]:
        """What became of every order, as it is journaled; made anew each time."""
        entrants, reasons, of_shares, pairs = self.found
        if pairs is None:
            return tuple(rows_alone(entrants, reasons))
        return tuple(rows_both_ways(entrants, reasons, of_shares, pairs))

    @property
    def outcomes(self) -> tuple[OrderOutcome, ...]:
        """The same by name."""
        return named(self.rows)


def decide(entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> Decision:
    """Decides a sale to the best bid, or, as the campaign sells, to the best set of shared bids.

    The ladder holds the winner and then, best first, every order whose own gross price covers the payout that the
    winner's bid promises (contract, section 1); under `Fallback.NONE` the winner alone.
    """
    if terms.sale is not _EXCLUSIVE:
        return _decide_ways(entrants, terms, ping_id)
    enough, less, _, reasons, of_shares, _ = judged(entrants, terms)
    found = _made(Found, (tuple(entrants), reasons, of_shares, None))
    contest = Contest(entrants, enough, less, terms.ranking, ping_id)
    best = next(contest.best_first(), None)
    if best is None:
        return Decision(_why_nobody(entrants), None, (), found)
    charged = _charged(entrants, list(contest.best_first()), terms) if terms.second_price else None
    payout_micros = payout_of(charged[0].gross_micros if charged else best[3].gross_micros, entrants[best[2]].margin)
    is_enough = terms.min_price_micros is None or payout_micros >= terms.min_price_micros
    reasons[best[2]] = _WON if is_enough else _BELOW_MIN_PRICE
    if not is_enough:
        return Decision(_BELOW_MIN_PRICE, None, (), found, contest.inputs)
    if charged:
        ladder = [rung for rung in charged if rung.gross_micros >= payout_micros]
    else:
        ladder = rungs_of(entrants, contest.best_first(payout_micros))
    kept = ladder[:1] if terms.fallback is _NO_FALLBACK else ladder
    return Decision(None, payout_micros, tuple(kept), found, contest.inputs)


def has_buyer(entrants: Sequence[Entrant], terms: Terms) -> bool:
    """Whether any of these replies would win if there were no others."""
    return bool(judged(entrants, terms).enough)


def buyers_among(entrants: Iterable[Entrant], terms: Terms) -> Iterator[Entrant]:
    """Those whose replies would win if there were no others."""
    return (entrant for entrant in entrants if has_buyer([entrant], terms))


def _why_nobody(entrants: Sequence[Entrant]) -> Reason:
    """Why there is no valid bid: nobody was asked or has a price of his own, or those are worth nothing."""
    took_part = any(item.asked.elapsed_ms is not None or isinstance(item.asked.reply, Bid) for item in entrants)
    return Reason.NO_BIDS if took_part else Reason.NO_ELIGIBLE_ORDERS


def _charged(entrants: Sequence[Entrant], ranked: Sequence[Valid], terms: Terms) -> list[Rung]:
    """The rungs of all who could win, with what each would pay in place of his bid."""
    takers = [
        Taker(bid.gross_micros, entrants[number].margin, entrants[number].asked.elapsed_ms is None)
        for _, _, number, bid in ranked
    ]
    least_micros = max(MICROS_PER_CENT, terms.payout_floor_micros, terms.min_price_micros or 0)
    paid = charges(takers, terms.floor_micros, least_micros)
    return [rung._replace(gross_micros=micros) for rung, micros in zip(rungs_of(entrants, ranked), paid, strict=True)]


# Where leads are shared, every order has up to two bids that count, one for each way. Each way is its own contest; then
# the ways are compared.


class _Sellable(NamedTuple):
    """What one way of selling comes to: who could win it, the winners among them, and their gross prices together."""

    contest: Contest
    winners: Sequence[Valid]
    gross_micros: int


def _decide_ways(entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> Decision:
    """Decides by the higher gross sum of the ways that the campaign sells; a tie is exclusive (contract, section 3).

    As with bids, a way that leaves the seller his least price comes before one that does not.
    """
    enough, less, shares, reasons, of_shares, pairs = judged_both_ways(entrants, terms)
    found = _made(Found, (tuple(entrants), reasons, of_shares, pairs))
    exclusive = _exclusive(Contest(entrants, enough, less, terms.ranking, ping_id))
    shared = _shared(entrants, shares, terms, ping_id)
    sums = _made(Sums, (exclusive[2] or None, shared[2] or None, terms.max_shares))
    best, other = (shared, exclusive) if shared[2] > exclusive[2] else (exclusive, shared)
    if not best.winners:
        return Decision(_why_nobody(entrants), None, (), found, sums=sums)
    is_enough = _pays_enough(entrants, best.winners, terms)
    if not is_enough and _pays_enough(entrants, other.winners, terms):
        best, is_enough = other, True
    told = of_shares if best is shared else reasons
    reason = _WON if is_enough else _BELOW_MIN_PRICE
    for _, _, number, _ in best.winners:
        told[number] = reason
    if not is_enough:
        return Decision(_BELOW_MIN_PRICE, None, (), found, sums=sums)
    payouts = _payouts(entrants, best.winners)
    ladder = _ladder_of_legs if best is shared else _ladder_of_one
    return _made(Decision, (None, sum(payouts), tuple(ladder(entrants, best, payouts, terms)), found, None, sums))


def _payouts(entrants: Sequence[Entrant], winners: Sequence[Valid]) -> list[int]:
    """What each of these bids leaves the seller."""
    return [payout_of(-lowered, entrants[number][5]) for lowered, _, number, _ in winners]


def _pays_enough(entrants: Sequence[Entrant], winners: Sequence[Valid], terms: Terms) -> bool:
    """Whether these bids together leave the seller his least price."""
    return terms.min_price_micros is None or sum(_payouts(entrants, winners)) >= terms.min_price_micros


def _exclusive(contest: Contest) -> _Sellable:
    best = next(contest.best_first(), None)
    return _made(_Sellable, (contest, (), 0) if best is None else (contest, (best,), -best[0]))


def _shared(entrants: Sequence[Entrant], valid: list[Valid], terms: Terms, ping_id: UUID) -> _Sellable:
    """The set of shared bids that brings the most together, or, if that is too little for the seller, pays him most.

    No more bids are ranked than are looked at for it.
    """
    contest = Contest(entrants, valid, [], terms.ranking, ping_id)
    if not valid:
        return _Sellable(contest, (), 0)
    ranked = _by_gross(contest, terms)
    seen: list[Valid] = []
    shares_max = terms.max_shares

    def looked_at() -> Iterator[Plain]:
        for found in ranked:
            seen.append(found)
            lowered, _, number, bid = found
            yield entrants[number][1], -lowered, shares_max if bid[3] is None else bid[3]

    places = best_shares(looked_at(), shares_max, terms.apart)
    winners = [seen[place] for place in places]
    if not _pays_enough(entrants, winners, terms):
        paying = _paying_most(entrants, list(_by_gross(contest, terms)), terms)
        winners = paying if _pays_enough(entrants, paying, terms) else winners
    return _made(_Sellable, (contest, winners, -sum([lowered for lowered, _, _, _ in winners])))


def _by_gross(contest: Contest, terms: Terms) -> Iterator[Valid]:
    """Shared bids, highest first; a boost tells equals apart alone."""
    return contest.best_first() if terms.ranking is None else iter(sorted(contest.best_first(), key=itemgetter(0)))


def _paying_most(entrants: Sequence[Entrant], ranked: Sequence[Valid], terms: Terms) -> list[Valid]:
    """The set of shared bids that pays the seller the most, which margins may make another; best first."""
    payouts = _payouts(entrants, ranked)
    by_payout = sorted(range(len(ranked)), key=lambda place: -payouts[place])
    shares_max = terms.max_shares
    bids: list[Plain] = []
    for place in by_payout:
        _, _, number, bid = ranked[place]
        bids.append((entrants[number][1], payouts[place], shares_max if bid[3] is None else bid[3]))
    return [
        ranked[place] for place in sorted(by_payout[chosen] for chosen in best_shares(bids, shares_max, terms.apart))
    ]


def _ladder_of_one(
    entrants: Sequence[Entrant], sold: _Sellable, payouts: Sequence[int], terms: Terms
) -> Sequence[Rung]:
    return rungs_of(entrants, sold.winners if terms.fallback is _NO_FALLBACK else sold.contest.best_first(payouts[0]))


def _ladder_of_legs(
    entrants: Sequence[Entrant], sold: _Sellable, payouts: Sequence[int], terms: Terms
) -> Sequence[Rung]:
    """The legs' winners, then the reserve: whoever else covers some leg's payout and shares with so many."""
    rungs = legs_won(entrants, sold.winners, payouts)
    if terms.fallback is _NO_FALLBACK:
        return rungs
    taken, legs = {number for _, _, number, _ in sold.winners}, len(rungs)
    reserve = (
        found
        for found in sold.contest.best_first(min(payouts))
        if found[2] not in taken and ((willing := found[3][3]) is None or willing >= legs)
    )
    return rungs + rungs_of(entrants, reserve)
