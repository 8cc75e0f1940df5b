"""What caps have counted, read back for estimates: Postgres decides, this only looks."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from exchange.rules.room import Row
from exchange.storage.database import Connection, Database

CHUNK_ROWS = 1_000
"""Rows that are read at once, so that a large market does not stop the event loop."""

KEPT_DAYS = 100
"""For how long the windows that are over are kept, for those who look back."""

_COLUMNS = (
    "scope, subject, period, (extract(epoch from starts_at) * 1000000)::bigint, "
    "(extract(epoch from ends_at) * 1000000)::bigint, changes, leads, amount_micros"
)


async def of_subjects(database: Database, subjects: Iterable[tuple[str, str]]) -> list[Row]:
    """The open windows of some subjects, each given by its kind and name."""
    kinds, names = zip(*subjects, strict=True)
    rows = await database.look(
        lambda connection: connection.fetch(
            f"select {_COLUMNS} from unnest($1::text[], $2::text[]) as s (scope, subject) "  # noqa: S608  # a constant
            "join caps using (scope, subject) where ends_at > now()",
            kinds,
            names,
        )
    )
    return [Row(*row) for row in rows]


async def page(database: Database, after: Row | None) -> list[Row]:
    """Open windows in order, from the one after `after` on: at most CHUNK_ROWS, fewer where these are the last."""
    ends_us, *key = (after.ends_us, *after[:4]) if after else (0, "", "", "", 0)

    async def work(connection: Connection) -> list[Row]:
        rows = await connection.fetch(
            f"select {_COLUMNS} from caps where ends_at > now() "  # noqa: S608  # a constant
            "and (ends_at, scope, subject, period, starts_at) > "
            "(timestamptz 'epoch' + $1 * interval '1 us', $2, $3, $4, timestamptz 'epoch' + $5 * interval '1 us') "
            "order by ends_at, scope, subject, period, starts_at limit $6",
            ends_us,
            *key,
            CHUNK_ROWS,
        )
        return [Row(*row) for row in rows]

    return await database.look(work)


async def forget(database: Database, now: datetime) -> int:
    """Forgets windows that have been over for long; returns how many."""
    done = await database.run(
        lambda connection: connection.execute("delete from caps where ends_at < $1", now - timedelta(days=KEPT_DAYS))
    )
    return int(done.rpartition(" ")[2])
