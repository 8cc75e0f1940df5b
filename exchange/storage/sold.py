"""A sale as those who are sent it later need it: its post, its attempt, and what the buyer said."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from exchange.storage.database import Database
from exchange.storage.posts import ATTEMPT, NewPost, Plan, plan_of, post_of
from exchange.values.ids import day_of


@dataclass(frozen=True, slots=True)
class Sold:
    """An attempt that was accepted. The post's lead is sealed, and without a key it is gone."""

    post: NewPost
    plan: Plan
    reference: str | None
    sold_at: datetime
    is_presumed: bool = False


@dataclass(frozen=True, slots=True)
class OwnNames:
    """How a seller calls a lead himself."""

    ref: str | None = None
    source: str | None = None


async def find(database: Database, attempt_id: UUID) -> Sold | None:
    """A sale by its attempt; None where that is none any more, and its lead is to go nowhere."""
    rows = await database.run(
        lambda connection: connection.fetch(
            f"select {ATTEMPT}, a.reference, a.resolved_at from attempts a join posts p using (post_id) "  # noqa: S608  # a constant
            "where a.attempt_id = $1 and a.state in ('accepted', 'presumed_accepted')",
            attempt_id,
        )
    )
    if not rows:
        return None
    row = rows[0]
    is_presumed = row["state"] == "presumed_accepted"
    return Sold(post_of(row), plan_of(row), row["reference"], row["resolved_at"], is_presumed)


async def own_names(database: Database, ping_id: UUID) -> OwnNames:
    """What a seller called a ping, as long as it is kept."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select ref, source from pings where (day, ping_id) = ($1, $2)", day_of(ping_id), ping_id
        )
    )
    return OwnNames(rows[0]["ref"], rows[0]["source"]) if rows else OwnNames()
