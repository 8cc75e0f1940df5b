"""Real servers for all tests: one Postgres and one Valkey for the run, a database for each test."""

import asyncio
import base64
import compileall
import itertools
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
from support.databases import database_url, execute
from support.forked import close_forks
from support.memory import quick_folder
from support.unknowns import KEY
from support.world import World, open_world

from exchange.embedded.lease import Services, hold
from exchange.storage.migrate import migrate, migrations_folder

hypothesis.settings.register_profile("exchange", deadline=None)  # a busy machine is not a defect
hypothesis.settings.load_profile("exchange")

_numbers = itertools.count(1)

TESTS = Path(__file__).parent
LONGEST_FIRST = (
    "loadtests/test_live_runs.py",
    "test_image.py",
    "chaos/test_run_fixed.py",
    "commands/test_demo.py",
    "chaos/test_planted_bugs.py",
    "loadtests/test_locustfile.py",
    "loadtests/test_load_report.py",
    "chaos/test_run_random.py",
    "deploy/test_shipped.py",
    "queued/test_queue_processes.py",
    "chaos/test_fault_points.py",
    "chaos/test_hosts.py",
    "test_auction_cases.py",
    "storage/test_failover.py",
    "commands/test_serving.py",
    "adversity/test_bad_buyers_leftovers.py",
    "outbox/test_outbox_commands.py",
    "api/test_slow_clients.py",
    "loadtests/test_short_runs.py",
    "embedded/test_embedded_crashes.py",
    "embedded/test_embedded_lease.py",
    "adversity/test_good_buyers_under_load.py",
    "test_postgres_away.py",
    "commands/test_first_imports.py",
    "commands/test_record_commands.py",
    "commands/test_market_commands.py",
    "commands/test_buyer_commands.py",
    "buyers/test_mapped_short_ways.py",
    "commands/test_rolling_restart.py",
    "chaos/test_told_without_postgres.py",
    "marketfile/test_market_properties.py",
    "commands/test_figures_of_processes.py",
    "api/test_overload.py",
    "chaos/test_frozen_and_unreachable.py",
    "buyers/test_mapped_properties.py",
    "api/test_readiness.py",
)
"""Files that take long, which no worker should begin when the others are about to end."""


def pytest_configure(config: pytest.Config) -> None:
    """Compiles the package once: the environment may forbid it to the hundreds of processes that tests start.

    Tests are compiled as well, whoever forbids that: each run would spend half a minute on it, and each worker of it.
    """
    sys.dont_write_bytecode = False
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(TESTS.parent / "exchange", quiet=1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first; the others stay as they are."""
    places = {TESTS / name: place for place, name in enumerate(LONGEST_FIRST)}
    assert not [path for path in places if not path.exists()]
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session", autouse=True)
def forks_end() -> Iterator[None]:
    """What was started to fork commands ends with the run."""
    yield
    close_forks()


@pytest.fixture(scope="session")
def servers() -> Iterator[Services]:
    """Postgres and Valkey for the whole run."""
    with quick_folder() as folder, hold(folder / "data") as lease:
        yield lease.services


@pytest.fixture(scope="session")
def template(servers: Services) -> str:
    """The name of a database with the schema, which each test's own is copied from."""

    async def make() -> None:
        await execute(servers, "alter system set fsync = off")  # no test takes the machine's power away
        await execute(servers, "alter system set max_wal_size = '256MB'")  # it may lie in memory
        await execute(servers, "select pg_reload_conf()")
        await execute(servers, "create database template_exchange")
        await migrate(database_url(servers.postgres_url, "template_exchange"), migrations_folder())

    asyncio.run(make())
    return "template_exchange"


@asynccontextmanager
async def fresh_database(servers: Services, template: str) -> AsyncIterator[Services]:
    """The servers, with a database of their own that has the schema."""
    name = f"test_{next(_numbers)}"
    await execute(servers, f"create database {name} template {template}")
    yield Services(database_url(servers.postgres_url, name), servers.valkey_url)
    await execute(servers, f"drop database {name} with (force)")


@pytest.fixture
async def services(servers: Services, template: str) -> AsyncIterator[Services]:
    """The servers, with a fresh database that has the schema."""
    async with fresh_database(servers, template) as fresh:
        yield fresh


@pytest.fixture
async def world(services: Services, tmp_path: Path) -> AsyncIterator[World]:
    """A running exchange without a market."""
    async with open_world(services, tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_services(servers: Services, template: str) -> AsyncIterator[Services]:
    """The servers, with one database for a whole file."""
    async with fresh_database(servers, template) as fresh:
        yield fresh


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_world(shared_services: Services, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A running exchange for a whole file, whose tests run in the module's loop and apply a market each."""
    async with open_world(shared_services, tmp_path_factory.mktemp("shared")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed_world(shared_services: Services, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """As `shared_world`, with the master key that tests know: they can be its worker."""
    key = base64.b64encode(KEY).decode()
    async with open_world(shared_services, tmp_path_factory.mktemp("keyed"), master_key=key) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def tidy_world(keyed_world: World) -> World:
    """It with nothing left of other tests: none of theirs to tell or send, and their unknowns out of workers' reach."""
    await keyed_world.rows("update attempts set lease_until = 'infinity' where state = 'unknown'")
    await keyed_world.rows("delete from pings_to_tell")
    await keyed_world.rows("delete from outbox")
    return keyed_world
