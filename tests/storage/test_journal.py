"""The journal: many pings in few commits, a bad row fails alone, and nothing is forgotten while Postgres is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from support.frozen import kill_backends
from support.waiting import until

from exchange.embedded.lease import Services
from exchange.errors import StorageUnavailable
from exchange.storage.database import Database
from exchange.storage.journal import Journal
from exchange.storage.ping_rows import FEW_ROWS_MAX, PingRow
from exchange.values.deadline import Deadline
from exchange.values.ids import day_of, uuid7

TIMEOUT_S = 1.0


def row(ref: str | None = None) -> PingRow:
    """An unsold ping."""
    ping_id = uuid7()
    return PingRow(
        day=day_of(ping_id),
        ping_id=ping_id,
        seller="acme",
        campaign="auto-us",
        market_version=1,
        status="unsold",
        reason=407,
        test=False,
        currency="USD",
        source=None,
        ref=ref,
        min_price_micros=None,
        payout_micros=None,
        expires_at=None,
        ladder=None,
        lead='{"zip": "60601"}',
        trace="{}",
    )


def soon(milliseconds: int = 10_000) -> Deadline:
    return Deadline.after_ms(milliseconds)


@pytest.fixture
async def database(shared_services: Services) -> AsyncIterator[Database]:
    opened = await Database.connect(
        shared_services.postgres_url, connections_max=1, timeout_s=TIMEOUT_S, name="journal"
    )
    yield opened
    await opened.close()


@pytest.fixture
async def other(shared_services: Services) -> AsyncIterator[Database]:
    """Another way to the same database, in which there are no pings yet."""
    opened = await Database.connect(shared_services.postgres_url, connections_max=2, timeout_s=10, name="test")
    await opened.run(lambda connection: connection.execute("truncate pings"))
    yield opened
    await opened.close()


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    opened = Journal(database, rows_max=1_000)
    yield opened
    await opened.close()


@asynccontextmanager
async def locked(shared_services: Services) -> AsyncIterator[None]:
    """Lets nobody write pings meanwhile; they wait."""
    connection = await asyncpg.connect(shared_services.postgres_url)
    try:
        await connection.execute("begin; lock table pings in share mode")
        yield
    finally:
        await connection.close()


async def written(database: Database) -> set[str | None]:
    rows = await database.run(lambda connection: connection.fetch("select ref from pings"))
    return {found["ref"] for found in rows}


async def waiting(database: Database) -> int:
    count: int = await database.run(
        lambda connection: connection.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
    )
    return count


async def connections(database: Database) -> int:
    query = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'journal'"
    found: int = await database.run(lambda connection: connection.fetchval(query))
    return found


async def test_the_first_ping_waits_for_no_connection(journal: Journal, other: Database) -> None:
    before = await connections(other)
    await journal.connect()
    assert await connections(other) == before + 1
    await journal.commit(row(), soon())
    assert await connections(other) == before + 1


async def test_a_commit_returns_when_the_row_is_there(journal: Journal, other: Database) -> None:
    await journal.commit(row("one"), soon())
    assert await written(other) == {"one"}


async def test_many_at_once_share_a_few_commits(journal: Journal, other: Database) -> None:
    await asyncio.gather(*(journal.commit(row(str(number)), soon()) for number in range(400)))
    [found] = await other.run(
        lambda connection: connection.fetch("select count(*), count(distinct xmin::text) as commits from pings")
    )
    assert found["count"] == 400
    assert found["commits"] <= 3


async def test_what_nobody_waits_for_is_written_too(journal: Journal, other: Database) -> None:
    journal.append(row("unasked"))
    assert await until(lambda: written(other), bool) == {"unasked"}


BAD: dict[str, dict[str, Any]] = {
    "NUL": {"ref": "a\0b"},
    "NUL in JSON": {"lead": '{"note": "\\u0000"}', "trace": "\0"},
    "lone surrogate": {"ref": "a\ud800b"},
    "no JSON": {"lead": "{"},
    "unknown status": {"status": "sold"},
    "offer without a price": {"status": "offered", "reason": None},
    "too large an amount": {"min_price_micros": 2**63},
    "too large a reason": {"reason": 2**15},
    "another type": {"ref": 7},
    "no id": {"ping_id": None},
    "no time": {"expires_at": "tomorrow"},
}


@pytest.mark.parametrize("count", [FEW_ROWS_MAX, 30])
@pytest.mark.parametrize("changes", BAD.values(), ids=BAD.keys())
async def test_a_row_that_cannot_be_kept_fails_alone(
    journal: Journal, other: Database, changes: dict[str, Any], count: int
) -> None:
    rows, bad = [row(str(number)) for number in range(count)], count // 2
    rows[bad] = rows[bad]._replace(**changes)
    outcomes = await asyncio.gather(*(journal.commit(item, soon()) for item in rows), return_exceptions=True)
    assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == [bad]
    assert isinstance(outcomes[bad], StorageUnavailable)
    assert await written(other) == {str(number) for number in range(count)} - {str(bad)}
    await journal.commit(row("after"), soon())


async def test_a_row_that_is_written_twice_is_there_once(journal: Journal, other: Database) -> None:
    same = row("same")
    await journal.commit(same, soon())
    await journal.commit(same, soon())
    [found] = await other.run(lambda connection: connection.fetch("select count(*) from pings"))
    assert found["count"] == 1


async def test_a_full_buffer_refuses_and_loses_nothing(
    shared_services: Services, database: Database, other: Database
) -> None:
    journal = Journal(database, rows_max=5)
    async with locked(shared_services):
        under_way = asyncio.create_task(journal.commit(row("first"), soon()))
        await until(lambda: waiting(other), lambda count: count == 1)
        for number in range(5):
            journal.append(row(str(number)))
        with pytest.raises(StorageUnavailable):
            journal.append(row("too many"))
        with pytest.raises(StorageUnavailable):
            await journal.commit(row("too many"), soon())
    await under_way
    await journal.close()
    assert await written(other) == {"first", "0", "1", "2", "3", "4"}


async def test_closing_writes_what_is_still_waiting(database: Database, other: Database) -> None:
    journal = Journal(database, rows_max=2_000)
    for number in range(1_200):
        journal.append(row(str(number)))
    await journal.close()
    assert await written(other) == {str(number) for number in range(1_200)}


async def test_nobody_waits_longer_than_his_deadline(
    shared_services: Services, journal: Journal, other: Database
) -> None:
    async with locked(shared_services):
        started_s = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await journal.commit(row("late"), soon(100))
        assert 0.1 <= time.monotonic() - started_s < 0.8
    await journal.commit(row("in time"), soon())
    assert "in time" in await written(other)


async def test_who_stops_waiting_disturbs_nobody(shared_services: Services, journal: Journal, other: Database) -> None:
    async with locked(shared_services):
        impatient = asyncio.create_task(journal.commit(row("impatient"), soon()))
        patient = asyncio.create_task(journal.commit(row("patient"), soon()))
        await until(lambda: waiting(other), lambda count: count == 1)
        impatient.cancel()
    await patient
    assert "patient" in await written(other)


async def test_a_connection_killed_in_mid_commit_costs_nothing(
    shared_services: Services, journal: Journal, other: Database
) -> None:
    async with locked(shared_services):
        commits = [asyncio.create_task(journal.commit(row(str(number)), soon())) for number in range(3)]
        await until(lambda: waiting(other), lambda count: count == 1)
        assert await kill_backends(other, "journal") == 2  # the pool's and its own
        await until(lambda: waiting(other), lambda count: count == 1)
    await asyncio.gather(*commits)
    assert await written(other) == {"0", "1", "2"}


async def test_while_postgres_is_away_waiters_are_told_and_the_others_are_kept(
    shared_services: Services, journal: Journal, other: Database
) -> None:
    async def is_down() -> bool:
        return journal.is_down

    assert not await is_down()
    async with locked(shared_services):
        journal.append(row("kept"))
        told = await asyncio.gather(*(journal.commit(row("told"), soon()) for _ in range(3)), return_exceptions=True)
        assert [type(item) for item in told] == [StorageUnavailable] * 3
        assert await is_down()
        journal.append(row("kept too"))
    await until(lambda: written(other), lambda found: found >= {"kept", "kept too"})
    await until(is_down, lambda found: not found)
    await journal.commit(row("back"), soon())


async def test_a_ping_of_a_day_without_a_partition_is_kept(journal: Journal, other: Database) -> None:
    far = datetime(2031, 5, 5, tzinfo=UTC).date()
    await journal.commit(row("far")._replace(day=far), soon())
    assert await written(other) == {"far"}
