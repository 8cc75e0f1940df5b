"""The journal: pings reach Postgres by natural group commit.

While one batch commits, the next gathers; there is no timer. Whoever waits for his ping is released by the commit that
holds it. The buffer is bounded: full means that the caller is told so, never that a ping is lost.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import asyncpg
import structlog

from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.storage.database import Connection, Database

BATCH_ROWS_MAX = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PingRow:
    """One row of `pings`; `ladder`, `lead` and `trace` are JSON text."""

    day: date
    ping_id: UUID
    seller: str
    campaign: str
    market_version: int
    status: str
    reason: int | None
    test: bool
    currency: str
    source: str | None
    ref: str | None
    min_price_micros: int | None
    payout_micros: int | None
    expires_at: datetime | None
    ladder: str | None
    lead: str
    trace: str


COLUMNS = (
    "day:date", "ping_id:uuid", "seller:text", "campaign:text", "market_version:bigint", "status:text",
    "reason:smallint", "test:boolean", "currency:text", "source:text", "ref:text", "min_price_micros:bigint",
    "payout_micros:bigint", "expires_at:timestamptz", "ladder:json", "lead:json", "trace:json",
)  # fmt: skip
_NAMES = tuple(column.partition(":")[0] for column in COLUMNS)
_TYPES = tuple(column.partition(":")[2] for column in COLUMNS)
_SELECTED = ", ".join(f"{name}::json" if kind == "json" else name for name, kind in zip(_NAMES, _TYPES, strict=True))
_ARRAYS = ", ".join(f"${i}::{'text' if kind == 'json' else kind}[]" for i, kind in enumerate(_TYPES, 1))
INSERT = (
    f"insert into pings ({', '.join(_NAMES)}) select {_SELECTED} "  # noqa: S608  # constants of this module
    f"from unnest({_ARRAYS}) as rows ({', '.join(_NAMES)}) on conflict do nothing"
)

_Waiting = tuple[PingRow, "asyncio.Future[None] | None"]


class Journal:
    """Writes pings in batches, one batch under way at a time."""

    def __init__(self, database: Database, *, rows_max: int) -> None:
        self._database = database
        self._rows_max = rows_max
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._writer = asyncio.create_task(self._write_all(), name="journal")

    def append(self, row: PingRow) -> None:
        """Records a ping that nobody waits for. Raises StorageUnavailable where the buffer is full."""
        self._add(row, None)

    async def commit(self, row: PingRow) -> None:
        """Records a ping and returns when it is committed. Raises StorageUnavailable where it is not."""
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._add(row, committed)
        await committed

    async def close(self) -> None:
        """Writes what is still waiting, then ends."""
        self._closing = True
        self._arrived.set()
        await self._writer

    def _add(self, row: PingRow, committed: "asyncio.Future[None] | None") -> None:
        if len(self._waiting) >= self._rows_max:
            metrics.JOURNAL_FULL.inc()
            raise StorageUnavailable("the journal's buffer is full")
        self._waiting.append((row, committed))
        self._arrived.set()

    async def _write_all(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._write([self._waiting.popleft() for _ in range(min(BATCH_ROWS_MAX, len(self._waiting)))])

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        """Writes one batch and releases its waiters. A row that Postgres refuses fails alone."""
        try:
            await self._database.run(lambda connection: _insert(connection, [row for row, _ in batch]))
        except StorageUnavailable as error:
            _fail(batch, error)
        except asyncpg.PostgresError as error:
            if len(batch) == 1:
                _fail(batch, StorageUnavailable(f"a ping could not be recorded: {type(error).__name__}"))
            else:
                await self._write(batch[: len(batch) // 2])
                await self._write(batch[len(batch) // 2 :])
        else:
            metrics.JOURNAL_ROWS.inc(len(batch))
            metrics.JOURNAL_BATCH_ROWS.observe(len(batch))
            for _, committed in batch:
                if committed is not None and not committed.done():
                    committed.set_result(None)


def _fail(batch: Sequence[_Waiting], error: StorageUnavailable) -> None:
    metrics.JOURNAL_ROWS_LOST.inc(len(batch))
    log.error("pings_not_recorded", rows=len(batch), error=str(error))
    for _, committed in batch:
        if committed is not None and not committed.done():
            committed.set_exception(error)


async def _insert(connection: Connection, rows: Sequence[PingRow]) -> None:
    await connection.execute(INSERT, *([getattr(row, name) for row in rows] for name in _NAMES))
