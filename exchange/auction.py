"""The auction: a pure function from bids and terms to a winner, a ladder, and one reason for every order.

The order of bids is total: gross price, then the order's priority, then a hash of ping id and order key, unless the
terms rank otherwise. It depends neither on who answered first nor on anything outside the arguments, so a decision can
be repeated from its record.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from exchange.rules.charging import Taker, charges
from exchange.rules.pricing import leaves_nothing, payout_of
from exchange.rules.ranking import Candidate, Ranking, inputs_of, order_of, tie_break
from exchange.rules.room import Left
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.market import Fallback, Margin
from exchange.values.money import MICROS_PER_CENT
from exchange.values.reason import Reason
from exchange.values.trace import Inputs, OrderOutcome, Rung


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


class Decision(NamedTuple):
    """The auction's result. Where `reason` is None, `ladder[0]` won and `payout_micros` may be promised.

    `inputs` is what the ranking went by, of those that could win, where it is more than bids and terms.
    """

    reason: Reason | None
    payout_micros: int | None
    ladder: tuple[Rung, ...]
    outcomes: tuple[OrderOutcome, ...]
    inputs: Inputs | None = None


def decide(entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> Decision:
    """Decides an exclusive sale to the best bid.

    The ladder holds the winner and then, best first, every order whose own gross price covers the payout that the
    winner's bid promises (contract, section 1); under `Fallback.NONE` the winner alone.
    """
    reasons = [_refusal(entrant, terms) for entrant in entrants]
    inputs = None
    if terms.ranking is None:
        ranked = _ranked(entrants, reasons, ping_id)
    else:
        ranked, inputs = _ranked_by(terms.ranking, entrants, reasons, terms, ping_id)
    if not ranked:
        reason = Reason.NO_BIDS if any(map(_took_part, entrants)) else Reason.NO_ELIGIBLE_ORDERS
        return Decision(reason, None, (), _outcomes(entrants, reasons))
    best = ranked[0]
    takers = [entrants[index] for index in ranked]
    if terms.second_price:
        takers = _charged(takers, terms)
    payout_micros = payout_of(_gross(takers[0]), takers[0].margin)
    if terms.min_price_micros is not None and payout_micros < terms.min_price_micros:
        reasons[best] = Reason.BELOW_MIN_PRICE
        return Decision(Reason.BELOW_MIN_PRICE, None, (), _outcomes(entrants, reasons))
    reasons[best] = Reason.WON
    ladder = _ladder(takers[:1] if terms.fallback is Fallback.NONE else takers, payout_micros)
    return Decision(None, payout_micros, ladder, _outcomes(entrants, reasons), inputs)


def has_buyer(entrants: Sequence[Entrant], terms: Terms) -> bool:
    """Whether any of these replies would win if there were no others."""
    least_micros = terms.min_price_micros or 0
    return any(
        _refusal(entrant, terms) is None and payout_of(_gross(entrant), entrant.margin) >= least_micros
        for entrant in entrants
    )


def _took_part(entrant: Entrant) -> bool:
    """Whether an order was asked, or has a price of its own."""
    return entrant.asked.elapsed_ms is not None or isinstance(entrant.asked.reply, Bid)


def _refusal(entrant: Entrant, terms: Terms) -> Reason | None:
    """Why an order's reply cannot win, or None for a valid bid."""
    _, _, _, max_bid_micros, available_micros, margin, (_, reply, _), left = entrant
    if isinstance(reply, Refusal):
        return reply.reason
    gross_micros = reply.gross_micros
    if max_bid_micros is not None and gross_micros > max_bid_micros:
        return Reason.ABOVE_MAX_BID
    if gross_micros < terms.floor_micros or leaves_nothing(gross_micros, margin):
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
    """As `_ranked`, by more than the price. Whoever pays the seller's least price comes before all who do not.

    Besides, what the method went by, of those that do.
    """
    groups: tuple[list[int], list[int]] = ([], [])
    for index, (entrant, refused) in enumerate(zip(entrants, reasons, strict=True)):
        if refused is None:
            payout_micros = payout_of(_gross(entrant), entrant.margin)
            groups[payout_micros < (terms.min_price_micros or 0)].append(index)
    found: list[int] = []
    for group in groups:
        candidates = [Candidate(entrants[i].order, _gross(entrants[i]), entrants[i].priority) for i in group]
        found += [group[place] for place in order_of(candidates, ranking, ping_id)]
    return found, inputs_of([entrants[index].order for index in groups[0]], ranking)


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
            gross_micros, bid_id = reply
            outcome = OrderOutcome(order, buyer, reason or Reason.OUTBID, gross_micros, bid_id, elapsed_ms)
        else:
            refused, detail, quoted_micros = reply
            outcome = OrderOutcome(order, buyer, reason or refused, quoted_micros, None, elapsed_ms, detail)
        outcomes.append(outcome)
    return tuple(outcomes)
