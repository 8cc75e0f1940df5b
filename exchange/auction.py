"""The auction: a pure function from bids and terms to a winner, a ladder, and one reason for every order.

The order of bids is total: gross price, then the order's priority, then a hash of ping id and order key. It depends
neither on who answered first nor on anything outside the arguments, so a decision can be repeated from its record.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from exchange.rules.pricing import leaves_nothing, payout_of
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.market import Fallback, Margin
from exchange.values.reason import Reason
from exchange.values.trace import OrderOutcome, Rung


class Entrant(NamedTuple):
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


def decide(entrants: Sequence[Entrant], terms: Terms, ping_id: UUID) -> Decision:
    """Decides an exclusive sale to the highest bid.

    The ladder holds the winner and then, best first, every order whose own gross price covers the payout that the
    winner's bid promises (contract, section 1); under `Fallback.NONE` the winner alone.
    """
    reasons = [_refusal(entrant, terms) for entrant in entrants]
    candidates = _ranked([e for e, reason in zip(entrants, reasons, strict=True) if reason is None], ping_id)
    if not candidates:
        was_asked = any(entrant.asked.elapsed_ms is not None for entrant in entrants)
        reason = Reason.NO_BIDS if was_asked else Reason.NO_ELIGIBLE_ORDERS
        return Decision(reason, None, (), _outcomes(entrants, reasons, None, reason))
    best, payout_micros = candidates[0], payout_of(_gross(candidates[0]), candidates[0].margin)
    if terms.min_price_micros is not None and payout_micros < terms.min_price_micros:
        reason = Reason.BELOW_MIN_PRICE
        return Decision(reason, None, (), _outcomes(entrants, reasons, best, reason))
    ladder = _ladder(candidates, payout_micros, terms.fallback)
    return Decision(None, payout_micros, ladder, _outcomes(entrants, reasons, best, Reason.WON))


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
    if reply.gross_micros < terms.floor_micros or leaves_nothing(reply.gross_micros, entrant.margin):
        return Reason.BELOW_FLOOR
    if entrant.available_micros is not None and reply.gross_micros > entrant.available_micros:
        return Reason.INSUFFICIENT_BALANCE
    return None


def _ranked(entrants: list[Entrant], ping_id: UUID) -> list[Entrant]:
    """The orders with a valid bid, best first. Few bids are equal, so hashes are only made where some are."""
    if len({_rank(entrant) for entrant in entrants}) == len(entrants):
        return sorted(entrants, key=_rank)
    return sorted(entrants, key=lambda entrant: (_rank(entrant), tie_break(ping_id, entrant.order)))


def _rank(entrant: Entrant) -> tuple[int, int]:
    return -_gross(entrant), entrant.priority


def _ladder(candidates: Sequence[Entrant], payout_micros: int, fallback: Fallback) -> tuple[Rung, ...]:
    """The winner, then whoever else covers the payout: the winner does by construction."""
    kept = candidates[:1] if fallback is Fallback.NONE else candidates
    return tuple(_rung(entrant) for entrant in kept if _gross(entrant) >= payout_micros)


def _rung(entrant: Entrant) -> Rung:
    reply = entrant.asked.reply
    return Rung(entrant.order, entrant.buyer, _gross(entrant), reply.bid_id if isinstance(reply, Bid) else None)


def _gross(entrant: Entrant) -> int:
    return entrant.asked.reply.gross_micros or 0


def _outcomes(
    entrants: Sequence[Entrant], reasons: Sequence[Reason | None], best: Entrant | None, verdict: Reason
) -> tuple[OrderOutcome, ...]:
    """One outcome an order: what kept its bid from counting, the verdict on the best, and `OUTBID` for the rest."""
    outcomes = []
    for entrant, refused in zip(entrants, reasons, strict=True):
        reply = entrant.asked.reply
        outcomes.append(
            OrderOutcome(
                order=entrant.order,
                buyer=entrant.buyer,
                reason=refused or (verdict if entrant is best else Reason.OUTBID),
                gross_micros=reply.gross_micros,
                bid_id=reply.bid_id if isinstance(reply, Bid) else None,
                elapsed_ms=entrant.asked.elapsed_ms,
                detail=reply.detail if isinstance(reply, Refusal) else "",
            )
        )
    return tuple(outcomes)
