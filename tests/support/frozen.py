"""Freezing and killing the Postgres process that serves a connection, as a crash or a stuck disk would."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from exchange.errors import StorageUnavailable
from exchange.storage.database import Connection, Database
from support.waiting import until


def freeze(pid: int) -> None:
    """Stops a process; skips the test where that is not for us to do."""
    try:
        os.kill(pid, signal.SIGSTOP)
    except (ProcessLookupError, PermissionError) as error:
        pytest.skip(f"the server's processes are out of reach: {error}")


async def backend_of(connection: Connection) -> int:
    pid: int = await connection.fetchval("select pg_backend_pid()")
    return pid


@asynccontextmanager
async def thawed(pids: list[int]) -> AsyncIterator[None]:
    """Lets frozen processes go on in the end, so that the server can stop."""
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def kill_backends(database: Database, name: str) -> int:
    """Ends all connections that an application of this name has to the database."""
    killed: int = await database.run(
        lambda connection: connection.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where datname = current_database() and application_name = $1",
            name,
        )
    )
    return killed


@dataclass(frozen=True)
class Unwritten:
    """A Postgres that writes down only what somebody waits for."""

    walwriter: int

    async def crash(self, database: Database) -> None:
        """What nobody has waited for is gone; returns when Postgres is back."""
        os.kill(self.walwriter, signal.SIGKILL)  # and so end all its processes
        await until(lambda: _walwriter(database), lambda pid: pid not in {None, self.walwriter})


@asynccontextmanager
async def unwritten(database: Database) -> AsyncIterator[Unwritten]:
    """Keeps the server from writing commits down that nobody waits for, as it does by itself in a moment."""
    pid = await _walwriter(database)
    assert pid is not None
    freeze(pid)
    try:
        yield Unwritten(pid)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def _walwriter(database: Database) -> int | None:
    """Its process, or None while Postgres is away."""
    query = "select pid from pg_stat_activity where backend_type = 'walwriter'"
    with suppress(StorageUnavailable):
        pid: int | None = await database.run(lambda connection: connection.fetchval(query))
        return pid
    return None
