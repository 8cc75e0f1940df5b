"""A post under way: what was asked for, what is promised, and who may have the lead in what order."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from exchange.rules.book import CampaignBook, OrderEntry
from exchange.storage.idempotency import RequestKey
from exchange.storage.pings import RecordedPing
from exchange.storage.posts import NewPost, Plan, Prepared, Render
from exchange.storage.queue import Waiting
from exchange.values.deadline import Deadline
from exchange.values.market import Seller
from exchange.values.vertical import Lead


@dataclass(frozen=True, slots=True)
class PostRequest:
    """A post that passed the door: the offer of `ping`, and the full lead that belongs to it."""

    seller: Seller
    book: CampaignBook
    market_version: int
    ping: RecordedPing
    lead: Lead
    changed: tuple[str, ...]
    deadline: Deadline
    key: RequestKey | None = None
    waited: Waiting | None = None
    """The place in the queue of a lead that waited."""


@dataclass(frozen=True, slots=True)
class PostTimes:
    """`attempt_min_ms` must remain for a further attempt; `finish_ms` is kept back for recording the answer.

    `storage_s` is how long may be waited for Postgres.
    """

    attempt_min_ms: int
    finish_ms: int
    storage_s: float


@dataclass(frozen=True, slots=True)
class Sale:
    """One post under way. `started_s` is a moment before its claim: leases run from there at the earliest."""

    request: PostRequest
    post: NewPost
    ladder: tuple[Plan, ...]
    entries: dict[str, OrderEntry]
    render: Render
    started_s: float

    def own(self, plan: Plan) -> Plan:
        """The plan as it was made here: one that was read back from an attempt does not know how long its lease is."""
        found = next((found for found in self.ladder if found.attempt_id == plan.attempt_id), plan)
        return found if found.leg == plan.leg else replace(found, leg=plan.leg)

    @property
    def reserve(self) -> tuple[Plan, ...]:
        """Of a shared post: who comes after the winners of its legs."""
        return tuple(plan for plan in self.ladder if not plan.leg)

    def told_by(self, prepared: Prepared) -> datetime:
        """When the seller will have been told, on the database's clock: it has just said what time it is there."""
        return (prepared.at or datetime.now(UTC)) + timedelta(seconds=self.request.deadline.remaining_s())
