"""A post, from a validated lead to a stored answer: claim, deliver, conclude, and down the ladder after a clear no."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import orjson
import structlog

from exchange.answers import post_answer
from exchange.background import Background
from exchange.buyers.delivery import Courier
from exchange.buyers.dialects import native
from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.record import Recorder
from exchange.rules.book import CampaignBook, OrderEntry
from exchange.rules.routing import closed
from exchange.storage.idempotency import KeyState, RequestKey
from exchange.storage.pings import RecordedPing
from exchange.storage.posts import PENDING, Ended, NewPost, Plan, PostedBefore, Prepared, Render, Result
from exchange.storage.sales import Sales
from exchange.storage.vault import Vault
from exchange.values.bid import Accepted, Delivery, Unknown
from exchange.values.deadline import Deadline
from exchange.values.ids import uuid7
from exchange.values.market import Sale, Seller
from exchange.values.reason import Reason
from exchange.values.vertical import Lead

LEASE_MARGIN_S = 30.0
RETRY_FIRST_S = 0.1
RETRY_LONGEST_S = 5.0
SILENCE = Unknown("silence up to the seller's deadline")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PostRequest:
    """A post that passed the door: the offer of `ping`, and the full lead that belongs to it."""

    seller: Seller
    book: CampaignBook
    market_version: int
    ping: RecordedPing
    lead: Lead
    changed: tuple[str, ...]
    deadline: Deadline
    key: RequestKey | None = None


@dataclass(frozen=True, slots=True)
class PostTimes:
    """`attempt_min_ms` must remain for a further attempt; `finish_ms` is kept back for recording the answer."""

    attempt_min_ms: int
    finish_ms: int


@dataclass(frozen=True, slots=True)
class _Sale:
    """One post under way."""

    request: PostRequest
    post: NewPost
    ladder: tuple[Plan, ...]
    entries: dict[str, OrderEntry]
    render: Render


class Posts:
    """Posts, with what they need: storage, a courier to the buyers, and a vault for the lead."""

    def __init__(
        self, sales: Sales, courier: Courier, vault: Vault, recorder: Recorder, background: Background, times: PostTimes
    ) -> None:
        self._sales = sales
        self._courier = courier
        self._vault = vault
        self._recorder = recorder
        self._background = background
        self._times = times

    async def post(self, request: PostRequest) -> bytes | PostedBefore | KeyState:
        """Sells a lead against its offer; returns the stored answer, or what was there before.

        Raises StorageUnavailable only while nothing has been sent. The sale goes on if the caller stops waiting.
        """
        sale = self._plan(request)
        claimed = await self._sales.claim(sale.post, sale.ladder, sale.render)
        match claimed:
            case Ended():
                self._recorder.post(request.ping, claimed.result, None)
                return claimed.answer
            case Prepared():
                answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
                self._background.start(self._sell(sale, claimed.plan, answer), "post")
                return await answer
            case _:
                return claimed

    def fingerprint(self, ping_id: UUID, lead: Lead) -> bytes:
        """What tells a repeat of a post from a post with another lead."""
        return self._vault.fingerprint(ping_id.bytes + orjson.dumps(dict(lead), option=orjson.OPT_SORT_KEYS))

    def _plan(self, request: PostRequest) -> _Sale:
        ping, post_id = request.ping, uuid7()
        post = NewPost(
            post_id=post_id,
            ping_id=ping.ping_id,
            seller=request.seller.key,
            campaign=ping.campaign,
            market_version=request.market_version,
            test=ping.test,
            currency=ping.currency,
            payout_micros=ping.payout_micros or 0,
            fingerprint=self.fingerprint(ping.ping_id, request.lead),
            sealed=self._vault.seal(post_id, orjson.dumps(dict(request.lead))),
            key=request.key,
        )
        entries = _open_entries(request)
        return _Sale(request, post, _ladder(ping, entries), entries, partial(_render, post, request.changed))

    async def _sell(self, sale: _Sale, plan: Plan, answer: "asyncio.Future[bytes]") -> None:
        """Goes down the ladder until a post ends, and answers with what was stored."""
        try:
            while True:
                sending = self._send(sale, plan)
                delivery = await self._in_time(sale, plan, sending)
                step = await self._conclude(sale, plan, delivery, answer)
                if not isinstance(step, Prepared):
                    break
                plan = step.plan
            _tell(answer, step.answer if step else sale.render(PENDING))
            self._recorder.post(sale.request.ping, step.result if step else PENDING, plan)
            if delivery is SILENCE:
                await self._resolve_late(sale, plan, await sending)
        finally:
            _tell(answer, sale.render(PENDING))  # whatever broke: the lead may be at a buyer

    def _send(self, sale: _Sale, plan: Plan) -> "asyncio.Future[Delivery]":
        """Delivers to one order; the answer is read for as long as the endpoint may take."""
        entry = sale.entries[plan.order]
        body = native.post_body(
            attempt_id=plan.attempt_id,
            ping_id=sale.post.ping_id,
            bid_id=plan.bid_id,
            order=plan.order,
            campaign=sale.post.campaign,
            test=sale.post.test,
            gross_micros=plan.gross_micros,
            currency=sale.post.currency,
            sale=Sale.EXCLUSIVE,
            lead=sale.request.lead,
        )
        headers = native.post_headers(plan.attempt_id) | dict(entry.auth_headers or {})
        return asyncio.ensure_future(
            self._courier.deliver(
                entry.endpoint.post_url, headers, body, entry.endpoint.post_timeout_ms, native.read_delivery
            )
        )

    async def _in_time(self, sale: _Sale, plan: Plan, sending: "asyncio.Future[Delivery]") -> Delivery:
        """What is known of a delivery at the seller's deadline."""
        started_s = time.monotonic()
        left_s = sale.request.deadline.less_ms(self._times.finish_ms).remaining_s()
        done, _ = await asyncio.wait({sending}, timeout=left_s)
        metrics.BUYER_POST_SECONDS.labels(plan.buyer).observe(time.monotonic() - started_s)
        return sending.result() if done else SILENCE

    async def _conclude(
        self, sale: _Sale, plan: Plan, delivery: Delivery, answer: "asyncio.Future[bytes]"
    ) -> Prepared | Ended | None:
        """Records an outcome. While Postgres is away the seller is told `pending`, and the outcome waits for it."""
        metrics.BUYER_POSTS.labels(plan.buyer, _reason_name(delivery)).inc()
        enough = sale.request.deadline.remaining_ms() >= self._times.attempt_min_ms
        rest = sale.ladder[plan.ordinal :] if enough else ()
        render, pause_s = sale.render, RETRY_FIRST_S
        while True:
            try:
                return await self._sales.conclude(sale.post, plan, delivery, rest, render)
            except StorageUnavailable as error:
                log.warning("outcome_waits_for_postgres", attempt_id=str(plan.attempt_id), error=str(error))
            first_answer = sale.render(PENDING)
            _tell(answer, first_answer)
            render, rest = partial(_same, first_answer), ()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_LONGEST_S)

    async def _resolve_late(self, sale: _Sale, plan: Plan, delivery: Delivery) -> None:
        """Records an answer that came after the silence before it had been recorded."""
        if isinstance(delivery, Unknown):
            return
        pause_s = RETRY_FIRST_S
        while True:
            try:
                resolved = await self._sales.resolve(sale.post, plan, delivery)
            except StorageUnavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_LONGEST_S)
                continue
            log.info(
                "late_answer",
                attempt_id=str(plan.attempt_id),
                buyer=plan.buyer,
                reason=_reason_name(delivery),
                status="resolved" if resolved else "too_late",
            )
            return


