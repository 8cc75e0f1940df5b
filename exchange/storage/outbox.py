"""The outbox: what is to be sent besides the sale itself, taken by one worker at a time, until it is done or dead."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from exchange.storage.database import Connection, Database

ERASED = "the lead was erased"
LOOKED_AT_MAX = 1_000
FORGOTTEN_AT_ONCE_MAX = 10_000
BATCH_ROWS_MAX = 5_000
"""Leads in one file."""

_COLUMNS = (
    "o.outbox_id, o.scope, o.subject, o.event, o.name, o.kind, o.post_id, o.attempt_id, o.facts, o.test, o.tries, "
    "o.epoch, o.every_s, o.batch_id, o.created_at"
)
_TAKE = f"""
with due as (
    select outbox_id, every_s, row_number() over (partition by scope, subject, name order by due_at) as number
    from (
        select * from outbox where state = 'waiting' and due_at <= now()
            and scope || ':' || subject || ':' || name <> all ($3) order by due_at limit {LOOKED_AT_MAX}
    ) first
), mine as (
    select outbox_id from outbox
    where outbox_id in (select outbox_id from due where number <= case when every_s is null then $4 else 1 end)
        and state = 'waiting' and due_at <= now()
    order by due_at limit $1 for update skip locked
)
update outbox o set epoch = o.epoch + 1, tries = o.tries + 1, due_at = now() + make_interval(secs => $2)
from mine where o.outbox_id = mine.outbox_id returning {_COLUMNS}"""  # noqa: S608  # constants
_GATHER = f"""
with mine as (
    select outbox_id from outbox
    where state = 'waiting' and (due_at <= now() or outbox_id = $1) and batch_id is not distinct from $2
        and (scope, subject, name) = ($3, $4, $5) order by outbox_id limit {BATCH_ROWS_MAX} for update skip locked
)
update outbox o set epoch = o.epoch + case when o.outbox_id = $1 then 0 else 1 end,
    tries = o.tries + case when o.outbox_id = $1 then 0 else 1 end, batch_id = coalesce(o.batch_id, $1),
    due_at = now() + make_interval(secs => $6)
from mine where o.outbox_id = mine.outbox_id returning {_COLUMNS}"""  # noqa: S608  # constants


@dataclass(frozen=True, slots=True)
class Item:
    """A row that is ours until its lease runs out: `epoch` says so. `tries` counts this one.

    `every_s` is there where it goes into one file with others; `batch_id` is what that file is called.
    """

    outbox_id: UUID
    scope: str
    subject: str
    event: str
    name: str
    kind: str
    post_id: UUID | None
    attempt_id: UUID | None
    facts: dict[str, Any]
    test: bool
    tries: int
    epoch: int
    every_s: int | None
    batch_id: UUID | None
    created_at: datetime

    @property
    def target(self) -> str:
        """Where it goes, by the market's keys: `order:northwind-il:crm`."""
        return f"{self.scope}:{self.subject}:{self.name}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A row as an operator sees it."""

    outbox_id: UUID
    state: str
    scope: str
    subject: str
    event: str
    name: str
    kind: str
    post_id: UUID | None
    attempt_id: UUID | None
    test: bool
    tries: int
    detail: str
    due_at: datetime
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many rows of a kind are in a state, and how long ago the oldest of them was to be sent."""

    kind: str
    state: str
    count: int
    oldest_s: float


async def take(database: Database, *, limit: int, each_max: int, busy: Collection[str], lease_s: float) -> list[Item]:
    """Takes rows that are due, longest due first, under a new epoch each.

    Workers wait for the disk when they commit: what was taken is durable, and with it the sale that caused it.

    Not more than `each_max` for one target, none for those that are `busy`, and of those that go into one file one.
    """
    rows = await database.run(lambda connection: connection.fetch(_TAKE, limit, lease_s, list(busy), each_max))
    return [_item(row) for row in rows]


async def gather(database: Database, item: Item, lease_s: float) -> list[Item]:
    """The rows that go into one file with a row that was taken; from now on that file is theirs, whoever sends it."""
    rows = await database.run(
        lambda connection: connection.fetch(
            _GATHER, item.outbox_id, item.batch_id, item.scope, item.subject, item.name, lease_s
        )
    )
    return sorted((_item(row) for row in rows), key=lambda found: found.outbox_id.int)


_OURS = (
    "from unnest($1::uuid[], $2::integer[]) as mine (outbox_id, epoch) "
    "where (o.outbox_id, o.epoch) = (mine.outbox_id, mine.epoch) and o.state = 'waiting'"
)
_FINISH = f"update outbox o set state = $3, detail = $4, finished_at = now() {_OURS}"  # noqa: S608  # a constant
_PUT_BACK = f"update outbox o set due_at = now() + make_interval(secs => $3), detail = $4 {_OURS}"  # noqa: S608  # too

_POSTPONE = f"""
update outbox o set due_at = now() + make_interval(secs => $3), wanted_at = now() + make_interval(secs => $3),
    tries = greatest(o.tries - 1, 0), detail = $4 {_OURS}"""  # noqa: S608  # a constant, too


async def done(database: Database, items: Sequence[Item], detail: str) -> int:
    """Marks rows as sent; how many of them were still ours."""
    return await _finish(database, items, "done", detail)


async def bury(database: Database, items: Sequence[Item], detail: str) -> int:
    """Gives rows up; an operator can have them sent again. How many of them were still ours."""
    return await _finish(database, items, "dead", detail)


async def _finish(database: Database, items: Sequence[Item], state: str, detail: str) -> int:
    return await _change(database, _FINISH, items, state, detail)


async def skip(database: Database, items: Sequence[Item], detail: str) -> int:
    """Marks rows as not to be sent; how many of them were still ours."""
    return await _finish(database, items, "skipped", detail)


async def postpone(database: Database, items: Sequence[Item], detail: str, wait_s: float) -> int:
    """Lets rows be taken later, as if they had not been now; how many of them were still ours."""
    return await _change(database, _POSTPONE, items, wait_s, detail)


async def put_back(database: Database, items: Sequence[Item], detail: str, wait_s: float) -> int:
    """Lets rows be taken again after a while; how many of them were still ours."""
    return await _change(database, _PUT_BACK, items, wait_s, detail)


async def _change(database: Database, query: str, items: Sequence[Item], *values: object) -> int:
    """Changes those of the rows that wait and are still ours; how many these were."""
    ids, epochs = [item.outbox_id for item in items], [item.epoch for item in items]
    done: str = await database.run(lambda connection: connection.execute(query, ids, epochs, *values))
    return int(done.rpartition(" ")[2])


@dataclass(frozen=True, slots=True)
class Other:
    """Another delivery of the same sale; `wait_s` is until it is due."""

    state: str
    wait_s: float


async def other(database: Database, item: Item, name: str) -> Other | None:
    """What became of another delivery of a sale; None where it has none of that name, or none any more."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select state, greatest(extract(epoch from due_at - now()), 0)::float8 as wait_s from outbox "
            "where (post_id, attempt_id, scope, name) = ($1, $2, $3, $4)",
            item.post_id,
            item.attempt_id,
            item.scope,
            name,
        )
    )
    return Other(rows[0]["state"], rows[0]["wait_s"]) if rows else None


