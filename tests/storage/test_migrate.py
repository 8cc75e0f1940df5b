"""Migrations: each applied once and checked ever after, and a ping is found in the one partition of its day."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from support.databases import database_url, execute

from exchange.embedded.lease import Services
from exchange.errors import SchemaMismatch, StorageUnavailable
from exchange.ports import free_port
from exchange.storage import chores, pings
from exchange.storage.database import Connection, Database
from exchange.storage.migrate import (
    PARTITION_DAYS_AHEAD,
    Migration,
    check_schema,
    migrate,
    migrations_folder,
    pending,
    read_migrations,
    status,
)
from exchange.values.ids import uuid7

ONE, TWO = Migration(1, "one", "select 1"), Migration(2, "two", "select 2")


@pytest.fixture
async def empty(servers: Services) -> AsyncIterator[str]:
    """The URL of a database without anything in it."""
    name = f"empty_{uuid4().hex}"
    await execute(servers, f"create database {name}")
    yield database_url(servers.postgres_url, name)
    await execute(servers, f"drop database {name} with (force)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The migrations, to be added to."""
    return Path(shutil.copytree(migrations_folder(), tmp_path / "migrations"))


def add(folder: Path, sql: str) -> Path:
    """Adds one more migration."""
    path = folder / f"{len(list(folder.glob('*.sql'))) + 1:04d}_added.sql"
    path.write_text(sql)
    return path


