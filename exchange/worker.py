"""Work off the hot path: unknown attempts resolved, lost posts recovered, partitions made, old keys forgotten."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from exchange.answers import post_answer
from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.reconcile import Reconciler
from exchange.storage import caps, chores, doubts, fingerprints, invariants, recovery
from exchange.storage.database import Database
from exchange.storage.posts import Result

RECONCILE_EVERY_S = 1.0
RECOVER_EVERY_S = 5.0
TIDY_EVERY_S = 60.0
CHECK_EVERY_S = 3_600.0

log = structlog.get_logger(__name__)


async def work(database: Database, reconciler: Reconciler, *, stop: asyncio.Event) -> None:
    """Does everything until `stop` is set; what fails is done in the next round."""
    async with asyncio.TaskGroup() as group:

        async def reconcile() -> None:
            await reconciler.round()

        async def recover() -> None:
            await _recover(database)

        async def tidy() -> None:
            await _tidy(database)

        async def check() -> None:
            await _check(database, stop)

        paces = {reconcile: RECONCILE_EVERY_S, recover: RECOVER_EVERY_S, tidy: TIDY_EVERY_S, check: CHECK_EVERY_S}
        for chore, every_s in paces.items():
            group.create_task(_repeat(chore, every_s, stop))


async def _repeat(chore: Callable[[], Coroutine[Any, Any, None]], every_s: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await chore()
        except StorageUnavailable as error:
            log.warning("chores_postponed", error=str(error))
        except Exception:
            log.exception("chore_failed", name=chore.__name__)  # whatever it was, it must not stop the others
        try:
            async with asyncio.timeout(every_s):
                await stop.wait()
        except TimeoutError:
            continue


async def _recover(database: Database) -> None:
    while count := await recovery.give_up_expired(database, _pending_answer):
        log.warning("posts_without_gateway", count=count)
    found = await doubts.backlog(database)
    metrics.ATTEMPTS_UNKNOWN.set(found.count)
    metrics.ATTEMPTS_UNKNOWN_AGE.set(found.oldest_s)


async def _tidy(database: Database) -> None:
    made = await chores.make_partitions(database)
    forgotten = await chores.forget_old_keys(database) + await chores.forget_old_withdrawals(database)
    forgotten += await fingerprints.forget_expired(database) + await caps.forget(database, datetime.now(UTC))
    if made or forgotten:
        log.info("tidied", days=made, count=forgotten)


async def _check(database: Database, stop: asyncio.Event) -> None:
    """Checks the invariants of the money, which may take minutes; given up where the worker is to stop."""
    checking, stopping = asyncio.create_task(invariants.check(database)), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({checking, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not checking.done():
            checking.cancel()
    if checking.cancelled() or not checking.done():
        return
    for found in checking.result():
        metrics.INVARIANTS_BROKEN.set(found.broken, (found.name,))
        if found.broken:
            log.error("invariant_broken", name=found.name, count=found.broken)
    metrics.INVARIANTS_CHECKED.set(datetime.now(UTC).timestamp())


def _pending_answer(post_id: UUID, ping_id: UUID, changed: Sequence[str], result: Result, currency: str) -> bytes:
    return post_answer(post_id, ping_id, result, 0, currency, changed)
