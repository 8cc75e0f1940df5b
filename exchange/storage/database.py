"""The way to Postgres: a pool, and units of work that are bounded in time even when the server is frozen."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeVar

import asyncpg
import asyncpg.prepared_stmt

from exchange.errors import RefusedByDatabase, StorageUnavailable

IDLE_IN_TRANSACTION_S = 5.0
REFUSED = "LX001"
"""The SQLSTATE with which a function of ours says no, and rolls back what it has done."""

Connection = asyncpg.pool.PoolConnectionProxy
Statement = asyncpg.prepared_stmt.PreparedStatement
Session = asyncpg.Connection
Connect = Callable[[], Awaitable[Session]]
T = TypeVar("T")
P = TypeVar("P")

_TROUBLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.OperatorInterventionError,  # starting, shutting down, cancelled
    asyncpg.PostgresSystemError,  # its disk or its files
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


class Database:
    """A pool of connections. Every unit of work ends within its timeout: a silent server costs its connection."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", connect: Connect, *, timeout_s: float) -> None:
        self._pool = pool
        self._connect = connect
        self._timeout_s = timeout_s

    @classmethod
    async def connect(cls, url: str, *, connections_max: int, timeout_s: float, name: str = "exchange") -> "Database":
        """Opens the pool. Raises `StorageUnavailable` where Postgres cannot be reached."""
        server_settings = {
            "application_name": name,
            "timezone": "UTC",
            # Every statement comes again and again: planning it for each new value costs more than it saves.
            "plan_cache_mode": "force_generic_plan",
            # A process that is frozen in mid-transaction must not keep others from what it has locked.
            "idle_in_transaction_session_timeout": f"{int(IDLE_IN_TRANSACTION_S * 1000)}",
        }
        try:
            async with asyncio.timeout(timeout_s):
                pool = await asyncpg.create_pool(
                    url,
                    min_size=1,
                    max_size=connections_max,
                    command_timeout=None,  # asyncpg's own does not bound a frozen server; `run` does
                    reset=_leave_as_it_is,
                    server_settings=server_settings,
                )
        except (*_TROUBLE, TimeoutError, asyncpg.InvalidCatalogNameError, asyncpg.InvalidPasswordError) as error:
            raise StorageUnavailable(f"Postgres cannot be reached: {error}") from error
        connect = partial(asyncpg.connect, url, command_timeout=None, server_settings=server_settings)
        return cls(pool, connect, timeout_s=timeout_s)

    async def close(self) -> None:
        """Closes the pool; connections that do not close in time are cut."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, timeout_s: float | None = None) -> T:
        """Runs `work` with a connection, outside a transaction, and returns what it returns.

        Raises `StorageUnavailable` where Postgres is gone, silent for `timeout_s`, or gave up on a deadlock, and
        `RefusedByDatabase` where a function of ours said no. A unit of work is not retried here: whether that is safe
        is for its caller to know.
        """
        held: list[Connection] = []
        task = asyncio.ensure_future(self._with_connection(work, held))
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_s or self._timeout_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            for connection in held:
                connection.terminate()
            task.cancel()
            task.add_done_callback(_forget)
            raise StorageUnavailable("Postgres did not answer in time")
        try:
            return task.result()
        except _TROUBLE as error:
            raise StorageUnavailable(f"Postgres failed: {error}") from error
        except asyncpg.PostgresError as error:
            if error.sqlstate == REFUSED:
                raise RefusedByDatabase(str(error)) from error
            raise

    async def transact(self, work: Callable[[Connection], Awaitable[T]], *, timeout_s: float | None = None) -> T:
        """As `run`, in one transaction that commits when `work` returns and rolls back when it raises."""

        async def within(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        return await self.run(within, timeout_s=timeout_s)

    async def call(self, query: str, *arguments: object, timeout_s: float | None = None) -> Any:
        """The value of one statement, a transaction of its own, which may be committed also where it is not confirmed.

        Raises as `run` does.
        """
        return await self.run(lambda connection: connection.fetchval(query, *arguments), timeout_s=timeout_s)

    def standing(self, prepare: Callable[[Session], Awaitable[P]]) -> "Standing[P]":
        """A connection beside the pool, for one user alone; `prepare` makes of it what his units of work are given."""
        return Standing(self._connect, prepare, timeout_s=self._timeout_s)

    async def _with_connection(self, work: Callable[[Connection], Awaitable[T]], held: list[Connection]) -> T:
        async with self._pool.acquire() as connection:
            held.append(connection)
            try:
                return await work(connection)
            finally:
                held.clear()


class Standing(Generic[P]):
    """A connection that is kept by one user, who runs one unit of work at a time: it costs nothing to come by."""

    def __init__(self, connect: Connect, prepare: Callable[[Session], Awaitable[P]], *, timeout_s: float) -> None:
        self._connect = connect
        self._prepare = prepare
        self._timeout_s = timeout_s
        self._session: Session | None = None
        self._prepared: P | None = None

    async def run(self, work: Callable[[P], Awaitable[T]], *, timeout_s: float | None = None) -> T:
        """As `Database.run`, but not to be cancelled; a connection that fails is replaced by the next unit of work."""
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + (timeout_s or self._timeout_s)
        try:
            if self._session is None:
                async with asyncio.timeout_at(ends_at_s):
                    self._session = await self._connect()
            timer = loop.call_at(ends_at_s, self._session.terminate)  # a frozen server heeds nothing less
            try:
                if self._prepared is None:
                    self._prepared = await self._prepare(self._session)
                return await work(self._prepared)
            finally:
                timer.cancel()
        except (*_TROUBLE, TimeoutError) as error:
            self.close()
            raise StorageUnavailable(f"Postgres failed: {error}") from error

    def close(self) -> None:
        """Gives the connection up: the next unit of work opens a new one."""
        if self._session is not None:
            self._session.terminate()
        self._session = self._prepared = None


async def _leave_as_it_is(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """No unit of work leaves anything behind in its session, so none pays a round trip for tidying up after it."""


def _forget(task: "asyncio.Task[T]") -> None:
    """Takes note of how an abandoned unit of work ended, so that asyncio does not report it as forgotten."""
    if not task.cancelled():
        task.exception()
