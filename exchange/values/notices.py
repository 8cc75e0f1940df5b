"""Notices of bids, as configured: what a buyer wants to be told, and what a campaign lets him know."""

from dataclasses import dataclass
from enum import StrEnum

NOTICES_NAME = "notices"
"""What a buyer's notices are called in the outbox."""

NOTICES_KIND = "buyer_notice"


class BidEvent(StrEnum):
    """What a buyer can be told of."""

    WON = "bid.won"
    LOST = "bid.lost"


@dataclass(frozen=True, slots=True)
class Notices:
    """Where a buyer is told what became of his bids, and with which secrets that is signed.

    Secrets are as written in the market file: `${env:NAME}` references or literals.
    """

    url: str
    secrets: tuple[str, ...]
    events: frozenset[BidEvent]


@dataclass(frozen=True, slots=True)
class NoticeTerms:
    """What a campaign tells whose bid lost: `delay_min` minutes after the ping at the earliest.

    `step_micros` is what a clearing price is rounded up to whole multiples of; None: it is not told.
    """

    delay_min: int
    has_rank: bool = False
    step_micros: int | None = None
