"""Posts and their attempts as storage sees them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from exchange.rules.caps import AnyCap
from exchange.rules.legs import Leg
from exchange.rules.shares import Apart
from exchange.storage.idempotency import RequestKey
from exchange.storage.vault import Sealed
from exchange.values.market import Sale
from exchange.values.reason import Reason


class PostState(StrEnum):
    IN_PROGRESS = "in_progress"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class NewPost:
    """A post about to be claimed. `changed` names the ping fields that were sent again with another value."""

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
    people: tuple[bytes, ...] = ()
    duplicate_days: int | None = None
    caps: tuple[AnyCap, ...] = ()
    changed: tuple[str, ...] = ()
    legs: tuple[int, ...] = ()
    """What is promised for each leg of a shared sale, together `payout_micros`; an exclusive one has none."""
    apart: Apart = field(default_factory=dict)

    def of_leg(self, plan: "Plan") -> "NewPost":
        """The post as it is for one leg: what is paid for is what that one was promised."""
        return replace(self, payout_micros=self.legs[plan.leg - 1])


@dataclass(frozen=True, slots=True)
class Plan:
    """An attempt that could be made: one rung of the ladder that is still open. `lease_s` bounds its uncertainty.

    `leg` is that of a shared post, from 1; 0 of an exclusive one, and while a rung of the reserve belongs to none.

    `epoch` is whose attempt it is: who takes it over raises it, and nobody changes an attempt under an older one.
    """

    attempt_id: UUID
    ordinal: int
    order: str
    buyer: str
    gross_micros: int
    bid_id: str | None
    lease_s: float
    caps: tuple[AnyCap, ...] = ()
    duplicate_days: int | None = None
    epoch: int = 1
    leg: int = 0

    @property
    def sale(self) -> Sale:
        """How the buyer is sold the lead."""
        return Sale.SHARED if self.leg else Sale.EXCLUSIVE


@dataclass(frozen=True, slots=True)
class Result:
    """How a post ended, for the answer: `redirect_url` is the buyer's, where he gave one."""

    state: PostState
    reason: Reason
    redirect_url: str | None = None
    legs: tuple[Leg, ...] = ()


PENDING = Result(PostState.PENDING, Reason.UNKNOWN)

Render = Callable[[Result], bytes]
"""Makes the seller's answer; it is stored in the transaction that makes it true."""


Counted = Callable[[NewPost, Sequence[Plan]], None]
"""Is told of attempts that were held, released, or refused for what is full."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An attempt that is written down and held: it may be sent. `at` is when, on the database's clock, if just now."""

    plan: Plan
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PreparedLegs:
    """The attempts of a shared post that may be sent, one a leg; a leg that nobody can take has none."""

    legs: tuple[Prepared, ...]


@dataclass(frozen=True, slots=True)
class LegOver:
    """A leg has come to its end, and another one of the post is still under way."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A post that is finished, with the answer that was stored for it."""

    result: Result
    answer: bytes


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Nobody of an offer can take a lead that waited, for this reason: nothing was stored or sent."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class PostedBefore:
    """The ping has a post already; `answer` is None while that one is still running."""

    post_id: UUID
    fingerprint: bytes
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Returned:
    """That a sale was returned, and what was taken back from the seller."""

    at: datetime
    payout_micros: int


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
    returned: Returned | None
    legs: tuple[Leg, ...] = ()


POST_WIDTH, ATTEMPT_WIDTH = 12, 7


def post_row(post: NewPost) -> tuple[object, ...]:
    """The columns of the type `new_post`."""
    return (
        post.post_id,
        post.ping_id,
        post.seller,
        post.campaign,
        post.market_version,
        post.test,
        post.currency,
        post.payout_micros,
        post.fingerprint,
        post.sealed.lead,
        post.sealed.key,
        post.changed,
    )


def attempt_row(plan: Plan) -> tuple[object, ...]:
    """The columns of the type `new_attempt`."""
    return plan.attempt_id, plan.ordinal, plan.order, plan.buyer, plan.bid_id, plan.gross_micros, plan.lease_s


ATTEMPT = (
    "a.attempt_id, a.post_id, a.ping_id, a.ordinal, a.order_key, a.buyer, a.test, a.bid_id, a.currency, "
    "a.gross_micros, a.payout_micros, a.state, a.epoch, a.tries, a.created_at, p.seller, p.campaign, "
    "p.market_version, p.lead_fingerprint, p.lead_sealed, p.lead_key, p.changed_fields, "
    "case when a.exclusive then 0 else a.leg end as leg, p.legs"
)
"""The columns of an attempt `a` and its post `p` from which `post_of` and `plan_of` make what was planned."""


def post_of(row: asyncpg.Record) -> NewPost:
    """The post that a recorded attempt belongs to. Without a key its lead is gone."""
    return NewPost(
        post_id=row["post_id"],
        ping_id=row["ping_id"],
        seller=row["seller"],
        campaign=row["campaign"],
        market_version=row["market_version"],
        test=row["test"],
        currency=row["currency"],
        payout_micros=row["payout_micros"],
        fingerprint=row["lead_fingerprint"],
        sealed=Sealed(row["lead_sealed"] or b"", row["lead_key"] or b""),
        key=None,
        changed=tuple(row["changed_fields"]),
        legs=tuple(row["legs"] or ()),
    )


def plan_of(row: asyncpg.Record) -> Plan:
    """The plan that a recorded attempt was made from, under its present epoch; its lease is not asked for again."""
    return Plan(
        attempt_id=row["attempt_id"],
        ordinal=row["ordinal"],
        order=row["order_key"],
        buyer=row["buyer"],
        gross_micros=row["gross_micros"],
        bid_id=row["bid_id"],
        lease_s=0,
        epoch=row["epoch"],
        leg=row["leg"],
    )
