"""The auction: a pure function from bids and terms to a winner, a ladder, and one reason for every order.

The order of bids is total: gross price, then the order's priority, then a hash of ping id and order key. It depends
neither on who answered first nor on anything outside the arguments, so a decision can be repeated from its record.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from exchange.rules.pricing import payout_of
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.market import Fallback, Margin
from exchange.values.reason import Reason
from exchange.values.trace import OrderOutcome, Rung


@dataclass(frozen=True, slots=True)
class Entrant:
    """One order that was asked, what it replied, and what limits its bid.

    `max_bid_micros` is the buyer's own limit and `available_micros` what he can still spend; None means no limit.
    """

    order: str
    buyer: str
    priority: int
    max_bid_micros: int | None
    available_micros: int | None
    margin: Margin
    asked: Asked


@dataclass(frozen=True, slots=True)
class Terms:
    """What a bid must meet. `floor_micros` is on gross, inclusive; `min_price_micros` is on the payout."""

    floor_micros: int
    fallback: Fallback = Fallback.BREAK_EVEN
    min_price_micros: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The auction's result. Where `reason` is None, `ladder[0]` won and `payout_micros` may be promised."""

    reason: Reason | None
    payout_micros: int | None
    ladder: tuple[Rung, ...]
    outcomes: tuple[OrderOutcome, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    rank: tuple[int, int, bytes]
    rung: Rung
    payout_micros: int


def decide(entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> Decision:
    """Decides an exclusive sale to the highest bid.

    The ladder holds the winner and then, best first, every order whose own gross price covers the payout that the
    winner's bid promises (contract, section 1); under `Fallback.NONE` the winner alone.
    """
    reasons = {entrant.order: _refusal(entrant, terms) for entrant in entrants}
    candidates = sorted(
        (_candidate(entrant, ping_id) for entrant in entrants if reasons[entrant.order] is None),
        key=lambda candidate: candidate.rank,
    )
    for candidate in candidates[1:]:
        reasons[candidate.rung.order] = Reason.OUTBID
    if not candidates:
        reason = Reason.NO_BIDS if any(entrant.asked.elapsed_ms is not None for entrant in entrants) else None
        return _unsold(reason or Reason.NO_ELIGIBLE_ORDERS, entrants, reasons)
    best = candidates[0]
    if terms.min_price_micros is not None and best.payout_micros < terms.min_price_micros:
        reasons[best.rung.order] = Reason.BELOW_MIN_PRICE
        return _unsold(Reason.BELOW_MIN_PRICE, entrants, reasons)
    reasons[best.rung.order] = Reason.WON
    return Decision(None, best.payout_micros, _ladder(candidates, terms), _outcomes(entrants, reasons))


def tie_break(ping_id: UUID, order: str) -> bytes:
    """Ranks equals fairly over pings, and alike on every replay."""
    return hashlib.blake2b(ping_id.bytes + order.encode(), digest_size=8).digest()


def _refusal(entrant: Entrant, terms: Terms) -> Reason | None:
    """Why an order's reply cannot win, or None for a valid bid."""
    reply = entrant.asked.reply
    if isinstance(reply, Refusal):
        return reply.reason
    if entrant.max_bid_micros is not None and reply.gross_micros > entrant.max_bid_micros:
        return Reason.ABOVE_MAX_BID
    if reply.gross_micros < terms.floor_micros or payout_of(reply.gross_micros, entrant.margin) == 0:
        return Reason.BELOW_FLOOR
    if entrant.available_micros is not None and reply.gross_micros > entrant.available_micros:
        return Reason.INSUFFICIENT_BALANCE
    return None


def _candidate(entrant: Entrant, ping_id: UUID) -> _Candidate:
    bid = entrant.asked.reply
    if not isinstance(bid, Bid):
        raise TypeError(f"{entrant.order} made no bid")
    return _Candidate(
        rank=(-bid.gross_micros, entrant.priority, tie_break(ping_id, entrant.order)),
        rung=Rung(entrant.order, entrant.buyer, bid.gross_micros, bid.bid_id),
        payout_micros=payout_of(bid.gross_micros, entrant.margin),
    )


def _ladder(candidates: Sequence[_Candidate], terms: Terms) -> tuple[Rung, ...]:
    best, *others = candidates
    if terms.fallback is Fallback.NONE:
        return (best.rung,)
    return (best.rung, *(item.rung for item in others if item.rung.gross_micros >= best.payout_micros))


def _unsold(reason: Reason, entrants: Sequence[Entrant], reasons: dict[str, Reason | None]) -> Decision:
    return Decision(reason, None, (), _outcomes(entrants, reasons))


def _outcomes(entrants: Sequence[Entrant], reasons: dict[str, Reason | None]) -> tuple[OrderOutcome, ...]:
    outcomes = []
    for entrant in entrants:
        reply, reason = entrant.asked.reply, reasons[entrant.order]
        if reason is None:
            raise AssertionError(f"{entrant.order} was left undecided")
        outcomes.append(
            OrderOutcome(
                order=entrant.order,
                buyer=entrant.buyer,
                reason=reason,
                gross_micros=reply.gross_micros,
                bid_id=reply.bid_id if isinstance(reply, Bid) else None,
                elapsed_ms=entrant.asked.elapsed_ms,
                detail=reply.detail if isinstance(reply, Refusal) else "",
            )
        )
    return tuple(outcomes)
