"""Leads that wait for a buyer: each is run by one worker at a time, put back with a date, or comes to an end.

A worker that is lost leaves its leads as they are: the leases run out, and the epoch voids whatever he would still do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from exchange.storage.database import Connection, Database
from exchange.storage.idempotency import RequestKey
from exchange.storage.vault import Sealed
from exchange.values.reason import Reason

ERASED = "the lead was erased"
ENDED_AT_ONCE_MAX = 1_000
FORGOTTEN_AT_ONCE_MAX = 10_000
WOKEN_OVER_S = 5.0
"""Over how long the runs are spread that a new market causes."""

_ADD = "select queue_lead($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
_TAKE = """
with due as (
    select post_id from queued_leads
    where state = 'waiting' and due_at <= now() and lease_until <= now() and ends_at > now()
    order by due_at limit $1 for update skip locked
)
update queued_leads q set epoch = q.epoch + 1, lease_until = now() + make_interval(secs => $2)
from due where q.post_id = due.post_id returning q.*"""
_END = (
    "update queued_leads set state = 'ended', reason = $3, detail = $4, finished_at = now(), epoch = epoch + 1, "
    "lead_sealed = null, lead_key = null where post_id = $1 and epoch = $2 and state = 'waiting'"
)


@dataclass(frozen=True, slots=True)
class NewWait:
    """A lead that is to wait. `reason` is that of its first ping, `answer` what its seller is told."""

    post_id: UUID
    ping_id: UUID
    seller: str
    campaign: str
    currency: str
    test: bool
    source: str | None
    ref: str | None
    min_price_micros: int | None
    sealed: Sealed
    answer: bytes
    reason: Reason
    market_version: int
    due_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lead that is ours until its lease runs out: `epoch` says so. `runs` are those that it has had in the queue."""

    post_id: UUID
    seller: str
    campaign: str
    test: bool
    source: str | None
    ref: str | None
    min_price_micros: int | None
    sealed: Sealed
    answer: bytes
    reason: Reason
    runs: int
    epoch: int
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to that did not sell: its ping, the reason, and the market that it was run under."""

    ping_id: UUID
    reason: Reason
    market_version: int


async def add(
    database: Database, wait: NewWait, leads_max: int, key: RequestKey | None, *, timeout_s: float | None = None
) -> bool:
    """Lets a lead wait, and keeps its answer under its key; False where as many of its campaign wait as may.

    May be repeated after a commit that was not confirmed.
    """

    async def work(connection: Connection) -> bool:
        added: bool = await connection.fetchval(_ADD, *_columns(wait), leads_max)
        if added and key is not None:
            await connection.execute(
                "update idempotency_keys set answer = $4, post_id = $5 where (seller, path, key) = ($1, $2, $3)",
                key.seller,
                key.path,
                key.key,
                wait.answer,
                wait.post_id,
            )
        return added

    return await database.transact(work, timeout_s=timeout_s)


def _columns(wait: NewWait) -> tuple[object, ...]:
    """What `queue_lead` is given of a lead."""
    return (
        wait.post_id,
        wait.ping_id,
        wait.seller,
        wait.campaign,
        wait.currency,
        wait.test,
        wait.source,
        wait.ref,
        wait.min_price_micros,
        wait.sealed.lead,
        wait.sealed.key,
        wait.answer,
        int(wait.reason),
        wait.market_version,
        wait.due_at,
        wait.ends_at,
    )


async def is_empty(database: Database) -> bool:
    """Whether no lead waits."""
    query = "select not exists (select from queued_leads where state = 'waiting')"
    found: bool = await database.run(lambda connection: connection.fetchval(query))
    return found


async def take(database: Database, *, limit: int, lease_s: float) -> list[Waiting]:
    """Takes leads that are due and whose time is not over, longest due first, under a new epoch each."""
    rows = await database.run(lambda connection: connection.fetch(_TAKE, limit, lease_s))
    return [_waiting(row) for row in rows]


async def wake(database: Database, market_version: int) -> int:
    """Lets those run soon that were last run under an earlier market; how many."""
    done: str = await database.run(
        lambda connection: connection.execute(
            "update queued_leads set due_at = now() + random() * make_interval(secs => $2) "
            "where state = 'waiting' and market_version < $1 and due_at > now() + make_interval(secs => $2)",
            market_version,
            WOKEN_OVER_S,
        )
    )
    return int(done.rpartition(" ")[2])


async def put_back(database: Database, item: Waiting, run: Run, due_at: datetime) -> bool:
    """Lets a lead wait on after a run; False where it is not ours any more."""

    async def work(connection: Connection) -> bool:
        done: str = await connection.execute(
            "update queued_leads set reason = $3, market_version = $4, due_at = least($5, ends_at), "
            "lease_until = now() where post_id = $1 and epoch = $2 and state = 'waiting'",
            item.post_id,
            item.epoch,
            int(run.reason),
            run.market_version,
            due_at,
        )
        return done == "UPDATE 1" and await _note(connection, item, run)

    return await database.transact(work)


async def end(database: Database, item: Waiting, reason: Reason, detail: str, run: Run | None = None) -> bool:
    """Ends the wait of a lead that was not sold, and forgets the lead; False where it is not ours any more."""

    async def work(connection: Connection) -> bool:
        done: str = await connection.execute(_END, item.post_id, item.epoch, int(reason), detail)
        return done == "UPDATE 1" and (run is None or await _note(connection, item, run))

    return await database.transact(work)


async def _note(connection: Connection, item: Waiting, run: Run) -> bool:
    await connection.execute(
        "update queued_leads set runs = $2, ping_id = $3 where post_id = $1", item.post_id, item.runs + 1, run.ping_id
    )
    await connection.execute(
        "insert into queue_runs (post_id, run, ping_id, reason) values ($1, $2, $3, $4)",
        item.post_id,
        item.runs + 1,
        run.ping_id,
        int(run.reason),
    )
    return True


async def end_overdue(database: Database) -> list[tuple[str, Reason]]:
    """Ends the wait of leads whose time is over, with their last reason; the campaign and the reason of each."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "with over as (select post_id from queued_leads where state = 'waiting' and ends_at <= now() "
            "and lease_until <= now() order by ends_at limit $1 for update skip locked) "
            "update queued_leads q set state = 'ended', detail = 'the time is over', finished_at = now(), "
            "epoch = q.epoch + 1, lead_sealed = null, lead_key = null "
            "from over where q.post_id = over.post_id returning q.campaign, q.reason",
            ENDED_AT_ONCE_MAX,
        )
    )
    return [(row["campaign"], Reason(row["reason"])) for row in rows]


