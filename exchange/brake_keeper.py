"""Keeps a gateway's brakes: ends rests in time, and has through Postgres what all gateways have to agree on.

Which endpoints are paused is written down, so that it outlives every process; how many gateways there are divides the
limits of endpoints among them. Breakers are each gateway's own: it judges by its own calls.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import structlog

from exchange.answers import rfc3339
from exchange.background import stop
from exchange.brakes import Brakes
from exchange.errors import StorageUnavailable
from exchange.rules.brake import Brake, Phase
from exchange.rules.breaker import State
from exchange.storage import pauses
from exchange.storage.database import Database

TICK_S = 0.2
LOOK_EVERY_S = 1.0
TOLD_MAX = 1_000
"""Breakers that a gateway tells of."""

log = structlog.get_logger(__name__)


class BrakeKeeper:
    """Runs beside the pings of a gateway."""

    def __init__(self, database: Database, brakes: Brakes) -> None:
        self._database = database
        self._brakes = brakes
        self._gateway: UUID = uuid4()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Looks once, so that no endpoint is asked that is paused. Raises StorageUnavailable."""
        await self.look()
        self._tasks = [asyncio.create_task(work(), name=work.__name__) for work in (self._tick, self._follow)]

    async def close(self) -> None:
        await stop(self._tasks)
        try:
            await self._write_pauses()
            await pauses.leave(self._database, self._gateway)
        except StorageUnavailable as error:
            log.warning("gateway_left_unsaid", error=str(error))

    async def look(self) -> None:
        """Says what this gateway has to say, and hears what is written down. Raises StorageUnavailable."""
        await self._write_pauses()
        self._brakes.share(await pauses.seen(self._database, self._gateway, told(self._brakes.unwell())))
        noted = await pauses.noted(self._database)
        self._brakes.follow(
            [item.pause for item in noted if item.pause.at is not None],
            {item.pause.key: item.reset_at for item in noted if item.reset_at is not None},
        )

    async def _write_pauses(self) -> None:
        for key, pause in list(self._brakes.pausing.items()):
            await pauses.pause(self._database, pause)
            self._brakes.pausing.pop(key, None)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self._brakes.tick()
            except Exception:
                log.exception("brakes_not_followed")  # whatever it was, the next rest must end

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except StorageUnavailable as error:
                log.warning("brakes_not_compared", error=str(error))
            except Exception:
                log.exception("brakes_not_followed")


def told(unwell: Sequence[Brake]) -> list[dict[str, Any]]:
    """What others are told of the breakers that are not closed."""
    now, now_s = datetime.now(UTC), monotonic()
    found = []
    for brake in unwell[:TOLD_MAX]:
        for phase in Phase:
            breaker = brake.of(phase)
            if breaker.state is not State.CLOSED:
                found.append(
                    {
                        "buyer": brake.buyer,
                        "endpoint": brake.endpoint.name,
                        "phase": str(phase),
                        "state": str(breaker.state),
                        "shadow": brake.shadow,
                        "since": rfc3339(now - timedelta(seconds=now_s - breaker.since_s)),
                        "openings": breaker.openings,
                        "detail": brake.why[phase],
                    }
                )
    return found
