"""Real servers for all tests: one Postgres and one Valkey for the run, a database for each test."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from support.world import World, open_world

from exchange.embedded.lease import Services, hold
from exchange.storage.migrate import migrate, migrations_folder

_numbers = itertools.count(1)


def database_url(url: str, name: str) -> str:
    """The same server, another database."""
    return (
        urlunsplit(urlsplit(url)._replace(path=f"/{name}")).replace("postgresql:/", "postgresql:///", 1)
        if (not urlsplit(url).netloc)
        else urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    )


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Postgres and Valkey for the whole run."""
    with hold(tmp_path_factory.mktemp("servers") / "data") as lease:
        yield lease.services


@pytest.fixture(scope="session")
def template(servers: Services) -> str:
    """The name of a database with the schema, which each test's own is copied from."""

    async def make() -> None:
        await execute(servers, "create database template_exchange")
        await migrate(database_url(servers.postgres_url, "template_exchange"), migrations_folder())

    asyncio.run(make())
    return "template_exchange"


@pytest.fixture
async def services(servers: Services, template: str) -> AsyncIterator[Services]:
    """The servers, with a fresh database that has the schema."""
    name = f"test_{next(_numbers)}"
    await execute(servers, f"create database {name} template {template}")
    yield Services(database_url(servers.postgres_url, name), servers.valkey_url)
    await execute(servers, f"drop database {name} with (force)")


@pytest.fixture
async def world(services: Services, tmp_path: Path) -> AsyncIterator[World]:
    """A running exchange without a market."""
    async with open_world(services, tmp_path) as opened:
        yield opened


async def execute(servers: Services, statement: str) -> None:
    connection = await asyncpg.connect(servers.postgres_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
