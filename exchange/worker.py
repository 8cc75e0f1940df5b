"""Chores off the hot path: partitions made ahead, old idempotency keys forgotten."""

import asyncio

import structlog

from exchange.errors import StorageUnavailable
from exchange.storage import chores
from exchange.storage.database import Database

EVERY_S = 60.0

log = structlog.get_logger(__name__)


async def work(database: Database, *, stop: asyncio.Event) -> None:
    """Does all chores once a minute until `stop` is set."""
    while not stop.is_set():
        try:
            made = await chores.make_partitions(database)
            forgotten = await chores.forget_old_keys(database)
        except StorageUnavailable as error:
            log.warning("chores_postponed", error=str(error))
        else:
            if made or forgotten:
                log.info("chores_done", days=made, count=forgotten)
        try:
            async with asyncio.timeout(EVERY_S):
                await stop.wait()
        except TimeoutError:
            continue
