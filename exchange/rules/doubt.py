"""What is done about an attempt that is unknown: whom to ask, what an answer proves, when to ask again or presume."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.market import Endpoint, Presumption
from exchange.values.reason import Reason

LOOK_AGAIN_S = 86_400.0
"""How often an attempt is looked at that nobody can be asked about."""
UNDER_WAY_S = 30.0
"""How long a request may be on its way after the time that a buyer has for it."""


class Means(StrEnum):
    """A way to learn what became of an attempt."""

    RESEND = "resend"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is asked: at once, after `first_s`, then twice that up to `longest_s`, `tries_max` times in all."""

    first_s: float
    longest_s: float
    tries_max: int

    def pause_s(self, tries: int) -> float:
        """How long to wait after that many tries."""
        return float(min(self.first_s * 2 ** min(max(tries - 1, 0), 40), self.longest_s))


@dataclass(frozen=True, slots=True)
class Doubt:
    """One unknown attempt: when it was made, and how often was asked, this time included."""

    made_at: datetime
    tries: int
    lead_is_there: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now: ask by each of `means` until one tells; else presume, where that is due, or wait."""

    means: tuple[Means, ...]
    presume: Presumption | None
    wait_s: float


def next_step(doubt: Doubt, endpoint: Endpoint, pace: Pace, now: datetime) -> Step:
    """What to do about an attempt. At the date of its presumption the buyer is asked once more before it holds."""
    means = means_of(endpoint, lead_is_there=doubt.lead_is_there)
    until_s = _until_presumption_s(doubt, endpoint, now)
    is_due = until_s is not None and until_s <= 0
    is_tired = doubt.tries > pace.tries_max
    presume = endpoint.unknown.presume if is_due and endpoint.unknown is not None else None
    wait_s = LOOK_AGAIN_S if is_tired or not means else pace.pause_s(doubt.tries)
    if until_s is not None and not is_due:
        wait_s = min(wait_s, until_s)
    return Step(means if is_due or not is_tired else (), presume, wait_s)


def means_of(endpoint: Endpoint, *, lead_is_there: bool) -> tuple[Means, ...]:
    """How a buyer can be asked: an attempt is only sent again where he has said that it does no harm."""
    found = [Means.RESEND] if endpoint.idempotent_post and lead_is_there else []
    return (*found, Means.STATUS) if endpoint.status_url is not None else tuple(found)


def proof(
    means: Means, said: Delivery, doubt: Doubt, endpoint: Endpoint, now: datetime
) -> Accepted | Rejected | NotSent | None:
    """What an answer proves about the attempt, or None where it proves nothing.

    `NotSent` from a status query is the buyer's word that he knows no such attempt.
    """
    match said:
        case Accepted():
            return said
        case Rejected():
            # He may call it a duplicate of its own first delivery, which he took.
            is_echo = means is Means.RESEND and said.reason is Reason.DUPLICATE_AT_BUYER
            return None if is_echo else said
        case NotSent():
            return said if means is Means.STATUS and _is_off_the_road(doubt, endpoint, now) else None
        case Unknown():
            return None
    assert_never(said)


def _is_off_the_road(doubt: Doubt, endpoint: Endpoint, now: datetime) -> bool:
    """Whether no delivery of an attempt can still be on its way: one that is sent again always may."""
    on_the_road = timedelta(milliseconds=endpoint.post_timeout_ms, seconds=UNDER_WAY_S)
    return not endpoint.idempotent_post and now >= doubt.made_at + on_the_road


def _until_presumption_s(doubt: Doubt, endpoint: Endpoint, now: datetime) -> float | None:
    if endpoint.unknown is None:
        return None
    return (doubt.made_at + timedelta(days=endpoint.unknown.after_days) - now).total_seconds()
