"""The states of an attempt: what an outcome makes of it, what may follow what, and what that does to the money."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.market import Presumption
from exchange.values.reason import Reason


class AttemptState(StrEnum):
    PREPARED = "prepared"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    PRESUMED_ACCEPTED = "presumed_accepted"
    PRESUMED_REJECTED = "presumed_rejected"


class Effect(StrEnum):
    """What a transition does to what was taken of the buyer."""

    KEEP = "keep"
    SETTLE = "settle"
    """What was held becomes a sale."""
    RELEASE = "release"
    """What was held is given back."""
    CHARGE = "charge"
    """A sale after all, of which nothing is held any more."""
    REFUND = "refund"
    """No sale after all: what was moved is moved back."""


HELD = frozenset({AttemptState.PREPARED, AttemptState.UNKNOWN})
SOLD = frozenset({AttemptState.ACCEPTED, AttemptState.PRESUMED_ACCEPTED})

_CLEAR = frozenset({AttemptState.ACCEPTED, AttemptState.REJECTED})
_FOLLOWING: Mapping[AttemptState, frozenset[AttemptState]] = MappingProxyType(
    {
        AttemptState.PREPARED: _CLEAR | {AttemptState.NOT_SENT, AttemptState.UNKNOWN},
        AttemptState.UNKNOWN: _CLEAR
        | {AttemptState.NOT_SENT, AttemptState.PRESUMED_ACCEPTED, AttemptState.PRESUMED_REJECTED},
        AttemptState.PRESUMED_ACCEPTED: _CLEAR,
        AttemptState.PRESUMED_REJECTED: _CLEAR,
    }
)


def state_after(delivery: Delivery) -> AttemptState:
    """The state that the outcome of a delivery makes of an attempt."""
    match delivery:
        case Accepted():
            return AttemptState.ACCEPTED
        case Rejected():
            return AttemptState.REJECTED
        case NotSent():
            return AttemptState.NOT_SENT
        case Unknown():
            return AttemptState.UNKNOWN
    assert_never(delivery)


def reason_of(delivery: Delivery) -> Reason:
    """The reason that an attempt has by the outcome of its delivery."""
    match delivery:
        case Accepted():
            return Reason.ACCEPTED
        case Rejected():
            return delivery.reason
        case NotSent():
            return Reason.NOT_SENT
        case Unknown():
            return Reason.UNKNOWN
    assert_never(delivery)


def presumed(presumption: Presumption) -> tuple[AttemptState, Reason]:
    """What an attempt becomes when the agreed time is over."""
    match presumption:
        case Presumption.ACCEPTED:
            return AttemptState.PRESUMED_ACCEPTED, Reason.PRESUMED_ACCEPTED
        case Presumption.REJECTED:
            return AttemptState.PRESUMED_REJECTED, Reason.PRESUMED_REJECTED
    assert_never(presumption)


def may_become(before: AttemptState, after: AttemptState) -> bool:
    """Whether a state may follow another. Only what was unknown can be presumed, only what was presumed corrected."""
    return after in _FOLLOWING.get(before, frozenset())


def effect_of(before: AttemptState, after: AttemptState) -> Effect:
    """What a transition does to the money; it is the same for every way in which it comes about."""
    if before in HELD:
        if after in HELD:
            return Effect.KEEP
        return Effect.SETTLE if after in SOLD else Effect.RELEASE
    if (before in SOLD) is (after in SOLD):
        return Effect.KEEP
    return Effect.CHARGE if after in SOLD else Effect.REFUND