async def bury_erased(connection: Connection, post_id: UUID) -> None:
    """Gives up what would send a lead that is gone, also where a worker has it just now."""
    await connection.execute(
        "update outbox set state = 'dead', detail = $2, finished_at = now(), epoch = epoch + 1 "
        "where post_id = $1 and state = 'waiting' and scope = 'order'",
        post_id,
        ERASED,
    )


async def revive(database: Database, identifiers: Sequence[UUID] | None) -> int:
    """Has dead rows sent again, all of them without `identifiers`; how many."""
    done: str = await database.run(
        lambda connection: connection.execute(
            "update outbox set state = 'waiting', tries = 0, epoch = epoch + 1, due_at = now(), finished_at = null "
            "where state = 'dead' and ($1::uuid[] is null or outbox_id = any ($1))",
            identifiers,
        )
    )
    return int(done.rpartition(" ")[2])


async def listed(database: Database, states: Sequence[str], limit: int) -> list[Listed]:
    """Rows in these states, newest first."""
    return await _listed(database, "state = any ($1) order by outbox_id desc limit $2", states, limit)


async def find(database: Database, identifier: UUID) -> list[Listed]:
    """The row of that id, or those of a post or an attempt of that id, oldest first."""
    return await _listed(
        database, "outbox_id = $1 or post_id = $1 or attempt_id = $1 order by created_at, outbox_id", identifier
    )


async def _listed(database: Database, rest: str, *arguments: object) -> list[Listed]:
    columns = (
        "outbox_id, state, scope, subject, event, name, kind, post_id, attempt_id, test, tries, detail, due_at, "
        "created_at, finished_at"
    )
    query = f"select {columns} from outbox where {rest}"  # noqa: S608  # constants
    rows = await database.run(lambda connection: connection.fetch(query, *arguments))
    return [Listed(*row.values()) for row in rows]


async def depths(database: Database) -> list[Depth]:
    """What waits and what is dead, by kind."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select kind, state, count(*) as count, "
            "greatest(coalesce(extract(epoch from now() - min(coalesce(wanted_at, created_at))), 0), 0)::float8 "
            "as oldest_s "
            "from outbox where state in ('waiting', 'dead') group by kind, state"
        )
    )
    return [Depth(*row.values()) for row in rows]


async def forget(database: Database, done_days: int, dead_days: int) -> int:
    """Forgets what was sent, or given up, long enough ago; returns how many."""
    done: str = await database.run(
        lambda connection: connection.execute(
            "delete from outbox where outbox_id in (select outbox_id from outbox where "
            "(state in ('done', 'skipped') and finished_at < now() - make_interval(days => $1)) "
            "or (state = 'dead' and finished_at < now() - make_interval(days => $2)) limit $3)",
            done_days,
            dead_days,
            FORGOTTEN_AT_ONCE_MAX,
        )
    )
    return int(done.rpartition(" ")[2])


def _item(row: asyncpg.Record) -> Item:
    found = dict(row)
    return Item(**found | {"facts": orjson.loads(row["facts"] or "{}")})
