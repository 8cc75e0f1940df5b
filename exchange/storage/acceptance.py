"""How often each order's leads are accepted, counted in Postgres every few seconds, off the hot path."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import structlog

from exchange.background import stop
from exchange.errors import StorageUnavailable
from exchange.rules.acceptance import Tally, acceptances
from exchange.storage.database import Database

COUNT_EVERY_S = 5.0
COUNT_SHARE = 20
"""Counting takes at most one part in so many of the time."""

ORDERS_MAX = 500
"""Orders counted in one query."""

_COUNT = """
    select o.order_key, count(*), count(*) filter (where a.state in ('accepted', 'presumed_accepted'))
    from unnest($1::text[]) as o (order_key)
    cross join lateral (
        select state from attempts
        where order_key = o.order_key and created_at > now() - interval '7 days' and not test
            and state in ('accepted', 'presumed_accepted', 'rejected', 'presumed_rejected', 'not_sent')
        order by created_at desc limit 200
    ) a
    group by o.order_key
"""
"""The newest attempts of each order that came to an end: what is unknown says nothing yet."""

Wanted = Callable[[], Sequence[Sequence[str]]]
"""The orders to count, campaign by campaign."""

log = structlog.get_logger(__name__)


class Acceptance:
    """Keeps `measured` up to date: each wanted order's acceptance in parts per million, as far as it is known."""

    def __init__(self, database: Database, wanted: Wanted) -> None:
        self.measured: Mapping[str, int] = MappingProxyType({})
        self._database = database
        self._wanted = wanted
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Counts now, and again and again."""
        self._tasks = [asyncio.create_task(self._follow(), name="acceptance")]

    async def close(self) -> None:
        await stop(self._tasks)

    async def count(self) -> None:
        """Counts once. Raises StorageUnavailable."""
        measured: dict[str, int] = {}
        for orders in self._wanted():
            tallies: dict[str, Tally] = {}
            for start in range(0, len(orders), ORDERS_MAX):
                tallies |= await self._tallies(orders[start : start + ORDERS_MAX])
            measured |= acceptances(orders, tallies)
        self.measured = measured

    async def _tallies(self, orders: Sequence[str]) -> dict[str, Tally]:
        rows = await self._database.run(lambda connection: connection.fetch(_COUNT, orders))
        return {order: Tally(tried, accepted) for order, tried, accepted in rows}

    async def _follow(self) -> None:
        while True:
            began_s = time.monotonic()
            try:
                await self.count()
            except StorageUnavailable as error:
                log.warning("acceptance_not_counted", error=str(error))
            except Exception:
                log.exception("acceptance_not_followed")  # whatever it was, it must be counted again
            await asyncio.sleep(max(COUNT_EVERY_S, COUNT_SHARE * (time.monotonic() - began_s)))
