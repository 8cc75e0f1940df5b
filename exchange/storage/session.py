"""A connection to Postgres that one user keeps for himself, and what it means for one to fail."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, Protocol, TypeVar

import asyncpg
import asyncpg.prepared_stmt
from asyncpg.exceptions import TargetServerAttributeNotMatched

from exchange.errors import StorageUnavailable, TakesNoWrites


class Session(asyncpg.Connection):
    """A connection, and to whom since when. `server` is another after every start of a server, and on every host."""

    __slots__ = ("address", "opened_s", "server")
    address: tuple[str, int | None] | None
    server: str
    opened_s: float


Statement = asyncpg.prepared_stmt.PreparedStatement
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

NOT_CONNECTED = (
    *TROUBLE,
    TimeoutError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
)
"""Where Postgres cannot be reached, or does not let us in."""

_READ_ONLY = (TakesNoWrites, asyncpg.ReadOnlySQLTransactionError, TargetServerAttributeNotMatched)

WAITS_FOR_STANDBYS = "SyncRepWaitForLSN"
"""What Postgres calls the place in which a commit waits, and from which it says that somebody has ended the wait."""


def failed(what: str, error: BaseException) -> StorageUnavailable:
    """What an error of Postgres's means to whoever wanted something of it."""
    kind = TakesNoWrites if isinstance(error, _READ_ONLY) else StorageUnavailable
    return kind(f"{what}: {error}")


class Connector(Protocol):
    """Who makes connections, and is told which have failed."""

    async def connect(self) -> Session: ...

    def distrust(self, session: Session) -> None: ...


@contextmanager
def confirmed(session: Any) -> Iterator[None]:
    """Raises StorageUnavailable where somebody has ended a commit's wait for its standby: Postgres only warns of it."""
    ended: list[str] = []

    def hear(_: object, message: asyncpg.PostgresLogMessage) -> None:
        if message.server_source_function == WAITS_FOR_STANDBYS:
            ended.append(str(message))

    session.add_log_listener(hear)
    try:
        yield
    finally:
        with suppress(asyncpg.InterfaceError):  # the pool has taken back what was cut off
            session.remove_log_listener(hear)
    if ended:
        session.terminate()
        raise StorageUnavailable("a commit has not been confirmed by a standby")


class Standing(Generic[P]):
    """A connection that is kept by one user, who runs one unit of work at a time: it costs nothing to come by."""

    def __init__(self, connector: Connector, prepare: Callable[[Session], Awaitable[P]], *, timeout_s: float) -> None:
        self._connector = connector
        self._prepare = prepare
        self._timeout_s = timeout_s
        self._session: Session | None = None
        self._prepared: P | None = None
        self.opened = 0
        """How many connections it has had: the number of the newest one."""
        self.server, self.opened_s = "", 0.0
        """Whom the newest one was made to, and when."""

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
                    self._session = await self._connector.connect()
            timer = loop.call_at(ends_at_s, self._session.terminate)  # a frozen server heeds nothing less
            try:
                if self._prepared is None:
                    self._prepared = await self._prepare(self._session)
                    self.opened += 1
                    self.server, self.opened_s = self._session.server, self._session.opened_s
                with confirmed(self._session):
                    return await work(self._prepared)
            finally:
                timer.cancel()
        except (*TROUBLE, TimeoutError) as error:
            self._give_up()
            raise failed("Postgres failed", error) from error
        except StorageUnavailable:  # it was not confirmed
            self._give_up()
            raise
        except AttributeError as error:  # what asyncpg raises where the time was up between two statements
            if self._session is None or not self._session.is_closed():
                raise
            self._give_up()
            raise StorageUnavailable("Postgres did not answer in time") from error

    def close(self) -> None:
        """Gives the connection up: the next unit of work opens a new one."""
        if self._session is not None:
            self._session.terminate()
        self._session = self._prepared = None

    def _give_up(self) -> None:
        if self._session is not None:
            self._connector.distrust(self._session)
        self.close()
