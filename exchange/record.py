"""The record: what became of a ping or a post feeds its row in Postgres, the metrics, the log and the live feed."""

from time import monotonic
from typing import Any
from uuid import UUID

import structlog

from exchange.observe import metrics
from exchange.observe.sampling import Sampling
from exchange.rules.legs import LegStatus
from exchange.storage.feed import Feed
from exchange.storage.journal import Journal
from exchange.storage.offers import Offers
from exchange.storage.pings import RecordedPing, row_of
from exchange.storage.posts import Plan, PostState, Result
from exchange.storage.verdicts import Resolved
from exchange.values.deadline import Deadline
from exchange.values.money import format_amount
from exchange.values.reason import Reason
from exchange.values.trace import PingTrace, sold_first

IN_TIME = "in_time"
"""How a sale became known: by the answer to its post, and not, as others, later."""

RECORD = ("record",)

log = structlog.get_logger(__name__)


class Recorder:
    """Records pings and posts. An offer is committed before `ping` returns; a ping without one rides along.

    `offers` are those that were just made. `log_share` of the pings get a log line.
    """

    def __init__(self, journal: Journal, feed: Feed, log_share: float = 0.0) -> None:
        self._journal = journal
        self._feed = feed
        self._logs = Sampling(log_share)
        self.offers = Offers()

    @property
    def is_cut_off(self) -> bool:
        """Whether pings cannot be recorded at the moment: then nobody need be asked for a bid."""
        return self._journal.is_down

    async def ping(self, trace: PingTrace, deadline: Deadline) -> None:
        """Raises StorageUnavailable where an offer is not committed by `deadline`: then it must not be told."""
        row = row_of(trace)
        if trace.offer is None:
            self._journal.append(row)
        else:
            began_s = monotonic()
            await self._journal.commit(row, deadline)
            metrics.PING_PHASE_SECONDS.observe(monotonic() - began_s, RECORD)
            self.offers.keep(row)
        asked = _count_ping(trace)
        if self._logs.takes(trace.ping_id.int):
            log.info("ping", **_line(trace, asked))
        if self._feed.watched:
            self._feed.push(_shown(trace, asked))

    def post(
        self, ping: RecordedPing, result: Result, plan: Plan | None, post_id: UUID | None = None, took_s: float = 0.0
    ) -> None:
        """Notes how a post was answered. `plan` is the attempt that it ended with, if one was made."""
        accepted = result.state is PostState.ACCEPTED
        reason = "" if accepted else result.reason.wire_name
        metrics.POSTS.add((ping.campaign, result.state.value, reason))
        if accepted and plan is not None and not ping.test and not result.legs:
            _count_sale(ping.campaign, IN_TIME, plan.gross_micros, ping.payout_micros or 0)
        for leg in result.legs if not ping.test else ():
            if leg.status is LegStatus.ACCEPTED:
                _count_sale(ping.campaign, IN_TIME, leg.gross_micros, leg.payout_micros)
        facts: dict[str, str | None] = {
            "ping_id": str(ping.ping_id),
            "campaign": ping.campaign,
            "status": result.state.value,
        }
        facts |= {"seller": ping.seller, "reason": reason, "order": plan.order if plan else None}
        log.info("post", **facts, post_id=str(post_id or ""), elapsed_ms=round(took_s * 1000, 1))
        self._feed.push({"kind": "post", **facts})


def _line(trace: PingTrace, asked: int) -> dict[str, str | int | float | None]:
    """The log line of a ping: who offered it where, how many were asked, what came of it. Nothing of the lead."""
    return {
        "ping_id": str(trace.ping_id),
        "campaign": trace.campaign,
        "seller": trace.seller,
        "status": trace.status.value,
        "reason": trace.reason.wire_name if trace.reason else "",
        "order": trace.offer.ladder[0].order if trace.offer else None,
        "orders": len(trace.rows),
        "count": asked,
        "elapsed_ms": round(sum(trace.phases_ms.values()), 1),
    }


def note_verdict(found: Resolved) -> None:
    """Notes what became of an attempt that was unknown: its post, answered `pending` before, counts once more."""
    post, plan, verdict = found.post, found.plan, found.verdict
    metrics.ATTEMPTS_RESOLVED.add((plan.buyer, verdict.how.value, verdict.reason.wire_name))
    reason = "" if verdict.reason is Reason.ACCEPTED else verdict.reason.wire_name
    if found.state in {PostState.ACCEPTED, PostState.REJECTED}:  # a shared post may wait for another leg
        metrics.POSTS.add((post.campaign, found.state.value, reason))
    if found.is_sale and not post.test:
        _count_sale(post.campaign, verdict.how.value, plan.gross_micros, post.payout_micros)
    log.info(
        "attempt_resolved",
        attempt_id=str(plan.attempt_id),
        post_id=str(post.post_id),
        buyer=plan.buyer,
        order=plan.order,
        status=verdict.how.value,
        reason=verdict.reason.wire_name,
    )


def _shown(trace: PingTrace, asked: int) -> dict[str, Any]:
    """What whoever watches is shown of a ping."""
    best = trace.offer.ladder[0] if trace.offer else None
    gross_micros = sum(rung.gross_micros for rung in sold_first(trace.offer.ladder)) if trace.offer else None
    return {
        "kind": "ping",
        "ping_id": str(trace.ping_id),
        "campaign": trace.campaign,
        "seller": trace.seller,
        "status": trace.status.value,
        "reason": trace.reason.wire_name if trace.reason else None,
        "orders": len(trace.rows),
        "asked": asked,
        "order": best.order if best else None,
        "gross": None if gross_micros is None else format_amount(gross_micros),
        "payout": format_amount(trace.offer.payout_micros) if trace.offer else None,
        "ask_ms": trace.phases_ms["ask"],
    }


def _count_ping(trace: PingTrace) -> int:
    reason = "" if trace.reason is None else trace.reason.wire_name
    metrics.PINGS.add((trace.campaign, trace.status.value, reason))
    add, observe = metrics.BUYER_PINGS.add, metrics.BUYER_PING_SECONDS.observe
    asked = 0
    for _, buyer, found, _, _, elapsed_ms, _, _ in trace.rows:  # unpacked: ten of them are told of for each ping
        add((buyer, found.wire_name))
        if elapsed_ms is not None:
            asked += 1
            observe(elapsed_ms / 1000, (buyer,))
    metrics.PING_ORDERS_ASKED.observe(asked, (trace.campaign,))
    for phase, took_ms in trace.phases_ms.items():
        metrics.PING_PHASE_SECONDS.observe(took_ms / 1000, (phase,))
    return asked


def _count_sale(campaign: str, how: str, gross_micros: int, payout_micros: int) -> None:
    metrics.SALES.add((campaign, how))
    parts = {"gross": gross_micros, "payout": payout_micros, "margin": gross_micros - payout_micros}
    for part, micros in parts.items():
        metrics.SALES_MICROS.add((campaign, part), micros)
