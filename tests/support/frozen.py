"""Freezing and killing the Postgres process that serves a connection, as a crash or a stuck disk would."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from exchange.storage.database import Connection, Database


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
