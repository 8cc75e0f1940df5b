"""Posts and their attempts as storage sees them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from exchange.storage.idempotency import RequestKey
from exchange.storage.vault import Sealed
from exchange.values.reason import Reason


class PostState(StrEnum):
    IN_PROGRESS = "in_progress"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class NewPost:
    """A post about to be claimed."""

    post_id: UUID
    ping_id: UUID
    seller: str
    campaign: str
    market_version: int
    test: bool
    currency: str
    payout_micros: int
    fingerprint: bytes
    sealed: Sealed
    key: RequestKey | None


@dataclass(frozen=True, slots=True)
class Plan:
    """An attempt that could be made: one rung of the ladder that is still open. `lease_s` bounds its uncertainty."""

    attempt_id: UUID
    ordinal: int
    order: str
    buyer: str
    gross_micros: int
    bid_id: str | None
    lease_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """How a post ended, for the answer: `redirect_url` is the buyer's, where he gave one."""

    state: PostState
    reason: Reason
    redirect_url: str | None = None


PENDING = Result(PostState.PENDING, Reason.UNKNOWN)

Render = Callable[[Result], bytes]
"""Makes the seller's answer; it is stored in the transaction that makes it true."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An attempt that is written down and held: it may be sent."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Ended:
    """A post that is finished, with the answer that was stored for it."""

    result: Result
    answer: bytes


@dataclass(frozen=True, slots=True)
class PostedBefore:
    """The ping has a post already; `answer` is None while that one is still running."""

    post_id: UUID
    fingerprint: bytes
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class RecordedPost:
    """A post as it lies in Postgres."""

    post_id: UUID
    ping_id: UUID
    seller: str
    state: PostState
    reason: Reason | None
    currency: str
    payout_micros: int
    redirect_url: str | None
    created_at: datetime
    finished_at: datetime | None
