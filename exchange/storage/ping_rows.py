"""Rows of `pings`, and how they are written: one by one while they are few, as arrays once they are many."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from exchange.storage.session import Session, Statement

FEW_ROWS_MAX = 8
"""Up to here rows sent one by one cost the gateway half of what arrays do, and Postgres the same; beyond, twice."""


class PingRow(NamedTuple):
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
    notice_at: datetime | None = None


_NAMES = PingRow._fields
_TYPES = (
    "date", "uuid", "text", "text", "bigint", "text", "smallint", "boolean", "text", "text", "text", "bigint", "bigint",
    "timestamptz", "json", "json", "json", "timestamptz",
)  # fmt: skip
_SELECTED = ", ".join(f"{name}::json" if kind == "json" else name for name, kind in zip(_NAMES, _TYPES, strict=True))
_ARRAYS = ", ".join(f"${i}::{'text' if kind == 'json' else kind}[]" for i, kind in enumerate(_TYPES, 1))
_INTO = f"insert into pings ({', '.join(_NAMES)})"
ONE = f"{_INTO} values ({', '.join(f'${i}' for i in range(1, len(_NAMES) + 1))}) on conflict do nothing"
MANY = (
    f"{_INTO} select {_SELECTED} "  # noqa: S608  # constants of this module
    f"from unnest({_ARRAYS}) as rows ({', '.join(_NAMES)}) on conflict do nothing"
)


class PingWriter:
    """Writes rows on one connection by statements that were prepared once. A row that is there already stays."""

    def __init__(self, one: Statement, many: Statement, probe: Statement) -> None:
        self._one = one
        self._many = many
        self._probe = probe

    async def write(self, rows: Sequence[PingRow]) -> None:
        """Commits rows together. Raises what asyncpg raises, and then none is written."""
        if len(rows) <= FEW_ROWS_MAX:
            await self._one.executemany(rows)
        else:
            await self._many.fetch(*map(list, zip(*rows, strict=True)))

    async def probe(self) -> None:
        """Asks whether Postgres answers."""
        await self._probe.fetch()


async def prepare_writer(session: Session) -> PingWriter:
    """Prepares the statements on a connection."""
    return PingWriter(*[await session.prepare(query) for query in (ONE, MANY, "select 1")])
