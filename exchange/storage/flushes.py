"""Flushes: commits that have not waited for the disk are waited for together, before anybody is told of them.

While one flush is under way, the next gathers; there is no timer. A flush is a transaction of its own that commits in
the usual way. Postgres writes in the order of commits, and sends to its standbys in that order: what was committed
before is durable with it, also on a synchronous standby, for which a flush waits as any commit does.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.storage.session import Session, Standing, Statement, failed

FLUSH = "select pg_logical_emit_message(true, 'exchange', '')"
"""The least that makes a commit wait: a transaction that has written nothing does not."""


class Mark(NamedTuple):
    """The connection on which work that begins now has to be flushed: its number, its server, and since when it is."""

    opened: int
    server: str
    opened_s: float


_Waiting = tuple[Mark | None, "asyncio.Future[None]"]


class Flushes:
    """Flushes for all units of work of a process, on a connection of their own.

    A flush on a connection that was opened after the commit says nothing: Postgres may have crashed in between, and
    have come back without it. No connection outlives a crash. So whoever commits takes a mark first, and only the
    connection of that mark can confirm what he has done, at the same server: after a failover there may be two.
    """

    def __init__(self, connection: Standing[Statement]) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def mark(self) -> Mark:
        """To be taken before work begins. Raises StorageUnavailable where Postgres cannot be reached."""
        if not self._connection.is_open:
            await self._next(None)
        return self._mark()

    async def flush(self, mark: Mark) -> None:
        """Returns when everything is durable that was committed before the call and after the mark was taken.

        Raises StorageUnavailable where that is not known.
        """
        await self._next(mark)

    def renew(self) -> None:
        """Gives the connection up: there is another primary. Whoever waits on it is told that nothing is known."""
        self._connection.close()

    async def close(self) -> None:
        """Ends the flush that is under way; whoever waits for it is told that nothing is known."""
        self._connection.close()
        if self._task is not None:
            await self._task

    def _mark(self) -> Mark:
        connection = self._connection
        return Mark(connection.opened, connection.server, connection.opened_s)

    async def _next(self, mark: Mark | None) -> None:
        flushed: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((mark, flushed))
        if self._task is None:
            self._task = self._loop.create_task(self._flush_all(), name="flushes")
        await flushed

    async def _flush_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            began_s = time.monotonic()
            try:
                await self._connection.run(Statement.fetchval)
            except (StorageUnavailable, asyncpg.PostgresError) as error:
                _release(batch, [failed("a flush failed", error) for _ in batch])
            else:
                _release(batch, [self._doubt(mark) for mark, _ in batch])
            metrics.FLUSH_SECONDS.observe(time.monotonic() - began_s)
        self._task = None

    def _doubt(self, mark: Mark | None) -> StorageUnavailable | None:
        """Why a flush that was done does not confirm what was committed under a mark, if it does not."""
        if mark is None or mark.opened == self._connection.opened:
            return None
        return StorageUnavailable("Postgres may have lost what it had committed")


def _release(batch: Sequence[_Waiting], doubts: Sequence[StorageUnavailable | None]) -> None:
    for (_, flushed), doubt in zip(batch, doubts, strict=True):
        if flushed.done():
            continue
        if doubt is None:
            flushed.set_result(None)
        else:
            flushed.set_exception(doubt)


async def prepare_flush(session: Session) -> Statement:
    """What `Flushes` are given to run."""
    return await session.prepare(FLUSH)
