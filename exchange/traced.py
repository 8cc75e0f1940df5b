"""Pings and posts whose parts are shown to a tracing system: the same steps, and beside each its span.

Nothing here decides anything, and nothing is made where tracing is off. No span carries a field of a lead.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from datetime import datetime
from functools import wraps
from typing import Any, Protocol, TypeVar
from uuid import UUID

from exchange.auction import Decision, Entrant, Terms
from exchange.errors import Problem
from exchange.observe.spans import Attributes, Spans, Watched, as_attributes
from exchange.ping import PingRequest, Pings
from exchange.post import Posts
from exchange.record import Recorder
from exchange.rules.attempts import reason_of
from exchange.rules.book import OrderEntry
from exchange.sale import Sale
from exchange.storage.pings import RecordedPing
from exchange.storage.posts import Ended, LegOver, Plan, Prepared, Result
from exchange.values.bid import Asked, Bid, Delivery
from exchange.values.deadline import Deadline
from exchange.values.trace import PingTrace

CURRENT: ContextVar[Watched | None] = ContextVar("watched", default=None)
"""The request under way, where its spans are kept; what is started for it inherits this."""


class _Arrival(Protocol):
    arrived_s: float

    def header(self, name: bytes) -> str | None: ...


_A = TypeVar("_A", bound=_Arrival)


def traced(handler: Callable[[_A], Awaitable[bytes]], spans: Spans) -> Callable[[_A], Awaitable[bytes]]:
    """A door's handler that begins and ends the span of its request, as part of its sender's trace if he has one."""

    @wraps(handler)
    async def watched(arrival: _A) -> bytes:
        request = spans.begin(handler.__name__, arrival.header(b"traceparent"), arrival.arrived_s)
        if request is None:
            return await handler(arrival)
        error: str | None = "internal_error"
        CURRENT.set(request)
        try:
            answer = await handler(arrival)
            error = None
        except Problem as problem:
            error = problem.code
            raise
        finally:
            request.end(error)
        return answer

    return watched


class TracedPings(Pings):
    """Spans `ask`, one `buyer` for each order that was asked, and `auction`."""

    async def _ask(
        self, request: PingRequest, ping_id: UUID, entries: Sequence[OrderEntry], decide_by: Deadline
    ) -> tuple[Asked, ...]:
        watched, began_s = CURRENT.get(), time.monotonic()
        asked = await super()._ask(request, ping_id, entries, decide_by)
        if watched is not None:
            for entry, reply in zip(entries, asked, strict=True):
                if reply.elapsed_ms is not None:
                    ended_s = began_s + reply.elapsed_ms / 1000
                    watched.add("buyer", began_s, ended_s, _reply(entry, reply), is_call=True)
            watched.add("ask", began_s, time.monotonic(), as_attributes(orders=len(entries)))
        return asked

    def _decide(
        self, entrants: Sequence[Entrant], terms: Terms, ping_id: UUID, *, second: bool, is_test: bool
    ) -> Decision:
        watched, began_s = CURRENT.get(), time.monotonic()
        decision = super()._decide(entrants, terms, ping_id, second=second, is_test=is_test)
        if watched is not None:
            watched.add("auction", began_s, time.monotonic(), as_attributes(entrants=len(entrants)))
        return decision


class TracedRecorder(Recorder):
    """The span `commit`, and what became of a ping or a post as attributes of its request."""

    async def ping(self, trace: PingTrace, deadline: Deadline) -> None:
        watched, began_s = CURRENT.get(), time.monotonic()
        await super().ping(trace, deadline)
        if watched is None:
            return
        if trace.offer is not None:
            watched.add("commit", began_s, time.monotonic(), {})
        reason = trace.reason.wire_name if trace.reason else None
        found = as_attributes(ping_id=str(trace.ping_id), status=trace.status.value, reason=reason)
        watched.describe(found | as_attributes(campaign=trace.campaign, seller=trace.seller, test=trace.test))

    def post(
        self, ping: RecordedPing, result: Result, plan: Plan | None, post_id: UUID | None = None, took_s: float = 0.0
    ) -> None:
        super().post(ping, result, plan, post_id, took_s)
        if (watched := CURRENT.get()) is not None:
            found = as_attributes(ping_id=str(ping.ping_id), post_id=str(post_id), status=result.state.value)
            watched.describe(found | as_attributes(campaign=ping.campaign, seller=ping.seller))


class TracedPosts(Posts):
    """Spans `claim`, `attempt` for each delivery, and `conclude`."""

    async def _claim(self, sale: Sale) -> Any:
        watched, began_s = CURRENT.get(), time.monotonic()
        claimed = await super()._claim(sale)
        if watched is not None:
            found = as_attributes(post_id=str(sale.post.post_id), orders=len(sale.ladder))
            watched.add("claim", began_s, time.monotonic(), found)
        return claimed

    def _send(self, sale: Sale, plan: Plan, send_by_s: float) -> "asyncio.Future[Delivery]":
        watched, began_s = CURRENT.get(), time.monotonic()
        sending = super()._send(sale, plan, send_by_s)
        if watched is not None:

            def ended(delivery: "asyncio.Future[Delivery]") -> None:
                if not delivery.cancelled() and delivery.exception() is None:
                    found = _attempt(plan, delivery.result())
                    watched.add("attempt", began_s, time.monotonic(), found, is_call=True)

            sending.add_done_callback(ended)
        return sending

    async def _conclude(
        self, sale: Sale, plan: Plan, delivery: Delivery, answer: "asyncio.Future[bytes]", told_by: datetime
    ) -> Prepared | Ended | LegOver | None:
        watched, began_s = CURRENT.get(), time.monotonic()
        step = await super()._conclude(sale, plan, delivery, answer, told_by)
        if watched is not None:
            watched.add("conclude", began_s, time.monotonic(), _attempt(plan, delivery))
        return step


def _reply(entry: OrderEntry, reply: Asked) -> Attributes:
    said = "bid" if isinstance(reply.reply, Bid) else reply.reply.reason.wire_name
    return as_attributes(order=entry.key, buyer=entry.buyer.key, said=said)


def _attempt(plan: Plan, delivery: Delivery) -> Attributes:
    outcome = reason_of(delivery).wire_name
    return as_attributes(attempt_id=str(plan.attempt_id), order=plan.order, buyer=plan.buyer, outcome=outcome)
