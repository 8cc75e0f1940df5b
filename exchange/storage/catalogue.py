"""Market versions: every applied market is kept, the newest is in force, and each new one is announced."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from exchange import json_pieces
from exchange.storage.database import Connection, Database
from exchange.storage.followers import follow
from exchange.values.market import Market

CHANNEL = "exchange_market"
APPLY_TIMEOUT_S = 60
LOOK_TIMEOUT_S = 1.0
AT_ONCE_CHARS = 64 * 1024
"""A text that is no longer is read in less than a millisecond."""


@dataclass(frozen=True, slots=True)
class MarketVersion:
    """A stored market file, as the document that was read from it."""

    version: int
    document: dict[str, Any]
    note: str
    created_at: datetime
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class MarketText:
    """A stored market file as its JSON text: reading it takes a while, which is the reader's business."""

    version: int
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is kept of a change besides the market: why, who (a key's public half), and how much, where it is known."""

    note: str = ""
    made_by: str = ""
    added: int | None = None
    changed: int | None = None
    removed: int | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """A market version as the log has it, without its document."""

    version: int
    created_at: datetime
    stamp: Stamp


async def newest(database: Database) -> MarketVersion | None:
    """The market in force, or None where none was ever applied."""
    return await _found(database, "select * from market_versions order by version desc limit 1")


async def newest_buyers(database: Database) -> dict[str, Any]:
    """The buyers of the market in force, as the document has them; none where none was ever applied."""
    query = "select document -> 'buyers' from market_versions order by version desc limit 1"
    text = await database.run(lambda connection: connection.fetchval(query))
    return {} if text is None else await _document(text) or {}


async def newest_text(database: Database) -> MarketText | None:
    """The market in force, not yet read, or None where none was ever applied."""
    query = "select version, document, created_at from market_versions order by version desc limit 1"
    row = await database.run(lambda connection: connection.fetchrow(query))
    return None if row is None else MarketText(row["version"], row["document"], row["created_at"])


async def newest_bytes(database: Database) -> int:
    """How long the text of the market in force is, 0 where none was ever applied."""
    query = "select octet_length(document::text) from market_versions order by version desc limit 1"
    found = await database.look(lambda connection: connection.fetchval(query))
    return found or 0


async def version(database: Database, number: int) -> MarketVersion | None:
    """One stored version."""
    return await _found(database, "select * from market_versions where version = $1", number)


async def newest_number(database: Database) -> int:
    """The number of the market in force, 0 where there is none: cheap, for a periodic compare."""
    found = await database.look(
        lambda connection: connection.fetchval("select max(version) from market_versions"), timeout_s=LOOK_TIMEOUT_S
    )
    return found or 0


async def apply(database: Database, document: dict[str, Any], market: Market, note: str) -> int:
    """Stores a market as the newest version, with accounts for all in it, and announces it. Returns its number."""
    text, stamp = await _written(document), Stamp(note)
    return await database.transact(
        lambda connection: _store(connection, text, market, stamp), timeout_s=APPLY_TIMEOUT_S
    )


async def apply_after(
    database: Database, base: int, document: dict[str, Any], market: Market, stamp: Stamp
) -> int | None:
    """As `apply`, but only while version `base` is in force (0: none yet); None where another one is by now."""
    text = await _written(document)

    async def work(connection: Connection) -> int | None:
        await connection.execute("lock table market_versions in share row exclusive mode")
        if (await connection.fetchval("select max(version) from market_versions") or 0) != base:
            return None
        return await _store(connection, text, market, stamp)

    return await database.transact(work, timeout_s=APPLY_TIMEOUT_S)


async def log(database: Database, rows_max: int, before: int | None = None) -> list[Logged]:
    """The newest versions (older than `before`), newest first."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select version, created_at, note, made_by, added, changed, removed from market_versions "
            "where $2::bigint is null or version < $2 order by version desc limit $1",
            rows_max,
            before,
        )
    )
    return [Logged(row["version"], row["created_at"], Stamp(*list(row.values())[2:])) for row in rows]


async def previous(database: Database, number: int) -> MarketVersion | None:
    """The version before one; None for the first."""
    query = "select * from market_versions where version < $1 order by version desc limit 1"
    return await _found(database, query, number)


async def _store(connection: Connection, text: "_Written", market: Market, stamp: Stamp) -> int:
    number: int = await connection.fetchval(
        "insert into market_versions (document, sha256, note, made_by, added, changed, removed) "
        "values ($1, $2, $3, $4, $5, $6, $7) returning version",
        text.text,
        text.sha256,
        stamp.note,
        stamp.made_by,
        stamp.added,
        stamp.changed,
        stamp.removed,
    )
    await _open_accounts(connection, market)
    await follow(connection, market)
    await connection.execute("select pg_notify($1, $2)", CHANNEL, str(number))
    return number


async def _open_accounts(connection: Connection, market: Market) -> None:
    """Accounts for every buyer and seller; a credit limit is the buyer's newest one."""
    buyers = sorted(market.buyers.items())
    await connection.execute(
        "insert into accounts (kind, owner, currency, credit_limit_micros) "
        "select 'buyer', owner, $3, credit_limit from unnest($1::text[], $2::bigint[]) as buyers (owner, credit_limit) "
        "on conflict (kind, owner, currency) do update set credit_limit_micros = excluded.credit_limit_micros "
        "where accounts.credit_limit_micros <> excluded.credit_limit_micros",
        [key for key, _ in buyers],
        [buyer.credit_limit_micros for _, buyer in buyers],
        market.currency,
    )
    owners = [("seller", key) for key in sorted(market.sellers)] + [
        ("exchange", owner) for owner in ("bank", "clearing", "margin")
    ]
    await connection.execute(
        "insert into accounts (kind, owner, currency) select kind, owner, $3 from unnest($1::text[], $2::text[]) "
        "as owners (kind, owner) on conflict do nothing",
        [kind for kind, _ in owners],
        [owner for _, owner in owners],
        market.currency,
    )


async def _found(database: Database, query: str, *arguments: object) -> MarketVersion | None:
    row = await database.run(lambda connection: connection.fetchrow(query, *arguments))
    if row is None:
        return None
    return MarketVersion(
        row["version"], await _document(row["document"]), row["note"], row["created_at"], row["made_by"]
    )


async def _document(text: str) -> Any:
    """What a stored text holds; a long one is read in a thread, beside which pings go on."""
    return orjson.loads(text) if len(text) <= AT_ONCE_CHARS else await asyncio.to_thread(json_pieces.loads, text)


class _Written(NamedTuple):
    """A document as it is stored."""

    text: str
    sha256: bytes


async def _written(document: dict[str, Any]) -> _Written:
    return await asyncio.to_thread(_text_of, document)


def _text_of(document: dict[str, Any]) -> _Written:
    text = json_pieces.dumps(document)
    return _Written(text, hashlib.sha256(text.encode()).digest())
