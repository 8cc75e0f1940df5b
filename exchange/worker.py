"""Work off the hot path: attempts resolved, posts recovered, the outbox sent, queued leads offered, buyers told."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import structlog

from exchange.answers import post_answer
from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.outbox.noticing import Noticing
from exchange.outbox.sending import Outbox
from exchange.reconcile import Reconciler
from exchange.repeats import Repeats
from exchange.storage import caps, chores, doubts, fingerprints, invariants, outbox, pauses, queue, queue_list, recovery
from exchange.storage.database import Database
from exchange.storage.posts import Result
from exchange.waiting import WaitingLeads

RECONCILE_EVERY_S = 1.0
RECOVER_EVERY_S = 5.0
TIDY_EVERY_S = 60.0
CHECK_EVERY_S = 3_600.0
SEND_EVERY_S = 1.0
OFFER_EVERY_S = 1.0

Chore = Callable[[], Awaitable[object]]

OUTBOX_KINDS = ("seller_webhook", "buyer_notice", "webhook", "email", "sftp", "ftps", "http")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """How many days rows of the outbox are kept, and queued leads that have come to an end."""

    done_days: int
    dead_days: int
    queue_days: int


async def work(
    database: Database,
    repeats: Repeats,
    reconciler: Reconciler,
    sending: Outbox,
    waiting: WaitingLeads,
    noticing: Noticing,
    kept: Kept,
    *,
    stop: asyncio.Event,
) -> None:
    """Does everything until `stop` is set; what fails is done in the next round."""
    measured: frozenset[str] = frozenset()

    async def recover() -> None:
        nonlocal measured
        await repeats.settle()  # before what is left of a claim is taken for sent
        await _recover(database)
        measured = await _measure_queue(database, measured)

    chores: Mapping[str, tuple[Chore, float]] = {
        "reconcile": (reconciler.round, RECONCILE_EVERY_S),
        "recover": (recover, RECOVER_EVERY_S),
        "send": (lambda: sending.work_off(stop), SEND_EVERY_S),
        "offer": (lambda: waiting.work_off(stop), OFFER_EVERY_S),
        "tell": (lambda: noticing.work_off(stop), noticing.every_s),
        "tidy": (lambda: _tidy(database, kept), TIDY_EVERY_S),
        "check": (lambda: _check(database, stop), CHECK_EVERY_S),
    }
    async with asyncio.TaskGroup() as group:
        for name, (chore, every_s) in chores.items():
            group.create_task(_repeat(name, chore, every_s, stop))


async def _repeat(name: str, chore: Chore, every_s: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await chore()
        except StorageUnavailable as error:
            log.warning("chores_postponed", error=str(error))
        except Exception:
            log.exception("chore_failed", name=name)  # whatever it was, it must not stop the others
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
    for verdict, count in (await doubts.operator_verdicts(database)).items():
        metrics.OPERATOR_VERDICTS.set(count, (verdict,))
    depths = {(item.kind, item.state): item for item in await outbox.depths(database)}
    for kind in OUTBOX_KINDS:
        waiting, dead = depths.get((kind, "waiting")), depths.get((kind, "dead"))
        metrics.OUTBOX_ROWS.set(waiting.count if waiting else 0, (kind, "waiting"))
        metrics.OUTBOX_ROWS.set(dead.count if dead else 0, (kind, "dead"))
        metrics.OUTBOX_AGE.set(waiting.oldest_s if waiting else 0, (kind,))


async def _measure_queue(database: Database, before: frozenset[str]) -> frozenset[str]:
    """Measures what waits; the campaigns that have any. Those of `before` that have none any more have nothing."""
    depths = await queue_list.depths(database)
    for item in depths:
        metrics.QUEUE_WAITING.set(item.count, (item.campaign,))
        metrics.QUEUE_AGE.set(item.oldest_s, (item.campaign,))
    metrics.QUEUE_OVERDUE.set(max((item.overdue_s for item in depths), default=0))
    found = frozenset(item.campaign for item in depths)
    for campaign in before - found:
        metrics.QUEUE_WAITING.set(0, (campaign,))
        metrics.QUEUE_AGE.set(0, (campaign,))
    return found


async def _tidy(database: Database, kept: Kept) -> None:
    made = await chores.make_partitions(database)
    forgotten = await chores.forget_old_keys(database) + await chores.forget_old_withdrawals(database)
    forgotten += await fingerprints.forget_expired(database) + await caps.forget(database, datetime.now(UTC))
    forgotten += await outbox.forget(database, kept.done_days, kept.dead_days)
    forgotten += await pauses.forget(database)
    forgotten += await queue.forget(database, kept.queue_days)
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
