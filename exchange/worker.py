"""Chores off the hot path: lost posts recovered, partitions made ahead, old idempotency keys forgotten."""

import asyncio
from uuid import UUID

import structlog

from exchange.answers import post_answer
from exchange.errors import StorageUnavailable
from exchange.storage import chores, recovery
from exchange.storage.database import Database
from exchange.storage.posts import PENDING

RECOVER_EVERY_S = 5.0
TIDY_EVERY = 12  # rounds of recovery

log = structlog.get_logger(__name__)


async def work(database: Database, *, stop: asyncio.Event) -> None:
    """Does the chores until `stop` is set; one that fails is done in the next round."""
    done = 0
    while not stop.is_set():
        try:
            await _recover(database)
            if done % TIDY_EVERY == 0:
                await _tidy(database)
            done += 1
        except StorageUnavailable as error:
            log.warning("chores_postponed", error=str(error))
        try:
            async with asyncio.timeout(RECOVER_EVERY_S):
                await stop.wait()
        except TimeoutError:
            continue


async def _recover(database: Database) -> None:
    if count := await recovery.give_up_expired(database, _pending_answer):
        log.warning("posts_without_gateway", count=count)


async def _tidy(database: Database) -> None:
    made = await chores.make_partitions(database)
    forgotten = await chores.forget_old_keys(database)
    if made or forgotten:
        log.info("tidied", days=made, count=forgotten)


def _pending_answer(post_id: UUID, ping_id: UUID) -> bytes:
    return post_answer(post_id, ping_id, PENDING, 0, "", ())
