"""A small market is read in a thread of the gateway, a large one by a process, whatever becomes of that."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.market import market

from exchange.embedded.lease import Services
from exchange.errors import MarketFileError, StorageUnavailable
from exchange.marketfile.reader import read
from exchange.rules.caps import caps_of_market
from exchange.storage import catalogue
from exchange.storage.database import Database
from exchange.takeover import reader as module
from exchange.takeover.child import NICE
from exchange.takeover.reader import COMMAND, MarketReader
from exchange.takeover.taking import Ours, Taken

NOBODY = "http://127.0.0.1:9"
ORDERS = 100
THREAD_BYTES_MAX = 10_000
LEAD = {"state": "IL", "zip": "60601", "age": 41}


def document(orders: int = ORDERS) -> dict[str, Any]:
    found = market({"first": NOBODY, "second": NOBODY})
    order = found["orders"]["first"]
    found["orders"] |= {
        f"order-{number}": order
        | {"schedule": {"hours": f"0{number % 9}:00-22:00"}}
        | {
            "filter": {"age": {"min": number % 80}},
            "caps": {"day": 5},
            "schedule": {"hours": f"0{number % 9}:00-22:00"},
        }
        for number in range(orders)
    }
    found["buyers"]["first"]["endpoint"]["auth"] = {"bearer": "${env:FIRST_TOKEN}"}
    found["buyers"]["second"]["endpoint"]["auth"] = {"bearer": "${env:SECOND_TOKEN}"}
    return found


@pytest_asyncio.fixture
async def database(services: Services) -> AsyncIterator[Database]:
    opened = await Database.connect(services.postgres_url, connections_max=2, timeout_s=10)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def reader(
    services: Services, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MarketReader]:
    monkeypatch.setattr(module, "THREAD_BYTES_MAX", THREAD_BYTES_MAX)
    found = MarketReader(database, services.postgres_url, Ours({"FIRST_TOKEN": "secret"}))
    yield found
    await found.close()


async def store(database: Database, found: dict[str, Any]) -> int:
    return await catalogue.apply(database, found, read(found), "test")


def child_of(reader: MarketReader) -> subprocess.Popen[bytes] | None:
    return None if reader._child is None else reader._child.process


def group_of(pid: int) -> str:
    """The niceness of a process's session, where Linux groups processes by session."""
    group = Path(f"/proc/{pid}/autogroup")
    return group.read_text().strip().partition(" ")[2] if group.exists() else ""


def check(taken: Taken | None, found: dict[str, Any], version: int) -> None:
    """That a market was taken up as it was stored."""
    expected = read(found)
    assert taken is not None
    assert taken.book.version == version
    assert taken.book.market == expected
    assert taken.caps == caps_of_market(expected)
    assert taken.zones == {"auto-us": "UTC"}
    assert taken.lacking == ("second.default",)
    campaign = taken.book.campaigns["auto-us"]
    assert [entry.key for entry in campaign.entries] == list(expected.orders)
    assert campaign.by_key["first"].auth_headers == {"Authorization": "Bearer secret"}
    assert campaign.by_key["second"].auth_headers is None
    for entry in campaign.entries:
        assert entry.order is taken.book.market.orders[entry.key]
        assert entry.endpoint is entry.buyer.endpoints["default"]
    matching = campaign.matcher.matching(campaign.reader.read_ping(LEAD).values)
    asked = {key for key, order in expected.orders.items() if int(_least_age(order)) <= LEAD["age"]}  # type: ignore[operator]
    assert {entry.key for number, entry in enumerate(campaign.entries) if matching >> number & 1} == asked


def _least_age(order: Any) -> Any:
    return order.filter["age"].minimum if "age" in order.filter else 0


async def test_no_market_is_none(reader: MarketReader) -> None:
    assert await reader.newest() is None


async def test_a_small_market_starts_no_process(reader: MarketReader, database: Database) -> None:
    found = document(3)
    version = await store(database, found)
    check(await reader.newest(), found, version)
    assert child_of(reader) is None


