"""Market versions: every applied market is kept, the newest is in force, and each new one is announced."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from exchange.storage.database import Connection, Database
from exchange.values.market import Market

CHANNEL = "exchange_market"
LOOK_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class MarketVersion:
    """A stored market file, as the document that was read from it."""

    version: int
    document: dict[str, Any]
    note: str
    created_at: datetime


async def newest(database: Database) -> MarketVersion | None:
    """The market in force, or None where none was ever applied."""
    return await database.run(
        lambda connection: _read(connection, "select * from market_versions order by version desc limit 1")
    )


async def version(database: Database, number: int) -> MarketVersion | None:
    """One stored version."""
    return await database.run(
        lambda connection: _read(connection, "select * from market_versions where version = $1", number)
    )


async def newest_number(database: Database) -> int:
    """The number of the market in force, 0 where there is none: cheap, for a periodic compare."""
    found = await database.run(
        lambda connection: connection.fetchval("select max(version) from market_versions"), timeout_s=LOOK_TIMEOUT_S
    )
    return found or 0


async def apply(database: Database, document: dict[str, Any], market: Market, note: str) -> int:
    """Stores a market as the newest version, with accounts for all in it, and announces it. Returns its number."""
    text = orjson.dumps(document).decode()

    async def work(connection: Connection) -> int:
        number: int = await connection.fetchval(
            "insert into market_versions (document, sha256, note) values ($1, $2, $3) returning version",
            text,
            hashlib.sha256(text.encode()).digest(),
            note,
        )
        await _open_accounts(connection, market)
        await connection.execute("select pg_notify($1, $2)", CHANNEL, str(number))
        return number

    return await database.transact(work, timeout_s=60)


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


async def _read(connection: Connection, query: str, *arguments: object) -> MarketVersion | None:
    row = await connection.fetchrow(query, *arguments)
    if row is None:
        return None
    return MarketVersion(row["version"], orjson.loads(row["document"]), row["note"], row["created_at"])
