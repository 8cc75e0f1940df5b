"""The journal: pings reach Postgres by natural group commit.

While one batch commits, the next gathers; there is no timer. Whoever waits for his ping is released by the commit that
holds it. The buffer is bounded: full means that the caller is told so, never that a ping is lost.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence

import asyncpg
import structlog

from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.storage.database import Database
from exchange.storage.ping_rows import PingRow, PingWriter, prepare_writer
from exchange.storage.session import Standing
from exchange.values.deadline import Deadline

BATCH_ROWS_MAX = 500
STALLED_S = 1.0
"""A commit under way for longer than this is not to be hoped for."""
TIMER_GRAIN_S = 0.002
"""Event loops round: a timer may be this early."""
PROBE_S = 0.5
"""How often, and for how long, a Postgres that was gone is asked whether it is back."""

log = structlog.get_logger(__name__)


_Waiting = tuple[PingRow, "asyncio.Future[None] | None"]


class Journal:
    """Writes pings in batches, one batch under way at a time.

    While Postgres is away whoever waits is told so, at once or at his deadline; pings that nobody waits for stay in
    the buffer and are written when it is back. Writing a row twice changes nothing, so a batch whose commit was cut off
    is simply written again.
    """

    def __init__(self, database: Database, *, rows_max: int) -> None:
        self._loop = asyncio.get_running_loop()  # asking for it costs a system call
        self._writing: Standing[PingWriter] = database.standing(prepare_writer)
        self._rows_max = rows_max
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._began_s: float | None = None
        self._is_down = False
        self._due_s: dict[asyncio.Future[None], float] = {}
        self._clock: asyncio.TimerHandle | None = None
        self._rings_s = math.inf
        self._task = self._loop.create_task(self._write_all(), name="journal")

    @property
    def is_down(self) -> bool:
        """Whether a commit cannot be hoped for now: the last one failed, or the one under way takes too long."""
        return self._is_down or (self._began_s is not None and time.monotonic() - self._began_s > STALLED_S)

    def measure(self) -> None:
        """Brings the metric of what is waiting up to date."""
        metrics.JOURNAL_DEPTH.set(len(self._waiting))

    async def connect(self) -> None:
        """Connects before there are pings, or the first would wait for it. Raises StorageUnavailable."""
        await self._writing.run(PingWriter.probe)

    def append(self, row: PingRow) -> None:
        """Records a ping that nobody waits for. Raises StorageUnavailable where the buffer is full."""
        self._add(row, None)

    async def commit(self, row: PingRow, deadline: Deadline) -> None:
        """Records a ping and returns when it is committed. Raises StorageUnavailable where it is not by `deadline`."""
        committed: asyncio.Future[None] = self._loop.create_future()
        self._add(row, committed)
        self._due_s[committed] = deadline.at_s
        if deadline.at_s < self._rings_s:
            self._ring_at(deadline.at_s)
        try:
            await committed
        finally:
            del self._due_s[committed]

    async def close(self) -> None:
        """Writes what is still waiting, then ends; what cannot be written by then is counted as lost."""
        self._closing = True
        self._arrived.set()
        await self._task
        if self._clock is not None:
            self._clock.cancel()
        _fail(list(self._waiting), StorageUnavailable("the journal is closed"))
        self._writing.close()

    def _ring_at(self, moment_s: float) -> None:
        """Sets the one clock of all who wait: nearly every ping is committed long before it, and sets none."""
        if self._clock is not None:
            self._clock.cancel()
        self._rings_s = moment_s
        self._clock = self._loop.call_later(max(0.0, moment_s - time.monotonic()), self._give_up)

    def _give_up(self) -> None:
        """Tells those whose deadline has come, and sets the clock for the first of the others."""
        now_s, self._rings_s, self._clock = time.monotonic() + TIMER_GRAIN_S, math.inf, None
        for committed, due_s in self._due_s.items():
            if committed.done():
                continue
            if due_s <= now_s:
                committed.set_exception(StorageUnavailable("Postgres did not commit in time"))
            else:
                self._rings_s = min(self._rings_s, due_s)
        if self._rings_s < math.inf:
            self._ring_at(self._rings_s)

    def _add(self, row: PingRow, committed: "asyncio.Future[None] | None") -> None:
        if len(self._waiting) >= self._rows_max:
            metrics.JOURNAL_FULL.add()
            metrics.REQUESTS_SHED.add(("journal_full",))
            metrics.LIMITS_HIT.add(("journal_rows_max",))
            raise StorageUnavailable("the journal's buffer is full")
        self._waiting.append((row, committed))
        self._arrived.set()

    async def _write_all(self) -> None:
        while self._waiting or not self._closing:
            if self._is_down:
                await self._wait_for_postgres()
                if self._is_down and self._closing:
                    return
                continue
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            self._began_s = time.monotonic()
            await self._write([self._waiting.popleft() for _ in range(min(BATCH_ROWS_MAX, len(self._waiting)))])
            self._began_s = None

    async def _wait_for_postgres(self) -> None:
        try:
            await self._writing.run(PingWriter.probe, timeout_s=PROBE_S)
        except StorageUnavailable:
            await asyncio.sleep(PROBE_S)
        else:
            self._is_down = False

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        """Writes one batch and releases its waiters. A row that Postgres refuses fails alone."""
        began_s = time.monotonic()
        try:
            await self._insert_twice([row for row, _ in batch])
        except StorageUnavailable as error:
            self._is_down = True
            _fail([(row, committed) for row, committed in batch if committed is not None], error)
            self._waiting.extendleft(item for item in reversed(batch) if item[1] is None)
        except asyncpg.PostgresError as error:
            if len(batch) == 1:
                _fail(batch, StorageUnavailable(f"a ping could not be recorded: {type(error).__name__}"))
            else:
                await self._write(batch[: len(batch) // 2])
                await self._write(batch[len(batch) // 2 :])
        else:
            metrics.JOURNAL_ROWS.add(amount=len(batch))
            metrics.JOURNAL_BATCH_ROWS.observe(len(batch))
            metrics.JOURNAL_COMMIT_SECONDS.observe(time.monotonic() - began_s)
            for _, committed in batch:
                if committed is not None and not committed.done():
                    committed.set_result(None)

    async def _insert_twice(self, rows: Sequence[PingRow]) -> None:
        """Writes rows, and writes them again where the connection was lost: the first commit may have been cut off."""
        try:
            await self._writing.run(lambda writer: writer.write(rows))
        except StorageUnavailable:
            await self._writing.run(lambda writer: writer.write(rows), timeout_s=PROBE_S)


def _fail(batch: Sequence[_Waiting], error: StorageUnavailable) -> None:
    if batch:
        metrics.JOURNAL_ROWS_LOST.add(amount=len(batch))
        log.error("pings_not_recorded", rows=len(batch), error=str(error))
    for _, committed in batch:
        if committed is not None and not committed.done():
            committed.set_exception(error)
