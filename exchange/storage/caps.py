"""What caps have counted, read back for estimates: Postgres decides, this only looks."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from exchange.rules.estimates import Row
from exchange.rules.passed import Key
from exchange.storage.database import Connection, Database

CHUNK_ROWS = 1_000
"""Rows that are read at once, so that a large market does not stop the event loop."""

KEPT_DAYS = 100
"""For how long the windows that are over are kept, for those who look back."""

_COLUMNS = (
    "c.scope, c.subject, c.period, (extract(epoch from c.starts_at) * 1000000)::bigint, "
    "(extract(epoch from c.ends_at) * 1000000)::bigint, c.changes + coalesce(b.changes, 0), c.leads, c.amount_micros, "
    "coalesce((extract(epoch from c.last_at) * 1000000)::bigint, 0), coalesce(b.leads, 0)"
)
_PASSED = (
    "left join let_through b on c.scope = 'order' "
    "and (b.order_key, b.starts_at, b.ends_at) = (c.subject, c.starts_at, c.ends_at) "
)


async def of_subjects(database: Database, subjects: Iterable[tuple[str, str]]) -> list[Row]:
    """The open windows of some subjects, each given by its kind and name."""
    kinds, names = zip(*subjects, strict=True)
    rows = await database.look(
        lambda connection: connection.fetch(
            f"select {_COLUMNS} from unnest($1::text[], $2::text[]) as s (scope, subject) "  # noqa: S608  # constants
            f"join caps c on (c.scope, c.subject) = (s.scope, s.subject) {_PASSED} where c.ends_at > now()",
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
            f"select {_COLUMNS} from caps c {_PASSED} where c.ends_at > now() "  # noqa: S608  # constants
            "and (c.ends_at, c.scope, c.subject, c.period, c.starts_at) > "
            "(timestamptz 'epoch' + $1 * interval '1 us', $2, $3, $4, timestamptz 'epoch' + $5 * interval '1 us') "
            "order by c.ends_at, c.scope, c.subject, c.period, c.starts_at limit $6",
            ends_us,
            *key,
            CHUNK_ROWS,
        )
        return [Row(*row) for row in rows]

    return await database.look(work)


async def add_passed(database: Database, passed: Mapping[Key, int]) -> None:
    """Adds to the leads that orders' filters have let through. Not to be repeated where it may have been done."""
    rows = sorted((order, *window, leads) for (order, window), leads in passed.items())
    await database.run(
        lambda connection: connection.execute(_ADD_PASSED, *(list(column) for column in zip(*rows, strict=True)))
    )


_ADD_PASSED = """
insert into let_through (order_key, starts_at, ends_at, leads, changes)
select order_key, starts_at, ends_at, leads, 1
from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[])
    as added (order_key, starts_at, ends_at, leads)
on conflict (order_key, starts_at, ends_at) do update
    set leads = let_through.leads + excluded.leads, changes = let_through.changes + 1
"""


async def forget(database: Database, now: datetime) -> int:
    """Forgets windows that have been over for long; returns how many."""
    before = now - timedelta(days=KEPT_DAYS)
    await database.run(lambda connection: connection.execute("delete from let_through where ends_at < $1", before))
    done = await database.run(lambda connection: connection.execute("delete from caps where ends_at < $1", before))
    return int(done.rpartition(" ")[2])
