"""The way to Postgres: units of work end in time and leave the pool usable, whatever the server does."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
from support.frozen import backend_of, freeze, kill_backends, thawed
from support.waiting import until

from exchange.embedded.lease import Services
from exchange.errors import StorageUnavailable
from exchange.storage.database import Connection, Database
from exchange.storage.session import Session

TIMEOUT_S = 0.5


@pytest.fixture
async def database(shared_services: Services) -> AsyncIterator[Database]:
    opened = await Database.connect(shared_services.postgres_url, connections_max=2, timeout_s=TIMEOUT_S, name="pool")
    await opened.run(lambda connection: connection.execute("truncate api_keys"), timeout_s=10)
    yield opened
    await opened.close()


async def one(connection: Connection) -> int:
    found: int = await connection.fetchval("select 1")
    return found


async def test_a_frozen_server_costs_the_timeout_and_no_more(database: Database) -> None:
    frozen: list[int] = []

    async def work(connection: Connection) -> int:
        frozen.append(await backend_of(connection))
        freeze(frozen[-1])
        return await one(connection)

    async with thawed(frozen):
        started_s = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await database.run(work)
        assert TIMEOUT_S <= time.monotonic() - started_s < TIMEOUT_S + 0.5
        assert await asyncio.gather(*(database.run(one) for _ in range(4))) == [1] * 4


async def test_a_transaction_on_a_frozen_server_costs_the_timeout_and_no_more(database: Database) -> None:
    frozen: list[int] = []

    async def work(connection: Connection) -> None:
        frozen.append(await backend_of(connection))
        freeze(frozen[-1])

    async with thawed(frozen):
        started_s = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await database.transact(work)
        assert time.monotonic() - started_s < TIMEOUT_S + 0.5
        assert await database.transact(one) == 1


async def test_every_connection_may_freeze_and_the_pool_is_usable_again(database: Database) -> None:
    frozen: list[int] = []
    both = asyncio.Barrier(2)

    async def work(connection: Connection) -> int:
        frozen.append(await backend_of(connection))
        await both.wait()
        freeze(frozen[0])
        freeze(frozen[1])
        return await one(connection)

    async with thawed(frozen):
        outcomes = await asyncio.gather(*(database.run(work) for _ in range(2)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StorageUnavailable, StorageUnavailable]
        assert await database.run(one) == 1


async def test_slow_work_is_cut_off_at_its_own_timeout(database: Database) -> None:
    started_s = time.monotonic()
    with pytest.raises(StorageUnavailable):
        await database.run(lambda connection: connection.execute("select pg_sleep(30)"), timeout_s=0.1)
    assert time.monotonic() - started_s < 0.6
    assert await database.run(lambda connection: connection.execute("select pg_sleep(0.6)"), timeout_s=5)


async def test_waiting_for_a_free_connection_ends_in_time_too(database: Database) -> None:
    all_taken, release = asyncio.Barrier(3), asyncio.Event()

    async def work(_: Connection) -> None:
        await all_taken.wait()
        await release.wait()

    holding = [asyncio.create_task(database.run(work, timeout_s=10)) for _ in range(2)]
    await all_taken.wait()
    with pytest.raises(StorageUnavailable):
        await database.run(one, timeout_s=0.1)
    release.set()
    await asyncio.gather(*holding)
    assert await database.run(one) == 1


async def test_a_killed_connection_is_unavailable_once_and_replaced(
    shared_services: Services, database: Database
) -> None:
    other = await Database.connect(shared_services.postgres_url, connections_max=1, timeout_s=5, name="killer")
    sleeping = asyncio.create_task(
        database.run(lambda connection: connection.execute("select pg_sleep(30)"), timeout_s=10)
    )

    async def killed() -> int:
        return await kill_backends(other, "pool")

    await until(killed, lambda count: count > 0)
    with pytest.raises(StorageUnavailable):
        await sleeping
    await other.close()
    assert await database.run(one) == 1


@pytest.mark.parametrize(
    ("sqlstate", "name"),
    [
        ("53100", "disk full"),
        ("53200", "out of memory"),
        ("53300", "too many connections"),
        ("57014", "cancelled"),
        ("57P01", "shut down"),
        ("57P03", "starting"),
        ("58030", "input and output"),
        ("25006", "read only"),
        ("40001", "serialization"),
        ("40P01", "deadlock"),
        ("08006", "connection"),
    ],
)
async def test_what_may_work_later_is_unavailability(database: Database, sqlstate: str, name: str) -> None:
    statement = f"do $$ begin raise exception '{name}' using errcode = '{sqlstate}'; end $$"
    with pytest.raises(StorageUnavailable):
        await database.run(lambda connection: connection.execute(statement))
    assert await database.run(one) == 1


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("select 1 / 0", asyncpg.DivisionByZeroError),
        ("select * from nowhere", asyncpg.UndefinedTableError),
        ("insert into schema_migrations (number, name, sha256) values (1, '', '')", asyncpg.UniqueViolationError),
        ("insert into api_keys (key_id, secret_sha256, role) values ('k', '', 'x')", asyncpg.CheckViolationError),
    ],
)
async def test_what_is_our_own_mistake_is_not(
    database: Database, statement: str, error: type[asyncpg.PostgresError]
) -> None:
    with pytest.raises(error):
        await database.run(lambda connection: connection.execute(statement))
    assert await database.run(one) == 1


async def test_a_transaction_commits_when_its_work_returns_and_not_when_it_raises(database: Database) -> None:
    async def insert(connection: Connection, key: str) -> None:
        await connection.execute("insert into api_keys (key_id, secret_sha256, role) values ($1, '', 'operator')", key)

    async def fail(connection: Connection) -> None:
        await insert(connection, "lost")
        raise LookupError("own mistake")

    await database.transact(lambda connection: insert(connection, "kept"))
    with pytest.raises(LookupError, match="own mistake"):
        await database.transact(fail)
    rows = await database.run(lambda connection: connection.fetch("select key_id from api_keys"))
    assert [row["key_id"] for row in rows] == ["kept"]


async def test_a_caller_who_stops_waiting_gives_his_connection_back(database: Database) -> None:
    begun = asyncio.Event()

    async def work(connection: Connection) -> None:
        begun.set()
        await connection.execute("select pg_sleep(30)")

    for _ in range(4):
        begun.clear()
        task = asyncio.create_task(database.run(work, timeout_s=20))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.gather(*(database.run(one, timeout_s=5) for _ in range(2))) == [1, 1]


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:9/x", "postgresql:///x?host=/nowhere", "postgresql://nobody:wrong@127.0.0.1:9/x"]
)
async def test_a_server_that_is_not_there_is_unavailable(url: str) -> None:
    with pytest.raises(StorageUnavailable):
        await Database.connect(url, connections_max=1, timeout_s=2)


async def test_a_database_that_is_not_there_is_unavailable(shared_services: Services) -> None:
    url = shared_services.postgres_url.replace("/test_", "/no_such_", 1)
    assert url != shared_services.postgres_url
    with pytest.raises(StorageUnavailable):
        await Database.connect(url, connections_max=1, timeout_s=5)


async def test_time_that_is_up_between_two_statements_is_trouble_like_any_other(database: Database) -> None:
    """While it prepares a statement, asyncpg does not look whether its connection is still there."""

    async def ready(session: Session) -> Session:
        return session

    async def cut_off(session: Session) -> None:
        session.terminate()
        await asyncio.sleep(0)
        session._protocol._get_timeout(None)  # type: ignore[attr-defined]  # as asyncpg itself does

    standing = database.standing(ready)
    with pytest.raises(StorageUnavailable):
        await standing.run(cut_off)
    assert await standing.run(lambda session: session.fetchval("select 1")) == 1
    standing.close()
