"""Leads of `/v1/leads` that find no buyer: where their campaign says so, they wait instead of being rejected."""

import random
from datetime import UTC, datetime, timedelta

import orjson
import structlog

from exchange.answers import queued_answer
from exchange.api.desk import Admission
from exchange.engine import Engine
from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.rules.queueing import next_run
from exchange.storage import queue
from exchange.storage.idempotency import RequestKey
from exchange.storage.queue import NewWait
from exchange.values.ids import uuid7
from exchange.values.market import Queue
from exchange.values.reason import Reason
from exchange.values.trace import PingTrace
from exchange.values.vertical import Lead

AGAIN_S = 1.0

log = structlog.get_logger(__name__)


async def let_wait(
    engine: Engine, admission: Admission, trace: PingTrace, lead: Lead, key: RequestKey | None
) -> bytes | None:
    """The answer of a lead that waits from now on; None where it does not. Raises StorageUnavailable.

    A commit that was not confirmed is found by trying once more. Where that fails too, the lead is withdrawn, unless
    a repeat was told meanwhile that it waits.
    """
    terms, reason = admission.campaign.campaign.queue, trace.reason
    if terms is None or reason is None or reason not in terms.reasons:
        return None
    wait = _wait(engine, admission, terms, trace, reason, lead)
    try:
        added = await queue.add(engine.database, wait, terms.leads_max, key)
    except StorageUnavailable as error:
        log.warning("wait_not_confirmed", post_id=str(wait.post_id), error=str(error))
        try:
            added = await queue.add(engine.database, wait, terms.leads_max, key, timeout_s=AGAIN_S)
        except StorageUnavailable:
            if (told := engine.repeats.refuse(wait.post_id)) is None:
                raise
            return told
    metrics.QUEUED_LEADS.add((trace.campaign, "queued" if added else "refused"))
    if not added:
        metrics.LIMITS_HIT.add(("queue_max_leads",))
    return wait.answer if added else None


def _wait(engine: Engine, admission: Admission, terms: Queue, trace: PingTrace, reason: Reason, lead: Lead) -> NewWait:
    post_id, now = uuid7(), datetime.now(UTC)
    ends_at = now + timedelta(seconds=terms.for_s)
    luck = random.random()  # noqa: S311  # spreads the load
    return NewWait(
        post_id=post_id,
        ping_id=trace.ping_id,
        seller=trace.seller,
        campaign=trace.campaign,
        currency=trace.currency,
        test=trace.test,
        source=trace.source,
        ref=trace.ref,
        min_price_micros=trace.min_price_micros,
        sealed=engine.vault.seal(post_id, orjson.dumps(dict(lead))),
        answer=queued_answer(post_id, trace.ping_id, reason, ends_at),
        reason=reason,
        market_version=trace.market_version,
        due_at=next_run(terms, admission.campaign, trace.outcomes, runs=1, longest_s=terms.every_s, now=now, luck=luck),
        ends_at=ends_at,
    )
