"""A connection to Postgres that one user keeps for himself, and what it means for one to fail."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import asyncpg
import asyncpg.prepared_stmt

from exchange.errors import StorageUnavailable

Session = asyncpg.Connection
Statement = asyncpg.prepared_stmt.PreparedStatement
Connect = Callable[[], Awaitable[Session]]
T = TypeVar("T")
P = TypeVar("P")

TROUBLE = (
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


class Standing(Generic[P]):
    """A connection that is kept by one user, who runs one unit of work at a time: it costs nothing to come by."""

    def __init__(self, connect: Connect, prepare: Callable[[Session], Awaitable[P]], *, timeout_s: float) -> None:
        self._connect = connect
        self._prepare = prepare
        self._timeout_s = timeout_s
        self._session: Session | None = None
        self._prepared: P | None = None
        self.opened = 0
        """How many connections it has had: the number of the newest one."""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that has been used and of which nobody knows yet that it is lost."""
        return self._session is not None and self._prepared is not None and not self._session.is_closed()

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
                    self.opened += 1
                return await work(self._prepared)
            finally:
                timer.cancel()
        except (*TROUBLE, TimeoutError) as error:
            self.close()
            raise StorageUnavailable(f"Postgres failed: {error}") from error
        except AttributeError as error:  # what asyncpg raises where the time was up between two statements
            if self._session is None or not self._session.is_closed():
                raise
            self.close()
            raise StorageUnavailable("Postgres did not answer in time") from error

    def close(self) -> None:
        """Gives the connection up: the next unit of work opens a new one."""
        if self._session is not None:
            self._session.terminate()
        self._session = self._prepared = None
