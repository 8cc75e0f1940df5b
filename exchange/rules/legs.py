"""The legs of a shared post: what each has come to, and who may take one next."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple

from exchange.rules.attempts import SOLD, AttemptState
from exchange.rules.shares import Apart
from exchange.values.reason import Reason

DEAD = frozenset({AttemptState.REJECTED, AttemptState.NOT_SENT})
"""An attempt in any other state keeps its leg from everybody else: the lead may be with its buyer."""


class LegStatus(StrEnum):
    """What a leg has come to. `PENDING`: its buyer may have the lead."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PENDING = "pending"


class Tried(NamedTuple):
    """An attempt of a leg, as far as it matters to the others."""

    leg: int
    ordinal: int
    buyer: str
    gross_micros: int
    state: AttemptState
    reason: Reason | None
    redirect_url: str | None = None


class Leg(NamedTuple):
    """One leg of a shared post: what was promised for it, and what it has come to.

    `gross_micros` is what its buyer pays where he has taken it.
    """

    number: int
    payout_micros: int
    status: LegStatus
    reason: Reason
    gross_micros: int = 0
    redirect_url: str | None = None


def legs_after(promised: Sequence[int], attempts: Sequence[Tried]) -> tuple[Leg, ...]:
    """What each leg has come to. The attempts are given oldest first; one that is alive speaks for its leg."""
    return tuple(
        _leg(number, payout_micros, [item for item in attempts if item.leg == number])
        for number, payout_micros in enumerate(promised, 1)
    )


def _leg(number: int, payout_micros: int, attempts: Sequence[Tried]) -> Leg:
    if not attempts:
        return Leg(number, payout_micros, LegStatus.REJECTED, Reason.OFFER_WITHDRAWN)
    last = next((item for item in attempts if item.state not in DEAD), attempts[-1])
    reason = last.reason or Reason.UNKNOWN
    if last.state in SOLD:
        return Leg(number, payout_micros, LegStatus.ACCEPTED, reason, last.gross_micros, last.redirect_url)
    is_open = last.state in {AttemptState.PREPARED, AttemptState.UNKNOWN}
    return Leg(number, payout_micros, LegStatus.PENDING if is_open else LegStatus.REJECTED, reason)


def may_have(buyer: str, tried: Collection[Tried], apart: Apart) -> bool:
    """Whether a lead may go to this buyer, too: nobody gets it twice, or beside one whom he must not have it with."""
    others = apart.get(buyer, frozenset())
    return not any(item.buyer == buyer or (item.buyer in others and item.state not in DEAD) for item in tried)