async def leave(connection: Connection, post_id: UUID, epoch: int, ping_id: UUID) -> bool:
    """Lets a lead become a post, in the transaction that makes that; False where it is not ours any more.

    The lead is sealed in its post from now on. May be repeated after a commit that was not confirmed.
    """
    done: str = await connection.execute(
        "update queued_leads set state = 'posted', ping_id = $3, finished_at = coalesce(finished_at, now()), "
        "lead_sealed = null, lead_key = null where post_id = $1 and epoch = $2 and state in ('waiting', 'posted')",
        post_id,
        epoch,
        ping_id,
    )
    return done == "UPDATE 1"


async def end_anyhow(connection: Connection, identifiers: Sequence[UUID], detail: str, *, erased: bool) -> list[UUID]:
    """Ends the wait of leads, named by their own ids or their last pings', whoever has them; those that waited."""
    rows = await connection.fetch(
        "update queued_leads set state = 'ended', reason = $2, detail = $3, finished_at = now(), epoch = epoch + 1, "
        "lead_sealed = null, lead_key = null, erased_at = case when $4 then now() end "
        "where (post_id = any ($1) or ping_id = any ($1)) and state = 'waiting' returning post_id",
        identifiers,
        int(Reason.QUEUE_ENDED),
        detail,
        erased,
    )
    return [row["post_id"] for row in rows]


async def forget(database: Database, done_days: int) -> int:
    """Forgets leads whose wait ended long enough ago, but not the posts that came of them; returns how many."""
    done: str = await database.run(
        lambda connection: connection.execute(
            "delete from queued_leads where post_id in (select post_id from queued_leads where state <> 'waiting' "
            "and finished_at < now() - make_interval(days => $1) limit $2)",
            done_days,
            FORGOTTEN_AT_ONCE_MAX,
        )
    )
    return int(done.rpartition(" ")[2])


def _waiting(row: asyncpg.Record) -> Waiting:
    return Waiting(
        post_id=row["post_id"],
        seller=row["seller"],
        campaign=row["campaign"],
        test=row["test"],
        source=row["source"],
        ref=row["ref"],
        min_price_micros=row["min_price_micros"],
        sealed=Sealed(row["lead_sealed"], row["lead_key"]),
        answer=row["answer"],
        reason=Reason(row["reason"]),
        runs=row["runs"],
        epoch=row["epoch"],
        ends_at=row["ends_at"],
    )
