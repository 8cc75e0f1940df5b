"""Migrations: plain SQL files, forward only, each applied once in a transaction of its own and checked ever after."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from exchange.errors import SchemaMismatch
from exchange.storage.primary import connect
from exchange.storage.session import NOT_CONNECTED, Session, failed

PARTITION_DAYS_AHEAD = 14

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x65786368  # one migration run at a time, on any host
_TABLE = """
create table if not exists schema_migrations (
    number     integer primary key,
    name       text        not null,
    sha256     bytea       not null,
    applied_at timestamptz not null default now()
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `migrations/`."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.sql.encode()).digest()

    def __str__(self) -> str:
        return f"{self.number:04d}_{self.name}"


def migrations_folder() -> Path:
    """Where the SQL lies: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def read_migrations(folder: Path) -> tuple[Migration, ...]:
    """All migrations in order. Raises SchemaMismatch for a file that is misnamed or a number that is not next."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise SchemaMismatch(f"{path.name}: migrations are named like 0007_what_it_does.sql")
        found.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
    if [item.number for item in found] != list(range(1, len(found) + 1)):
        raise SchemaMismatch(f"{folder}: migrations must be numbered from 0001 without a gap")
    return tuple(found)


def pending(migrations: Sequence[Migration], applied: Mapping[int, bytes]) -> tuple[Migration, ...]:
    """The migrations still to apply, given the checksums of those that were. Raises SchemaMismatch on any doubt."""
    known = {item.number: item for item in migrations}
    for number, sha256 in sorted(applied.items()):
        if number not in known:
            raise SchemaMismatch(
                f"the database has migration {number:04d}, which this version does not know: run a newer version"
            )
        if known[number].sha256 != sha256:
            raise SchemaMismatch(f"migration {known[number]} was changed after it had been applied: restore the file")
    return tuple(item for item in migrations if item.number not in applied)


async def migrate(url: str, folder: Path) -> tuple[Migration, ...]:
    """Brings the schema up to date and makes the next days' partitions; returns what was applied."""
    migrations = read_migrations(folder)
    connection = await _connect(url)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_TABLE)
        todo = pending(migrations, await _applied(connection))
        for item in todo:
            await _apply(connection, item)
        await connection.execute(
            "select make_ping_partitions((now() at time zone 'UTC')::date, $1)", PARTITION_DAYS_AHEAD
        )
    finally:
        await connection.close()
    return todo


async def status(url: str, folder: Path) -> tuple[tuple[Migration, bool], ...]:
    """Every migration, and whether it is applied."""
    migrations = read_migrations(folder)
    connection = await _connect(url)
    try:
        todo = pending(migrations, await _applied(connection))
    finally:
        await connection.close()
    return tuple((item, item not in todo) for item in migrations)


async def check_schema(url: str, folder: Path) -> None:
    """Raises SchemaMismatch unless the database is exactly at this version's schema."""
    missing = [item for item, is_applied in await status(url, folder) if not is_applied]
    if missing:
        raise SchemaMismatch(f"{len(missing)} migrations are not applied, first {missing[0]}: run `exchange migrate`")


async def _connect(url: str) -> Session:
    """Raises StorageUnavailable where Postgres cannot be reached, or does not let us in."""
    try:
        return await connect(url)
    except NOT_CONNECTED as error:
        raise failed("Postgres cannot be reached", error) from error


async def _applied(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[int, bytes]:
    if await connection.fetchval("select to_regclass('schema_migrations')") is None:
        return {}
    return {row["number"]: row["sha256"] for row in await connection.fetch("select * from schema_migrations")}


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", item: Migration) -> None:
    async with connection.transaction():
        await connection.execute(item.sql)
        await connection.execute(
            "insert into schema_migrations (number, name, sha256) values ($1, $2, $3)",
            item.number,
            item.name,
            item.sha256,
        )
