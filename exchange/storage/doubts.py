"""Unknown attempts: each is taken by one worker at a time, put back with a date, and listed for operators."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from exchange.rules.doubt import Doubt
from exchange.storage.database import Database
from exchange.storage.posts import ATTEMPT, NewPost, Plan, plan_of, post_of

_TAKE = f"""
with due as (
    select attempt_id from attempts where state = 'unknown' and lease_until < now()
    order by lease_until limit $1 for update skip locked
)
update attempts a set epoch = a.epoch + 1, tries = a.tries + 1, lease_until = now() + make_interval(secs => $2)
from due, posts p where a.attempt_id = due.attempt_id and p.post_id = a.post_id
returning {ATTEMPT}, now() as taken_at"""  # noqa: S608  # a constant


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An unknown attempt that is ours until its lease runs out: its plan has the epoch that says so."""

    post: NewPost
    plan: Plan
    doubt: Doubt
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """An unknown attempt as an operator sees it. `tries` is how often the buyer was asked about it."""

    attempt_id: UUID
    post_id: UUID
    buyer: str
    order: str
    gross_micros: int
    currency: str
    tries: int
    detail: str
    test: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many attempts are unknown, and for how long the oldest has been."""

    count: int
    oldest_s: float


async def take(database: Database, *, limit: int, lease_s: float) -> list[OpenAttempt]:
    """Takes unknown attempts that are due, longest due first, under a new epoch each."""
    rows = await database.run(lambda connection: connection.fetch(_TAKE, limit, lease_s))
    return [
        OpenAttempt(
            post_of(row),
            plan_of(row),
            Doubt(made_at=row["created_at"], tries=row["tries"], lead_is_there=row["lead_key"] is not None),
            row["taken_at"],
        )
        for row in rows
    ]


async def put_back(database: Database, plan: Plan, wait_s: float, *, was_asked: bool) -> bool:
    """Lets an attempt be taken again after a while; False where another has it already."""
    done: str = await database.run(
        lambda connection: connection.execute(
            "update attempts set lease_until = now() + make_interval(secs => $3), tries = tries - $4 "
            "where attempt_id = $1 and epoch = $2 and state = 'unknown'",
            plan.attempt_id,
            plan.epoch,
            wait_s,
            int(not was_asked),
        )
    )
    return done == "UPDATE 1"


async def unknown(database: Database, limit: int) -> list[Listed]:
    """All unknown attempts, oldest first."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select attempt_id, post_id, buyer, order_key, gross_micros, currency, tries, detail, test, created_at "
            "from attempts where state = 'unknown' order by created_at limit $1",
            limit,
        )
    )
    return [Listed(*row.values()) for row in rows]


async def operator_verdicts(database: Database) -> dict[str, int]:
    """How often operators have settled an attempt, by what it is since."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select state_after, count(*) as count from resolutions where how = 'operator' group by state_after"
        )
    )
    return {row["state_after"]: row["count"] for row in rows}


async def backlog(database: Database) -> Backlog:
    """What is still unknown, tests included."""
    [row] = await database.run(
        lambda connection: connection.fetch(
            "select count(*) as count, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest_s "
            "from attempts where state = 'unknown'"
        )
    )
    return Backlog(row["count"], row["oldest_s"])
