"""What Postgres is made to tell about a run: a history of every change, and the invariants in snapshot by snapshot."""

import asyncio
import time
from contextlib import suppress

from exchange.errors import StorageUnavailable
from exchange.simulation.chaos.books import Broken
from exchange.storage import invariants
from exchange.storage.database import Connection, Database

POLL_S = 0.5

_INSTALL = """
create schema if not exists chaos;
create table if not exists chaos.history (
    seq bigint generated always as identity primary key, at timestamptz not null default clock_timestamp(),
    kind text not null, id text not null, ping_id uuid, post_id uuid, subject text not null default '',
    before text, after text, epoch integer, note text not null default ''
);
create or replace function chaos.note_attempt() returns trigger language plpgsql security definer as $$
begin
    if tg_op = 'INSERT' or old.state <> new.state then
        insert into chaos.history (kind, id, ping_id, post_id, subject, before, after, epoch, note)
        values ('attempt', new.attempt_id, new.ping_id, new.post_id, new.order_key,
            case when tg_op = 'UPDATE' then old.state end, new.state, new.epoch, new.detail);
    end if;
    return null;
end $$;
create or replace function chaos.note_post() returns trigger language plpgsql security definer as $$
begin
    if tg_op = 'INSERT' or old.state <> new.state or old.answer is distinct from new.answer then
        insert into chaos.history (kind, id, ping_id, post_id, subject, before, after, note)
        values ('post', new.post_id, new.ping_id, new.post_id, new.seller,
            case when tg_op = 'UPDATE' then old.state end, new.state,
            case when tg_op = 'UPDATE' and old.answer is distinct from new.answer
                then case when old.answer is null then 'answer kept' else 'answer changed' end else '' end);
    end if;
    return null;
end $$;
create or replace function chaos.note_account() returns trigger language plpgsql security definer as $$
begin
    if new.kind = 'buyer' and new.balance_micros - new.held_micros + new.credit_limit_micros < 0 then
        insert into chaos.history (kind, id, subject, after) values ('overdrawn', new.account_id, new.owner,
            (new.balance_micros - new.held_micros + new.credit_limit_micros)::text);
    end if;
    return null;
end $$;
create or replace trigger chaos_attempt after insert or update on attempts
    for each row execute function chaos.note_attempt();
create or replace trigger chaos_post after insert or update on posts for each row execute function chaos.note_post();
create or replace trigger chaos_account after update on accounts
    for each row execute function chaos.note_account();
"""


async def install(database: Database) -> None:
    """Lets the run's own database keep a history; the schema that the exchange checks stays as it is."""
    await database.transact(lambda connection: connection.execute(_INSTALL), timeout_s=30)


class Watcher:
    """Looks at the invariants again and again. Postgres may be away meanwhile: then there is no snapshot."""

    def __init__(self, database: Database) -> None:
        self.broken: list[Broken] = []
        self.snapshots = 0
        self._database = database

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            with suppress(StorageUnavailable):  # it is being restarted or frozen: that is the run's own doing
                await self.look()
            await asyncio.sleep(POLL_S)

    async def look(self) -> None:
        """One snapshot. Raises StorageUnavailable."""
        found = await invariants.check(self._database)
        self.snapshots += 1
        self.broken += [Broken(time.time(), finding.name, finding.broken) for finding in found if finding.broken]


async def open_attempts(database: Database) -> list[tuple[str, str]]:
    """The buyer and state of every attempt that is not clear yet."""

    async def work(connection: Connection) -> list[tuple[str, str]]:
        rows = await connection.fetch("select buyer, state from attempts where state in ('prepared', 'unknown')")
        return [(row["buyer"], row["state"]) for row in rows]

    return await database.run(work, timeout_s=10)


async def hurry(database: Database) -> None:
    """Lets the leases of workers that were killed run out now: they hold for minutes, and an epoch fences them off."""
    await database.run(
        lambda connection: connection.execute(
            "update attempts set lease_until = now() where state = 'unknown' and lease_until > now()"
        )
    )
