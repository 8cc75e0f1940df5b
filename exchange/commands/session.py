"""What every command starts from: the settings, the servers, and a schema it can speak to."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from exchange.embedded.lease import Lease, Services, hold
from exchange.observe import logs
from exchange.settings import Settings, load, misspelt
from exchange.storage.database import Database
from exchange.storage.migrate import check_schema, migrate, migrations_folder

T = TypeVar("T")


def say(text: str) -> None:
    """A line for the person at the terminal, beside what the command prints."""
    print(f"exchange: {text}", file=sys.stderr, flush=True)  # noqa: T201  # whoever started it should know


def loaded_settings() -> Settings:
    """The settings of the environment, with the log set up as they say. A name that is misspelt is told."""
    loaded = load()
    for name, meant in misspelt().items():
        say(f"nothing reads {name}: did you mean {meant}?")
    logs.configure(loaded.log_level, loaded.log_style)
    return loaded


@contextmanager
def services(settings: Settings) -> Iterator[Lease]:
    """The servers of the settings: given ones, or those of the data directory, held for as long as this lasts."""
    valkey_url, postgres_url = settings.valkey_url, settings.postgres_url
    with hold(settings.data_dir, postgres_url=postgres_url, valkey_url=valkey_url) as lease:
        for notice in lease.notices:
            say(notice)
        yield lease


async def prepare_schema(settings: Settings, given: Services) -> None:
    """Embedded servers are brought up to date without asking; others are only checked, and refused if unknown."""
    if settings.postgres_url is None:
        await migrate(given.postgres_url, migrations_folder())
    else:
        await check_schema(settings.postgres_url, migrations_folder())


@asynccontextmanager
async def database(settings: Settings, given: Services) -> AsyncIterator[Database]:
    """A database that is ready to be used by one command."""
    await prepare_schema(settings, given)
    opened = await Database.connect(
        given.postgres_url, connections_max=2, timeout_s=max(settings.postgres_timeout_s, 10), name="command"
    )
    try:
        yield opened
    finally:
        await opened.close()


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs one command's work from start to end."""
    with services(settings) as lease:

        async def main() -> T:
            async with database(settings, lease.services) as opened:
                return await work(opened)

        return asyncio.run(main())