async def test_one_market_after_another_comes_from_one_process_which_keeps_what_is_the_same(
    reader: MarketReader, database: Database
) -> None:
    found = document()
    version = await store(database, found)
    first = await reader.newest()
    check(first, found, version)
    child = child_of(reader)
    assert child is not None
    found["orders"]["order-7"] |= {"caps": {"day": 6}, "filter": {"age": {"min": 60}}}
    del found["orders"]["order-8"]
    version = await store(database, found)
    second = await reader.newest()
    check(second, found, version)
    found = document()
    found["buyers"]["first"]["max_bid"] = "7.00"  # all orders of this buyer have other entries by that
    version = await store(database, found)
    check(await reader.newest(), found, version)
    assert child_of(reader) is child
    assert first is not None
    assert second is not None
    assert second.book.market.orders["order-9"] is first.book.market.orders["order-9"]
    assert second.book.campaigns["auto-us"].by_key["order-9"] is first.book.campaigns["auto-us"].by_key["order-9"]


async def test_a_long_document_comes_back_as_it_was_stored_and_its_buyers_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await catalogue.newest_buyers(database) == {}
    found = document()
    number = await store(database, found)
    for at_once in (catalogue.AT_ONCE_CHARS, 0):
        monkeypatch.setattr(catalogue, "AT_ONCE_CHARS", at_once)
        newest = await catalogue.newest(database)
        assert newest is not None
        assert newest.document == found
        assert list(newest.document["orders"]) == list(found["orders"])
        assert newest == await catalogue.version(database, number)
        assert await catalogue.newest_buyers(database) == found["buyers"]


async def test_the_process_stands_back_for_others(reader: MarketReader, database: Database) -> None:
    await store(database, document())
    await reader.newest()
    child = child_of(reader)
    assert child is not None
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
    assert group_of(child.pid) in {"", f"nice {NICE}"}


async def test_a_market_that_cannot_be_read_is_refused_and_the_next_one_is_read(
    reader: MarketReader, database: Database
) -> None:
    found = document()
    await store(database, found)
    await reader.newest()
    child = child_of(reader)
    wrong = document()
    wrong["orders"]["order-7"]["campaign"] = "nowhere"
    await catalogue.apply(database, wrong, read(found), "test")
    with pytest.raises(MarketFileError) as raised:
        await reader.newest()
    assert [problem.path for problem in raised.value.problems] == ["orders.order-7.campaign"]
    version = await store(database, found)
    check(await reader.newest(), found, version)
    assert child_of(reader) is child


async def test_a_process_that_finds_no_postgres_says_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "THREAD_BYTES_MAX", THREAD_BYTES_MAX)
    await store(database, document())
    reader = MarketReader(database, "postgresql://127.0.0.1:9/nothing", Ours({}))
    try:
        with pytest.raises(StorageUnavailable):
            await reader.newest()
    finally:
        await reader.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_process_that_is_killed_or_hangs_is_replaced(
    reader: MarketReader, database: Database, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = document()
    await store(database, found)
    await reader.newest()
    lost = child_of(reader)
    assert lost is not None
    lost.send_signal(number)
    start, patience_s = module._start, module.SILENT_S

    async def start_patiently(environment: Mapping[str, str]) -> Any:
        monkeypatch.setattr(module, "SILENT_S", patience_s)
        return await start(environment)

    monkeypatch.setattr(module, "SILENT_S", 1.0)
    monkeypatch.setattr(module, "_start", start_patiently)
    version = await store(database, found)
    check(await reader.newest(), found, version)
    assert lost.returncode == -signal.SIGKILL
    assert child_of(reader) not in {None, lost}


async def test_where_no_process_answers_a_thread_reads(
    reader: MarketReader, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    found = document()
    version = await store(database, found)
    check(await reader.newest(), found, version)
    assert child_of(reader) is None


async def test_who_stops_waiting_leaves_no_process_behind(reader: MarketReader, database: Database) -> None:
    await store(database, document())
    await reader.newest()
    child = child_of(reader)
    assert child is not None
    child.send_signal(signal.SIGSTOP)
    waiting = asyncio.create_task(reader.newest())
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert child.returncode == -signal.SIGKILL


def test_the_process_ends_with_its_gateway() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(COMMAND, stdin=theirs.fileno(), env=dict(os.environ))
    assert process.wait(60) == 0
