"""A primary and its synchronous standby: what was told is on both, and the standby is found when it is promoted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
import pytest_asyncio
from support.postgres_pair import Pair, Server, postgres_pair
from support.waiting import until

from exchange.embedded.lease import Services
from exchange.errors import StorageUnavailable
from exchange.storage.database import Connection, Database
from exchange.storage.migrate import check_schema, migrate, migrations_folder
from exchange.storage.primary import addresses

TIMEOUT_S = 2.0


@asynccontextmanager
async def made_pair() -> AsyncIterator[Pair]:
    async with postgres_pair() as made:
        await made.primary.ask("create table told (number integer)")
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(servers: Services) -> AsyncIterator[Pair]:  # noqa: ARG001  # they have opened the way to its program
    async with made_pair() as made:
        yield made


@pytest.fixture
async def fresh(servers: Services) -> AsyncIterator[Pair]:  # noqa: ARG001  # they have opened the way to its program
    async with made_pair() as made:
        yield made


@pytest.fixture
async def pair(lasting: Pair) -> Pair:
    """A pair that both are well again after each test."""
    await lasting.primary.ask("truncate told")
    await lasting.follow()
    return lasting


async def opened(pair: Pair, *, flushes: bool) -> Database:
    return await Database.connect(pair.url, connections_max=4, timeout_s=TIMEOUT_S, name="own", flushes=flushes)


@pytest.fixture(params=[True, False], ids=["flushes", "commits"])
async def database(pair: Pair, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    made = await opened(pair, flushes=request.param)
    yield made
    await made.close()


async def tell(database: Database, number: int) -> None:
    """Returns when a row may be told of."""

    async def work(connection: Connection) -> None:
        await connection.execute("insert into told values ($1)", number)

    await database.transact(work)


async def numbers(server: Server) -> set[int]:
    found = await server.ask("select coalesce(array_agg(number), '{}') from told")
    assert isinstance(found, list)
    return set(found)


async def waiting_for_standby(pair: Pair) -> object:
    return await pair.primary.ask("select min(pid) from pg_stat_activity where wait_event = 'SyncRep'")


@asynccontextmanager
async def tellers(database: Database) -> AsyncIterator[set[int]]:
    """Many who tell one after the other; what is not confirmed is not told."""
    told, numbers = set[int](), count(1000)
    failed: list[str] = []

    async def tell_all() -> None:
        while True:
            number = next(numbers)
            try:
                await tell(database, number)
            except StorageUnavailable as error:
                failed.append(str(error))
                await asyncio.sleep(0.02)
            else:
                told.add(number)

    telling = [asyncio.create_task(tell_all()) for _ in range(8)]
    try:
        yield told
    finally:
        ended = [task.exception() for task in telling if task.done()]
        for task in telling:
            task.cancel()
        await asyncio.gather(*telling, return_exceptions=True)
        assert not ended, (ended, failed[-5:])


@pytest.mark.parametrize("default", ["on", "local", "off"])
async def test_nobody_is_told_what_is_not_on_the_standby(pair: Pair, database: Database, default: str) -> None:
    await pair.primary.ask(f"alter database postgres set synchronous_commit = {default}")
    await tell(database, 1)
    pair.standby.freeze()
    telling = asyncio.create_task(tell(database, 2))
    await until(lambda: waiting_for_standby(pair), lambda pid: pid is not None)
    assert not telling.done()
    pair.standby.thaw()
    await telling
    assert await numbers(pair.standby) >= {1}


async def test_who_reads_waits_for_the_standby_as_well(pair: Pair) -> None:
    database = await opened(pair, flushes=True)
    await tell(database, 1)
    pair.standby.freeze()
    reading = asyncio.create_task(database.call("select count(*) from told"))
    await until(lambda: waiting_for_standby(pair), lambda pid: pid is not None)
    assert not reading.done()
    pair.standby.thaw()
    assert await reading == 1
    await database.close()


async def test_a_wait_that_was_ended_confirms_nothing(pair: Pair, database: Database) -> None:
    await tell(database, 1)
    pair.standby.freeze()
    telling = asyncio.create_task(tell(database, 2))
    pid = await until(lambda: waiting_for_standby(pair), lambda pid: pid is not None)
    assert await pair.primary.ask("select pg_cancel_backend($1)", pid)
    with pytest.raises(StorageUnavailable):
        await telling
    assert 2 in await numbers(pair.primary)  # Postgres has committed it, and only warned
    pair.standby.thaw()


@pytest.mark.parametrize(("how", "flushes"), [("kill", True), ("kill", False), ("freeze", True)])
async def test_what_was_told_is_on_the_standby_when_the_primary_is_gone(fresh: Pair, how: str, flushes: bool) -> None:
    pair, database = fresh, await opened(fresh, flushes=flushes)
    async with tellers(database) as told:
        await grown(told, 100)
        getattr(pair.primary, how)()
        await asyncio.sleep(0.3)
        await pair.promote()
        await grown(told, 100)
        pair.primary.thaw()  # it does not know that it is the primary no more
        await grown(told, 300)
    assert told <= await numbers(pair.standby)
    await database.close()


async def grown(told: set[int], by: int) -> None:
    before = len(told)

    async def more() -> int:
        return len(told) - before

    await until(more, lambda count: count >= by)


async def test_a_unit_of_work_runs_where_it_is_flushed(fresh: Pair) -> None:
    """A connection of the pool that was open before is not used when the flushes go to another server."""
    pair = fresh
    database = await opened(pair, flushes=True)
    await asyncio.gather(*(tell(database, number) for number in range(20)))
    await pair.promote()  # both take writes now
    assert database._flushes is not None
    session = database._flushes._connection._session
    assert session is not None
    database._primary.distrust(session)
    database._flushes.renew()  # to the other one
    async with tellers(database) as told:
        await grown(told, 50)
    assert told <= await numbers(pair.standby)
    await database.close()


async def test_the_schema_is_brought_up_to_date_whoever_is_the_primary(fresh: Pair) -> None:
    pair = fresh
    first, second = pair.url.split("@")[1].split("/")[0].split(",")
    await migrate(f"postgresql://postgres@{second},{first}/postgres?sslmode=disable", migrations_folder())
    pair.primary.kill()
    await pair.promote()
    await check_schema(pair.url, migrations_folder())


async def test_a_standby_alone_takes_no_writes(pair: Pair) -> None:
    with pytest.raises(StorageUnavailable):
        await Database.connect(pair.standby.url, connections_max=1, timeout_s=TIMEOUT_S)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://u:p@db/x", [None]),
        ("postgresql:///x?host=/run/sockets&port=5432", [None]),
        ("postgresql://u:p@one:5432,two:5433/x", [("one", 5432), ("two", 5433)]),
        ("postgresql://one,two/x", [("one", None), ("two", None)]),
        ("postgresql://u@/x?host=one,two&port=1,2", [("one", 1), ("two", 2)]),
        ("postgresql:///x?host=one,two&port=7", [("one", 7), ("two", 7)]),
        ("postgresql:///x?host=one,two", [("one", None), ("two", None)]),
    ],
)
def test_the_hosts_of_a_url_are_found(url: str, found: list[object]) -> None:
    assert addresses(url) == found
