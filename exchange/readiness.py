"""Readiness: whether a gateway should be sent requests, and if not, why."""

import asyncio
from collections.abc import Awaitable, Callable

from exchange.background import stop
from exchange.errors import StorageUnavailable, TakesNoWrites
from exchange.live import LiveMarket
from exchange.rules.book import RuleBook
from exchange.storage.database import Database

ANSWER_S = 1.0
"""A Postgres that is silent for so long does not answer: whoever asks has little more patience than that."""

NO_WRITES = "Postgres takes no writes"
NOT_RECORDED = "pings cannot be recorded"
_WRITABLE = "select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'"


class Readiness:
    """Ready is who has a market in force, connections to its buyers, and a Postgres to write to, and is to stay."""

    def __init__(
        self,
        live: LiveMarket,
        database: Database,
        stopping: asyncio.Event,
        warm: Callable[[RuleBook], Awaitable[None]],
        is_cut_off: Callable[[], bool],
    ) -> None:
        """`warm` makes connections to the buyers of a market, and does not take long over it.

        `is_cut_off` says whether pings cannot be recorded, which may be so for a moment after Postgres has come back.

        Once `stopping` is set, the gateway finishes what it has, and should be sent nothing new.
        """
        self._live = live
        self._database = database
        self._warm = warm
        self._is_cut_off = is_cut_off
        self._is_warm = False
        self._stopping = stopping
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Makes the connections; where there is no market yet, as soon as there is one."""
        warming = asyncio.create_task(self._warm_first(), name="warm")
        if self._live.book is None:
            self._task = warming
        else:
            await warming

    async def close(self) -> None:
        if self._task is not None:
            await stop([self._task])

    async def missing(self) -> str | None:
        """Why this gateway is not ready, or None."""
        if self._stopping.is_set():
            return "the gateway is stopping"
        if self._live.book is None:
            return "no market has been applied"
        if not self._is_warm:
            return "connections to buyers are being made"
        try:
            is_writable = await self._database.run(
                lambda connection: connection.fetchval(_WRITABLE), timeout_s=ANSWER_S
            )
        except TakesNoWrites:
            return NO_WRITES
        except StorageUnavailable:
            return "Postgres does not answer"
        if not is_writable:
            return NO_WRITES
        return NOT_RECORDED if self._is_cut_off() else None

    async def _warm_first(self) -> None:
        await self._live.in_force.wait()
        if self._live.book is not None:
            await self._warm(self._live.book)
        self._is_warm = True