async def rows(url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


# --- the files ----------------------------------------------------------------------------------------------------


def test_the_migrations_of_this_version_are_numbered_without_a_gap() -> None:
    found = read_migrations(migrations_folder())
    assert [item.number for item in found] == list(range(1, len(found) + 1))
    assert str(found[0]) == "0001_sale_path"


@pytest.mark.parametrize(
    "names",
    [
        ["0002_b.sql"],
        ["0001_a.sql", "0003_c.sql"],
        ["0001_a.sql", "0001_b.sql"],
        ["0000_a.sql"],
        ["1_a.sql"],
        ["0001-a.sql"],
        ["0001_A.sql"],
        ["0001_.sql"],
    ],
)
def test_files_that_leave_a_doubt_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1")
    with pytest.raises(SchemaMismatch):
        read_migrations(tmp_path)


def test_what_is_not_applied_is_pending() -> None:
    assert pending([ONE, TWO], {}) == (ONE, TWO)
    assert pending([ONE, TWO], {1: ONE.sha256}) == (TWO,)
    assert pending([ONE, TWO], {1: ONE.sha256, 2: TWO.sha256}) == ()


@pytest.mark.parametrize(
    ("applied", "says"),
    [
        ({1: TWO.sha256}, "changed"),
        ({1: ONE.sha256, 2: ONE.sha256}, "changed"),
        ({1: ONE.sha256, 2: TWO.sha256, 3: b"x"}, "newer"),
        ({9: b"x"}, "newer"),
    ],
)
def test_a_database_that_does_not_fit_is_refused(applied: dict[int, bytes], says: str) -> None:
    with pytest.raises(SchemaMismatch, match=says):
        pending([ONE, TWO], applied)


# --- the database -------------------------------------------------------------------------------------------------


async def test_an_empty_database_is_brought_up_to_date_once(empty: str, folder: Path) -> None:
    everything = read_migrations(folder)
    assert await status(empty, folder) == tuple((item, False) for item in everything)
    with pytest.raises(SchemaMismatch, match="exchange migrate"):
        await check_schema(empty, folder)
    assert await migrate(empty, folder) == everything
    assert await migrate(empty, folder) == ()
    assert await status(empty, folder) == tuple((item, True) for item in everything)
    await check_schema(empty, folder)


async def test_runs_at_the_same_time_apply_each_migration_once(empty: str, folder: Path) -> None:
    add(folder, "create table counted (id integer generated always as identity); insert into counted default values")
    done = await asyncio.gather(*(migrate(empty, folder) for _ in range(6)))
    assert sorted(len(applied) for applied in done) == [0] * 5 + [len(read_migrations(folder))]
    assert len(await rows(empty, "select * from counted")) == 1


async def test_a_migration_that_fails_leaves_nothing_of_itself_and_can_be_mended(empty: str, folder: Path) -> None:
    whole = read_migrations(folder)
    path = add(folder, "create table half (id integer); select 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty, folder)
    applied = await rows(empty, "select number from schema_migrations order by number")
    assert [row["number"] for row in applied] == [item.number for item in whole]
    assert await rows(empty, "select 1 from pg_class where relname = 'half'") == []
    path.write_text("create table half (id integer)")
    assert [str(item) for item in await migrate(empty, folder)] == [path.stem]


async def test_a_changed_or_missing_file_is_noticed_by_every_start(empty: str, folder: Path) -> None:
    path = add(folder, "create table added (id integer)")
    await migrate(empty, folder)
    path.write_text("create table added (id bigint)")
    for start in (migrate, check_schema, status):
        with pytest.raises(SchemaMismatch, match="changed"):
            await start(empty, folder)
    path.unlink()
    for start in (migrate, check_schema, status):
        with pytest.raises(SchemaMismatch, match="newer"):
            await start(empty, folder)


# --- partitions ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def database(services: Services) -> AsyncIterator[Database]:
    opened = await Database.connect(services.postgres_url, connections_max=1, timeout_s=10, name="partitions")
    yield opened
    await opened.close()


async def test_partitions_are_made_two_weeks_ahead_and_once(database: Database) -> None:
    async def count() -> int:
        query = "select count(*) from pg_inherits where inhparent = 'pings'::regclass"
        found: int = await database.run(lambda connection: connection.fetchval(query))
        return found

    assert await count() == PARTITION_DAYS_AHEAD + 1  # and the default one
    assert await chores.make_partitions(database) == 0
    await database.run(
        lambda connection: connection.execute(
            "do $$ begin execute format('drop table pings_%s', "
            "to_char((now() at time zone 'UTC')::date + 3, 'YYYYMMDD')); end $$"
        )
    )
    assert await chores.make_partitions(database) == 1
    assert await count() == PARTITION_DAYS_AHEAD + 1


async def test_a_day_whose_pings_lie_in_the_default_partition_is_left_alone(database: Database) -> None:
    async def work(connection: Connection) -> list[int]:
        insert = (
            "insert into pings (day, ping_id, seller, campaign, market_version, status, reason, test, currency, lead, "
            "trace) values ('2031-05-05', gen_random_uuid(), 's', 'c', 1, 'unsold', 407, false, 'USD', '{}', '{}')"
        )
        await connection.execute(insert)
        return [await connection.fetchval("select make_ping_partitions('2031-05-04', 3)") for _ in range(2)]

    assert await database.run(work) == [2, 0]


def scanned(plan: dict[str, Any]) -> list[str]:
    """The tables that a plan really looks into."""
    found = [plan["Relation Name"]] if "Relation Name" in plan and plan.get("Actual Loops", 1) else []
    return found + [name for child in plan.get("Plans", []) for name in scanned(child)]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_looking_a_ping_up_touches_one_partition(database: Database, mode: str) -> None:
    ping_id: UUID = uuid7()
    queries: list[tuple[str, tuple[Any, ...]]] = []

    def note(record: Any) -> None:
        queries.append((record.query, record.args))

    async def work(connection: Connection) -> list[str]:
        connection.add_query_logger(note)
        await pings.read(connection, ping_id)
        connection.remove_query_logger(note)
        await connection.execute(f"set plan_cache_mode = {mode}")
        [(query, arguments)] = queries  # noted by now: the logger is called in the loop's next round
        plan = await connection.fetchval(f"explain (analyze, format json) {query}", *arguments)
        return scanned(orjson.loads(plan)[0]["Plan"])

    touched = [name for name in await database.run(work) if name.startswith("pings")]
    assert len(touched) == 1
    assert touched[0] != "pings_default"


async def test_a_postgres_that_is_not_there_or_lets_nobody_in_is_said(servers: Services) -> None:
    nowhere = f"postgresql://postgres@127.0.0.1:{free_port()}/exchange"
    for url in (nowhere, database_url(servers.postgres_url, "no_such_database")):
        for look in (migrate, check_schema, status):
            with pytest.raises(StorageUnavailable, match=r"^Postgres cannot be reached: "):
                await look(url, migrations_folder())
