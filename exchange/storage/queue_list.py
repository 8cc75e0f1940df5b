"""What sellers and operators see of leads that wait for a buyer, or did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from exchange.storage import queue
from exchange.storage.database import Database
from exchange.values.reason import Reason

_COLUMNS = (
    "post_id, ping_id, seller, campaign, state, reason, detail, test, runs, due_at, ends_at, created_at, finished_at"
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A lead as it lies in the queue. `ping_id` is the last that was run for it; `state`: waiting, posted or ended."""

    post_id: UUID
    ping_id: UUID
    seller: str
    campaign: str
    state: str
    reason: Reason
    detail: str
    test: bool
    runs: int
    due_at: datetime
    ends_at: datetime
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_posted(self) -> bool:
        """Whether it has become a post."""
        return self.state == "posted"

    @property
    def is_over(self) -> bool:
        """Whether it was not sold, and waits no more."""
        return self.state == "ended"


@dataclass(frozen=True, slots=True)
class PastRun:
    """A ping that was run for a lead, and why it did not sell; the first is that of its arrival, number 0."""

    run: int
    ping_id: UUID
    reason: Reason
    ran_at: datetime


@dataclass(frozen=True, slots=True)
class Depth:
    """How many leads of a campaign wait, for how long the oldest has, and how late the most overdue run is."""

    campaign: str
    count: int
    oldest_s: float
    overdue_s: float


async def find(database: Database, identifier: UUID) -> Listed | None:
    """A lead by its own id, or that of any ping that was run for it; None where there is none."""
    found = await _read(
        database,
        "post_id = $1 or post_id in (select post_id from queue_runs where ping_id = $1) or (ping_id = $1) limit 1",
        identifier,
    )
    return found[0] if found else None


async def of_post(database: Database, post_id: UUID) -> Listed | None:
    """A lead by its own id, as its seller asks for it."""
    found = await _read(database, "post_id = $1", post_id)
    return found[0] if found else None


async def listed(database: Database, states: Sequence[str], campaign: str | None, limit: int) -> list[Listed]:
    """Leads in these states, newest first, of one campaign or (None) of all."""
    rest = "state = any ($1) and ($2::text is null or campaign = $2) order by created_at desc, post_id desc limit $3"
    return await _read(database, rest, states, campaign, limit)


async def runs_of(database: Database, post_id: UUID) -> list[PastRun]:
    """The pings that were run for a lead and did not sell it, oldest first."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select run, ping_id, reason, ran_at from queue_runs where post_id = $1 order by run", post_id
        )
    )
    return [PastRun(row["run"], row["ping_id"], Reason(row["reason"]), row["ran_at"]) for row in rows]


async def drop(database: Database, identifiers: Sequence[UUID], note: str) -> list[UUID]:
    """Ends the wait of leads by an operator's word; which of them waited."""
    return await database.transact(lambda connection: queue.end_anyhow(connection, identifiers, note, erased=False))


async def depths(database: Database) -> list[Depth]:
    """What waits, by campaign."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select campaign, count(*) as count, "
            "greatest(extract(epoch from now() - min(created_at)), 0)::float8 as oldest_s, "
            "greatest(extract(epoch from now() - min(greatest(due_at, lease_until))), 0)::float8 as overdue_s "
            "from queued_leads where state = 'waiting' group by campaign"
        )
    )
    return [Depth(*row.values()) for row in rows]


async def _read(database: Database, rest: str, *arguments: object) -> list[Listed]:
    query = f"select {_COLUMNS} from queued_leads where {rest}"  # noqa: S608  # constants
    rows = await database.run(lambda connection: connection.fetch(query, *arguments))
    return [Listed(**dict(row) | {"reason": Reason(row["reason"])}) for row in rows]