def _open_entries(request: PostRequest) -> dict[str, OrderEntry]:
    """The orders of the offer's ladder that can still be taken by the rules in force now."""
    found = {}
    for rung in request.ping.ladder:
        entry = request.book.by_key.get(rung.order)
        if entry is not None and entry.buyer.key == rung.buyer and closed(entry, request.seller, {}, 0) is None:
            found[rung.order] = entry
    return found


def _ladder(ping: RecordedPing, entries: dict[str, OrderEntry]) -> tuple[Plan, ...]:
    """The attempts that could be made, best first, numbered from 1."""
    rungs = [rung for rung in ping.ladder if rung.order in entries]
    return tuple(
        Plan(
            attempt_id=uuid7(),
            ordinal=ordinal,
            order=rung.order,
            buyer=rung.buyer,
            gross_micros=rung.gross_micros,
            bid_id=rung.bid_id,
            lease_s=entries[rung.order].endpoint.post_timeout_ms / 1000 + LEASE_MARGIN_S,
        )
        for ordinal, rung in enumerate(rungs, 1)
    )


def _render(post: NewPost, changed: Sequence[str], result: Result) -> bytes:
    return post_answer(post.post_id, post.ping_id, result, post.payout_micros, post.currency, changed)


def _same(answer: bytes, _result: Result) -> bytes:
    return answer


def _tell(answer: "asyncio.Future[bytes]", content: bytes) -> None:
    """The first answer is the answer."""
    if not answer.done():
        answer.set_result(content)


def _reason_name(delivery: Delivery) -> str:
    match delivery:
        case Accepted():
            return Reason.ACCEPTED.wire_name
        case Unknown():
            return Reason.UNKNOWN.wire_name
    return getattr(delivery, "reason", Reason.NOT_SENT).wire_name
