"""Flushes: nobody is told of a commit that a crash could undo, neither who made it nor who has read it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from support.frozen import freeze, thawed, unwritten
from support.waiting import until

from exchange.embedded.lease import Services
from exchange.errors import StorageUnavailable
from exchange.storage.database import Connection, Database
from exchange.storage.flushes import FLUSH, Flushes, prepare_flush

Work = Callable[[Connection], Awaitable[object]]


@pytest.fixture
async def other(services: Services) -> AsyncIterator[Database]:
    """Somebody whose commits wait for the disk one by one."""
    opened = await Database.connect(services.postgres_url, connections_max=4, timeout_s=10, name="other")
    yield opened
    await opened.close()


@pytest.fixture
async def database(services: Services) -> AsyncIterator[Database]:
    opened = await Database.connect(services.postgres_url, connections_max=4, timeout_s=10, name="own", flushes=True)
    await opened.run(count)
    yield opened
    await opened.close()


async def count(connection: Connection) -> int:
    found: int = await connection.fetchval("select count(*) from api_keys")
    return found


async def insert(connection: Connection) -> None:
    await connection.execute("insert into api_keys (key_id, secret_sha256, role) values ('k', '', 'operator')")


async def fail_with_what_it_read(connection: Connection) -> None:
    raise LookupError(await count(connection))


async def flushing(database: Database) -> int:
    """The server's process that does the flushes."""
    query = "select pid from pg_stat_activity where datname = current_database() and query = $1"
    pid: int = await database.run(lambda connection: connection.fetchval(query, FLUSH))
    return pid


async def test_a_commit_is_seen_before_it_is_durable_and_told_after(database: Database, other: Database) -> None:
    pid = await flushing(other)
    async with thawed([pid]):
        freeze(pid)
        inserting = asyncio.create_task(database.transact(insert))
        await until(lambda: other.run(count), lambda found: found == 1)
        assert await database.look(count) == 1
        assert not inserting.done()
    await inserting


@pytest.mark.parametrize("work", [count, fail_with_what_it_read])
async def test_who_reads_waits_as_well(database: Database, other: Database, work: Work) -> None:
    pid = await flushing(other)
    async with thawed([pid]):
        freeze(pid)
        reading = asyncio.create_task(database.transact(work))
        await asyncio.wait({reading}, timeout=0.2)
        assert not reading.done()
    await asyncio.wait({reading})
    assert isinstance(reading.exception(), LookupError if work is fail_with_what_it_read else type(None))


async def test_a_flush_that_does_not_end_is_given_up_in_time(database: Database, other: Database) -> None:
    pid = await flushing(other)
    async with thawed([pid]):
        freeze(pid)
        with pytest.raises(StorageUnavailable):
            await database.run(count, timeout_s=0.2)
    assert await database.run(count) == 0


async def transactions(connection: Connection) -> int:
    """How many have written anything so far, on the whole server."""
    begun: int = await connection.fetchval("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    return begun


async def test_units_of_work_that_wait_together_share_a_flush(database: Database, other: Database) -> None:
    pid = await flushing(other)
    async with thawed([pid]):
        freeze(pid)
        before = await other.run(transactions)
        counting = [asyncio.create_task(database.run(count)) for _ in range(40)]
        await asyncio.wait(counting, timeout=0.5)
    assert await asyncio.gather(*counting) == [0] * 40
    assert await other.run(transactions) - before < 10


async def test_what_a_crash_has_undone_is_not_confirmed(database: Database, other: Database) -> None:
    async with unwritten(other) as server:
        pid = await flushing(other)
        freeze(pid)
        inserting = asyncio.create_task(database.transact(insert))
        await until(lambda: other.run(count), lambda found: found == 1)
        await server.crash(other)
        with pytest.raises(StorageUnavailable):
            await inserting
    assert await other.run(count) == 0
    await database.transact(insert)
    assert await other.run(count) == 1


async def test_a_later_connection_confirms_nothing_from_before_a_crash(database: Database, other: Database) -> None:
    flushes = Flushes(database.standing(prepare_flush))
    before = await flushes.mark()
    async with unwritten(other) as server:
        await database.look(insert)
        await server.crash(other)
    with pytest.raises(StorageUnavailable):
        await flushes.flush(before)
    after = await flushes.mark()
    with pytest.raises(StorageUnavailable):
        await flushes.flush(before)
    await flushes.flush(after)
    assert await other.run(count) == 0
    await flushes.close()


async def test_a_flush_makes_durable_what_was_committed_before_it(database: Database, other: Database) -> None:
    async with unwritten(other) as server:
        await database.transact(insert)
        await server.crash(other)
    assert await other.run(count) == 1


async def test_who_stops_waiting_does_not_disturb_the_others(database: Database, other: Database) -> None:
    pid = await flushing(other)
    async with thawed([pid]):
        freeze(pid)
        first, second = (asyncio.create_task(database.run(count)) for _ in range(2))
        await asyncio.wait({first, second}, timeout=0.1)
        first.cancel()
        await asyncio.wait({first})
    assert await second == 0
