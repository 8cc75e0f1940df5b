"""Endpoints that are left alone until an operator resets them, and what gateways say of the breakers they have open."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from exchange.rules.pauses import Pause
from exchange.storage.database import Connection, Database

LOOK_TIMEOUT_S = 1.0
GONE_AFTER = timedelta(seconds=5)
"""A gateway that has not been seen for so long is gone."""

RESETS_KEPT = timedelta(days=1)


class Noted(NamedTuple):
    """What is written down of an endpoint: that it is paused, or when it was last reset."""

    pause: Pause
    reset_at: datetime | None


async def noted(database: Database) -> list[Noted]:
    """All pauses, and the resets of late."""
    rows = await database.look(
        lambda connection: connection.fetch("select * from endpoint_pauses"), timeout_s=LOOK_TIMEOUT_S
    )
    return [Noted(Pause(row["buyer"], row["endpoint"], row["why"], row["paused_at"]), row["reset_at"]) for row in rows]


async def pause(database: Database, found: Pause) -> None:
    """Writes a pause down; one that is there already stays as it is, and one that was reset since is not made again."""
    await database.run(
        lambda connection: connection.execute(
            "insert into endpoint_pauses as known (buyer, endpoint, why, paused_at) values ($1, $2, $3, $4) "
            "on conflict (buyer, endpoint) do update set why = excluded.why, paused_at = excluded.paused_at "
            "where known.paused_at is null and coalesce(known.reset_at < excluded.paused_at, true)",
            *found,
        )
    )


async def reset(database: Database, buyer: str, endpoint: str) -> None:
    """Ends an endpoint's pause, and has every gateway close its breakers."""
    await database.run(
        lambda connection: connection.execute(
            "insert into endpoint_pauses (buyer, endpoint, why, reset_at) values ($1, $2, '', clock_timestamp()) "
            "on conflict (buyer, endpoint) do update set why = '', paused_at = null, reset_at = excluded.reset_at",
            buyer,
            endpoint,
        )
    )


async def seen(database: Database, gateway: UUID, unwell: Sequence[dict[str, Any]]) -> int:
    """Says that a gateway is there, and what it has open; how many there are."""
    alive: int = await database.look(
        lambda connection: connection.fetchval(
            "select seen_gateway($1, $2, $3)", gateway, orjson.dumps(unwell).decode(), GONE_AFTER
        ),
        timeout_s=LOOK_TIMEOUT_S,
    )
    return alive


async def leave(database: Database, gateway: UUID) -> None:
    """A gateway says that it goes."""
    await database.run(lambda connection: connection.execute("delete from gateways where gateway = $1", gateway))


async def said(database: Database) -> list[tuple[UUID, list[dict[str, Any]]]]:
    """What each gateway that is there has open."""

    async def work(connection: Connection) -> Iterable[Any]:
        return await connection.fetch(
            "select gateway, unwell from gateways where seen_at > clock_timestamp() - $1::interval order by gateway",
            GONE_AFTER,
        )

    return [(row["gateway"], orjson.loads(row["unwell"])) for row in await database.run(work)]


async def forget(database: Database) -> int:
    """Forgets gateways that are gone, and resets that every gateway has heard of; how many."""

    async def work(connection: Connection) -> int:
        gone = await connection.execute(
            "delete from gateways where seen_at < clock_timestamp() - 10 * $1::interval", GONE_AFTER
        )
        old = await connection.execute(
            "delete from endpoint_pauses where paused_at is null and reset_at < clock_timestamp() - $1::interval",
            RESETS_KEPT,
        )
        return sum(int(done.rpartition(" ")[2]) for done in (gone, old))

    return await database.run(work)
