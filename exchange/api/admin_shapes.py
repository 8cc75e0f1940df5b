"""What the admin API takes and answers, for its checks and its documentation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ADMIN_CODES: Mapping[int, frozenset[str]] = MappingProxyType(
    {
        403: frozenset({"forbidden"}),
        404: frozenset({"not_found", "unknown_ping", "unknown_version"}),
        412: frozenset({"precondition_failed"}),
        422: frozenset({"invalid_market", "invalid_request"}),
    }
)
"""The problem codes of the admin API, beside those that any request can have."""

NOTE_LENGTH_MAX = 500


class Rollback(BaseModel):
    """What to go back to, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: int = Field(ge=1, le=2**63 - 1)
    note: str = Field(default="", max_length=NOTE_LENGTH_MAX)


class VersionInfo(BaseModel):
    """A market version. The counts are those of `apply`'s plan, null where nobody counted."""

    version: int
    applied_at: str
    made_by: str
    note: str
    added: int | None = None
    changed: int | None = None
    removed: int | None = None


class VersionList(BaseModel):
    """Versions, newest first."""

    versions: list[VersionInfo]


class VersionWhole(VersionInfo):
    """A version with its market, secrets covered."""

    market: dict[str, Any]


class ChangeInfo(BaseModel):
    """One difference between two markets."""

    kind: Literal["added", "changed", "removed"]
    path: str
    before: str | None
    after: str | None


class WarningInfo(BaseModel):
    """Something that is right, and probably not meant."""

    path: str
    message: str


class Plan(BaseModel):
    """What a change does, or would do. `version` is in force after it, `base` was before it (0: none)."""

    version: int
    base: int
    applied: bool
    changes: list[ChangeInfo]
    changes_left_out: int
    warnings: list[WarningInfo]
    warnings_left_out: int


class Told(BaseModel):
    """A part of an explanation; what it does not name must not be lost on the way out."""

    model_config = ConfigDict(extra="forbid")


class ReasonInfo(Told):
    """A reason code."""

    code: int
    name: str
    text: str


class FailedInfo(Told):
    """A condition of an order's filter, and the value that failed it."""

    field: str
    path: str
    wants: str
    value: Any


class BidInfo(Told):
    """One bid of an order; `max_shares` is of a shared one."""

    sale: str
    bid: str
    bid_id: str | None
    max_shares: int | None
    reason: ReasonInfo


class OrderInfo(Told):
    """What became of one order of the campaign."""

    order: str
    buyer: str
    reason: ReasonInfo
    detail: str
    bid: str | None
    bid_id: str | None
    elapsed_ms: float | None
    bids: list[BidInfo]
    rank: int | None
    rung: int | None
    priority: int | None
    failed: list[FailedInfo]


class RungInfo(Told):
    """A step of the ladder."""

    order: str
    buyer: str
    gross: str


class LegInfo(Told):
    """What a leg of a shared offer was promised."""

    leg: int
    price: str


class SumsInfo(Told):
    """What both ways of selling would have brought; null for nobody."""

    exclusive: str | None
    shared: str | None


class MethodInfo(Told):
    """A method of the campaign, with what it went by: by order, in millionths of a lead or of all attempts."""

    method: str
    measured: dict[str, int]


class EventInfo(Told):
    """Something that changed an attempt later."""

    at: str
    what: str
    note: str


class AttemptInfo(Told):
    """One delivery; gross = payout + margin."""

    attempt_id: str
    leg: int | None
    order: str
    buyer: str
    state: str
    reason: ReasonInfo | None
    detail: str
    gross: str
    payout: str
    margin: str
    made_at: str
    resolved_at: str | None
    events: list[EventInfo]


class ReturnedInfo(Told):
    """That a sale was returned."""

    at: str
    price: str


class PostInfo(Told):
    """The post of a ping."""

    post_id: str
    status: str
    reason: ReasonInfo | None
    posted_at: str
    finished_at: str | None
    returned: ReturnedInfo | None
    attempts: list[AttemptInfo]


class DifferenceInfo(Told):
    """What came out otherwise when the auction was run again."""

    what: str
    recorded: str
    again: str


class ReplayInfo(Told):
    """The auction run again."""

    same: bool
    winners: list[str]
    payout: str | None
    differences: list[DifferenceInfo]


class ExplanationInfo(Told):
    """Why a ping went as it did: every order of its campaign once, with one reason; gross = payout + margin."""

    ping_id: str
    pinged_at: str
    campaign: str
    seller: str
    source: str | None
    ref: str | None
    test: bool
    market_version: int
    market_applied_at: str | None
    status: str
    reason: ReasonInfo | None
    currency: str
    min_price: str | None
    gross: str | None
    payout: str | None
    margin: str | None
    expires_at: str | None
    phases_ms: dict[str, float]
    lead: dict[str, Any]
    orders: list[OrderInfo]
    methods: list[MethodInfo]
    ladder: list[RungInfo]
    legs: list[LegInfo]
    sums: SumsInfo | None
    post: PostInfo | None
    replay: ReplayInfo | None
    notes: list[str]
