"""Queued leads: a worker offers them again, each under a lease, until they are sold or their time is over.

Each run is a ping of its own. A lead that an offer is made for leaves the queue and becomes a post by one commit, which
its epoch guards: what a worker does that was lost or frozen comes to nothing, and no lead is sold twice or forgotten.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

import orjson
import structlog
from cryptography.exceptions import InvalidTag

from exchange.background import AtOnce
from exchange.engine import Engine
from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.ping import PingRequest
from exchange.rules.book import CampaignBook, RuleBook
from exchange.rules.duplicates import identity_hashes
from exchange.rules.intake import WholeLead
from exchange.rules.queueing import next_run
from exchange.rules.room import UNLIMITED
from exchange.sale import PostRequest
from exchange.storage import pings, queue
from exchange.storage.database import Database
from exchange.storage.queue import Run, Waiting
from exchange.values.deadline import Deadline
from exchange.values.market import Queue, Seller
from exchange.values.reason import Reason
from exchange.values.trace import PingTrace

LEASE_S = 300.0
"""Longer than a ping, and the claim after it, can take."""

log = structlog.get_logger(__name__)


class Ground(NamedTuple):
    """What a lead is offered on: it must all be there still."""

    rules: RuleBook
    book: CampaignBook
    terms: Queue
    seller: Seller
    lead: WholeLead


class WaitingLeads:
    """Takes leads that are due and offers them. The engine is opened when there is the first one."""

    def __init__(
        self, database: Database, open_engine: Callable[[], Awaitable[Engine]], *, longest_s: float, at_once_max: int
    ) -> None:
        self._database = database
        self._open_engine = open_engine
        self._longest_s = longest_s
        self._running = AtOnce(at_once_max)
        self._engine: Engine | None = None
        self._woken_for = 0

    async def work_off(self, stop: asyncio.Event) -> None:
        """Offers until nothing is due that could be begun with now, or it is to stop. Raises StorageUnavailable."""
        await self._running.work_off(self.round, stop)

    async def round(self) -> int:
        """Begins with as many leads as are due and may be offered at once; returns how many.

        Raises StorageUnavailable.
        """
        if self._engine is None and await queue.is_empty(self._database):
            return 0
        for campaign, reason in await queue.end_overdue(self._database):
            _count_end(campaign, reason)
        room = self._running.room
        if room <= 0:
            metrics.LIMITS_HIT.add(("queue_at_once_max",))
            return 0
        engine = await self._ready_engine()
        rules = engine.live.book
        if rules is None or engine.live.is_cut_off:
            return 0
        if rules.version != self._woken_for:
            await queue.wake(self._database, rules.version)
            self._woken_for = rules.version
        taken = await queue.take(self._database, limit=room, lease_s=LEASE_S)
        for item in taken:
            self._running.start(self._see_to(engine, rules, item))
        return len(taken)

    async def rest(self) -> None:
        """Returns when nothing is under way."""
        await self._running.rest()

    async def close(self, grace_s: float = 0.0) -> None:
        """Stops offering, after a while for what is under way; what was not sold is taken again after its lease."""
        await self._running.close(grace_s)

    async def _ready_engine(self) -> Engine:
        if self._engine is None:
            self._engine = await self._open_engine()
        return self._engine

    async def _see_to(self, engine: Engine, rules: RuleBook, item: Waiting) -> None:
        """Sees to one lead. Whatever fails, its lease runs out and it is taken again."""
        try:
            ground = _ground(engine, rules, item)
            if isinstance(ground, Ground):
                await self._offer(engine, ground, item)
            else:
                await self._end(item, Reason.QUEUE_ENDED, ground)
        except StorageUnavailable as error:
            log.warning("queued_lead_not_run", post_id=str(item.post_id), error=str(error))
        except InvalidTag:
            log.error("lead_not_opened", post_id=str(item.post_id))  # noqa: TRY400  # the key is the whole story
        except Exception:
            log.exception("queued_lead_not_run", post_id=str(item.post_id))

    async def _offer(self, engine: Engine, ground: Ground, item: Waiting) -> None:
        """One run: a ping, and a post where somebody bids."""
        campaign = ground.book.campaign
        request = _ping_request(engine, ground, item)
        trace = await engine.offer(request, identity_hashes(ground.book.vertical, ground.lead.values))
        reason = trace.reason
        if trace.offer is not None:
            post = PostRequest(
                seller=ground.seller,
                book=ground.book,
                market_version=ground.rules.version,
                ping=pings.recorded(trace),
                lead=ground.lead.values,
                changed=(),
                deadline=Deadline.after_ms(campaign.post_timeout_ms),
            )
            not_taken = await engine.posts.resume(post, item)
            if not_taken is None:
                metrics.QUEUED_LEADS.add((campaign.key, "posted"))
                return
            reason = not_taken.reason
        run = Run(trace.ping_id, reason or Reason.NO_BIDS, ground.rules.version)
        if run.reason in ground.terms.reasons or run.reason is Reason.OFFER_WITHDRAWN:
            await self._put_back(ground, item, run, trace)
        else:
            await self._end(item, run.reason, "the campaign does not let it wait for that", run)

    async def _put_back(self, ground: Ground, item: Waiting, run: Run, trace: PingTrace) -> None:
        due_at = next_run(
            ground.terms,
            ground.book,
            trace.outcomes,
            runs=item.runs + 2,  # the first was that of its arrival, and this one is over
            longest_s=self._longest_s,
            now=datetime.now(UTC),
            luck=random.random(),  # noqa: S311  # spreads the load
        )
        if await queue.put_back(self._database, item, run, due_at):
            metrics.QUEUED_LEADS.add((item.campaign, "waits"))
        else:
            log.warning("queued_lead_taken_over", post_id=str(item.post_id))

    async def _end(self, item: Waiting, reason: Reason, detail: str, run: Run | None = None) -> None:
        if await queue.end(self._database, item, reason, detail, run):
            _count_end(item.campaign, reason)
        else:
            log.warning("queued_lead_taken_over", post_id=str(item.post_id))


def _ground(engine: Engine, rules: RuleBook, item: Waiting) -> Ground | str:
    """What a lead is offered on, or why it cannot be any more. Raises InvalidTag where the master key is another."""
    book, seller = rules.campaigns.get(item.campaign), rules.market.sellers.get(item.seller)
    if book is None:
        return "there is no such campaign any more"
    if seller is None or item.campaign not in seller.campaigns:
        return "the campaign is not open to the seller any more"
    if book.campaign.queue is None:
        return "the campaign has no queue any more"
    lead = book.reader.read_whole(orjson.loads(engine.vault.open(item.post_id, item.sealed)))
    if lead.errors:
        return f"the lead does not fit its vertical any more: {lead.errors[0].field}"
    return Ground(rules, book, book.campaign.queue, seller, lead)


def _ping_request(engine: Engine, ground: Ground, item: Waiting) -> PingRequest:
    return PingRequest(
        seller=ground.seller,
        book=ground.book,
        market_version=ground.rules.version,
        currency=ground.rules.market.currency,
        lead=ground.lead.ping,
        deadline=Deadline.after_ms(ground.book.campaign.ping_timeout_ms),
        source=item.source,
        ref=item.ref,
        min_price_micros=item.min_price_micros,
        test=item.test,
        room=UNLIMITED if item.test else engine.live.room,
    )


def _count_end(campaign: str, reason: Reason) -> None:
    metrics.QUEUED_LEADS.add((campaign, "ended"))
    metrics.QUEUE_ENDED.add((campaign, reason.wire_name))
