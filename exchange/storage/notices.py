"""Notices of lost bids in Postgres: pings to be looked at, and what is put into the outbox in their place.

A ping is taken, its notices are written and it is forgotten in one transaction: a worker that is lost in between
leaves everything as it was, and nobody is told twice.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from exchange.rules.notices import Fate, Tried
from exchange.storage.database import Connection, Database
from exchange.storage.pings import outcomes_in
from exchange.values.ids import day_of
from exchange.values.notices import NOTICES_KIND, NOTICES_NAME, BidEvent
from exchange.values.reason import Reason

SETTLE_TIMEOUT_S = 30.0
"""Ten thousand bids are put into the outbox at once."""

_TAKE = """
select ping_id, now() as now from pings_to_tell where look_at <= now() order by look_at limit $1
for update skip locked"""
_READ = """
select p.ping_id, p.campaign, p.currency, p.test, p.expires_at, p.trace, o.state,
    (select json_agg(json_build_array(a.order_key, a.state, a.reason, a.gross_micros) order by a.created_at, a.ordinal)
        from attempts a where a.post_id = o.post_id) as tried
from unnest($1::date[], $2::uuid[]) as wanted (day, ping_id)
    join pings p on (p.day, p.ping_id) = (wanted.day, wanted.ping_id)
    left join posts o on o.ping_id = p.ping_id"""
_WRITE = f"""
insert into outbox (outbox_id, scope, subject, event, name, kind, facts, test, due_at)
select new_uuid7(), 'buyer', buyer, '{BidEvent.LOST}', '{NOTICES_NAME}', '{NOTICES_KIND}', facts::json, test, now()
from unnest($1::text[], $2::text[], $3::boolean[]) as made (buyer, facts, test)"""  # noqa: S608  # constants


@dataclass(frozen=True, slots=True)
class Told:
    """A ping whose bidders may be told, as it lies in Postgres, with what has become of it."""

    campaign: str
    currency: str
    test: bool
    fate: Fate


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice of lost bids to one buyer; `bids` are its entries, ready to be written down as JSON."""

    buyer: str
    test: bool
    bids: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be done about pings that were taken: notices to be made, and pings to be looked at again, and when.

    All others are done with.
    """

    notices: Sequence[Notice]
    later: Sequence[tuple[UUID, datetime]]


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done: how many pings were taken, what was put into the outbox, and what there was no room for."""

    taken: int
    made: Sequence[Notice] = ()
    dropped: Sequence[Notice] = ()


async def settle(
    database: Database, decide: Callable[[Sequence[Told], datetime], Settlement], *, pings_max: int, waiting_max: int
) -> Settled:
    """Takes pings that are to be looked at, and does what `decide` says, in a thread, by the database's clock.

    Where `waiting_max` notices wait for a buyer already, he gets no more: what is dropped is in the result.
    """

    async def work(connection: Connection) -> Settled:
        taken = await connection.fetch(_TAKE, pings_max)
        if not taken:
            return Settled(0)
        ping_ids = [row["ping_id"] for row in taken]
        rows = await connection.fetch(_READ, [day_of(UUID(int=found.int)) for found in ping_ids], ping_ids)
        now = taken[0]["now"]
        decided = await asyncio.to_thread(lambda: decide([_told(row) for row in rows], now))  # it may take a while
        made, dropped = await _with_room(connection, decided.notices, waiting_max)
        await _write(connection, made)
        await _leave(connection, ping_ids, decided.later)
        return Settled(len(taken), made, dropped)

    return await database.transact(work, timeout_s=SETTLE_TIMEOUT_S)


async def overdue_s(database: Database) -> float:
    """For how long the oldest ping that is to be looked at has waited for it, in seconds."""
    query = "select coalesce(extract(epoch from now() - min(look_at)), 0)::float8 from pings_to_tell"
    found: float = await database.look(lambda connection: connection.fetchval(query))
    return max(0.0, found)


async def _with_room(
    connection: Connection, notices: Sequence[Notice], waiting_max: int
) -> tuple[list[Notice], list[Notice]]:
    """Those for whose buyers there is room, and the others."""
    buyers: Collection[str] = {notice.buyer for notice in notices}
    if not buyers:
        return [], []
    rows = await connection.fetch(
        "select subject, count(*) as count from outbox "
        "where scope = 'buyer' and event = $2 and state = 'waiting' and subject = any ($1) group by subject",
        list(buyers),
        BidEvent.LOST.value,
    )
    waiting = {row["subject"]: row["count"] for row in rows}
    made: list[Notice] = []
    dropped: list[Notice] = []
    for notice in notices:
        count = waiting.get(notice.buyer, 0)
        (made if count < waiting_max else dropped).append(notice)
        waiting[notice.buyer] = count + 1
    return made, dropped


async def _write(connection: Connection, notices: Sequence[Notice]) -> None:
    if notices:
        facts = [orjson.dumps({"bids": notice.bids}).decode() for notice in notices]
        buyers, tests = [notice.buyer for notice in notices], [notice.test for notice in notices]
        await connection.execute(_WRITE, buyers, facts, tests)


async def _leave(connection: Connection, ping_ids: Sequence[UUID], later: Sequence[tuple[UUID, datetime]]) -> None:
    """Puts off those that are to be looked at again, and forgets the others."""
    put_off = {ping_id for ping_id, _ in later}
    if put_off:
        await connection.execute(
            "update pings_to_tell p set look_at = l.look_at from unnest($1::uuid[], $2::timestamptz[]) "
            "as l (ping_id, look_at) where p.ping_id = l.ping_id",
            [ping_id for ping_id, _ in later],
            [look_at for _, look_at in later],
        )
    done = [ping_id for ping_id in ping_ids if ping_id not in put_off]
    await connection.execute("delete from pings_to_tell where ping_id = any ($1)", done)


def _told(row: asyncpg.Record) -> Told:
    tried = [
        Tried(order, state, None if code is None else Reason(code), gross_micros)
        for order, state, code, gross_micros in orjson.loads(row["tried"] or "[]")
    ]
    ping_id = UUID(int=row["ping_id"].int)  # asyncpg has a UUID class of its own
    fate = Fate(ping_id, outcomes_in(row["trace"]), row["expires_at"], row["state"], tried)
    return Told(row["campaign"], row["currency"], row["test"], fate)
