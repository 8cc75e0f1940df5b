"""The way to Postgres: a pool, and units of work that are bounded in time even when the server is frozen."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import asyncpg

from exchange.errors import RefusedByDatabase, StorageUnavailable
from exchange.observe import metrics
from exchange.storage.flushes import Flushes, Mark, prepare_flush
from exchange.storage.primary import Primary
from exchange.storage.session import NOT_CONNECTED, TROUBLE, Session, Standing, confirmed, failed

IDLE_IN_TRANSACTION_S = 5.0
REFUSED = "LX001"
"""The SQLSTATE with which a function of ours says no, and rolls back what it has done."""
WAITED_FOR = "on"
"""What is told is on the disk, and on that of a synchronous standby if there is one, whatever the server's default."""

Connection = asyncpg.pool.PoolConnectionProxy
T = TypeVar("T")
P = TypeVar("P")


class Database:
    """A pool of connections. Every unit of work ends within its timeout: a silent server costs its connection.

    With `flushes` no commit waits for the disk, so none keeps its locks that long; the unit of work does wait.
    """

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", primary: Primary, *, timeout_s: float, flushes: bool = False
    ) -> None:
        self._pool = pool
        self._primary = primary
        self._timeout_s = timeout_s
        self._flushes = Flushes(self.standing(prepare_flush)) if flushes else None

    @classmethod
    async def connect(
        cls, url: str, *, connections_max: int, timeout_s: float, name: str = "exchange", flushes: bool = False
    ) -> "Database":
        """Opens the pool. Raises `StorageUnavailable` where Postgres cannot be reached."""
        primary = Primary(url, **_settings(name), synchronous_commit=WAITED_FOR)
        pooled = primary.with_settings(synchronous_commit="off") if flushes else primary

        async def open_one(*_: object, **__: object) -> Session:
            return await pooled.connect()

        try:
            async with asyncio.timeout(timeout_s):
                pool = await asyncpg.create_pool(
                    connect=open_one,
                    connection_class=Session,
                    min_size=1,
                    max_size=connections_max,
                    reset=_leave_as_it_is,
                )
        except NOT_CONNECTED as error:
            raise failed("Postgres cannot be reached", error) from error
        return cls(pool, primary, timeout_s=timeout_s, flushes=flushes)

    async def close(self) -> None:
        """Closes the pool; connections that do not close in time are cut."""
        if self._flushes is not None:
            await self._flushes.close()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, timeout_s: float | None = None) -> T:
        """Runs `work` with a connection, outside a transaction, and returns what it returns.

        Whatever it has read or written is durable then, and may be told. Raises `StorageUnavailable` where Postgres is
        gone, silent for `timeout_s`, or gave up on a deadlock, and `RefusedByDatabase` where a function of ours said
        no. A unit of work is not retried here: whether that is safe is for its caller to know.
        """
        held: list[Connection] = []
        return await self._bounded(self._durably(work, held), held, timeout_s)

    async def look(self, work: Callable[[Connection], Awaitable[T]], *, timeout_s: float | None = None) -> T:
        """As `run`, for reading what nobody is told of: it may not be durable yet."""
        held: list[Connection] = []
        return await self._bounded(self._with_connection(work, held), held, timeout_s)

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

    def standing(self, prepare: Callable[[Session], Awaitable[P]]) -> Standing[P]:
        """A connection beside the pool, for one user alone; `prepare` makes of it what his units of work are given."""
        return Standing(self._primary, prepare, timeout_s=self._timeout_s)

    async def session(self) -> Session:
        """A connection for somebody's own use. Raises as `Primary.connect` does."""
        return await self._primary.connect()

    async def _bounded(self, work: Coroutine[Any, Any, T], held: list[Connection], timeout_s: float | None) -> T:
        task = asyncio.ensure_future(work)
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
        except TROUBLE as error:
            raise failed("Postgres failed", error) from error
        except asyncpg.PostgresError as error:
            if error.sqlstate == REFUSED:
                raise RefusedByDatabase(str(error)) from error
            raise

    async def _durably(self, work: Callable[[Connection], Awaitable[T]], held: list[Connection]) -> T:
        """Work, and the flush that makes it durable; what an exception of the caller's own tells was read as well."""
        if self._flushes is None:
            return await self._with_connection(_confirmed(work), held)
        mark = await self._flushes.mark()
        try:
            done = await self._with_connection(work, held, mark)
        except (*TROUBLE, asyncpg.PostgresError):
            raise
        except Exception:
            await self._flushes.flush(mark)
            raise
        await self._flushes.flush(mark)
        return done

    async def _with_connection(
        self, work: Callable[[Connection], Awaitable[T]], held: list[Connection], mark: Mark | None = None
    ) -> T:
        """Work with a connection; with a mark, one to the very server that will confirm it."""
        began_s = time.monotonic()
        while True:
            async with self._pool.acquire() as connection:
                metrics.POSTGRES_WAIT_SECONDS.observe(time.monotonic() - began_s)
                session: Any = connection  # its stubs do not know what it stands for
                if mark is not None and session.server != mark.server:
                    self._leave(session, mark)
                    continue
                held.append(connection)
                try:
                    return await work(connection)
                except asyncpg.ReadOnlySQLTransactionError:
                    connection.terminate()  # it was the primary once
                    raise
                finally:
                    held.clear()

    def _leave(self, session: Session, mark: Mark) -> None:
        """Of two servers that both took connections the one that was connected to last is the primary."""
        is_newer = session.opened_s > mark.opened_s
        session.terminate()
        if is_newer and self._flushes is not None:
            self._flushes.renew()
            raise StorageUnavailable("Postgres is another server now")


def _settings(name: str) -> dict[str, str]:
    return {
        "application_name": name,
        "timezone": "UTC",
        # Every statement comes again and again: planning it for each new value costs more than it saves.
        "plan_cache_mode": "force_generic_plan",
        # A process that is frozen in mid-transaction must not keep others from what it has locked.
        "idle_in_transaction_session_timeout": f"{int(IDLE_IN_TRANSACTION_S * 1000)}",
    }


def _confirmed(work: Callable[[Connection], Awaitable[T]]) -> Callable[[Connection], Awaitable[T]]:
    async def work_and_see(connection: Connection) -> T:
        with confirmed(connection):
            return await work(connection)

    return work_and_see


async def _leave_as_it_is(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """No unit of work leaves anything behind in its session, so none pays a round trip for tidying up after it."""


def _forget(task: "asyncio.Task[T]") -> None:
    """Takes note of how an abandoned unit of work ended, so that asyncio does not report it as forgotten."""
    if not task.cancelled():
        task.exception()
