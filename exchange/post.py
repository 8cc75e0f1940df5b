"""A post, from a validated lead to a stored answer: claim, deliver, conclude, and down the ladder after a clear no."""

import asyncio
import time
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

import orjson
import structlog

from exchange.background import Background, until_stored
from exchange.brakes import Brakes
from exchange.buyers.delivery import Courier
from exchange.carriers.deciding import Carriers
from exchange.errors import NothingKnown, StorageUnavailable
from exchange.observe import metrics
from exchange.plans import LEASE_MARGIN_S, delivered_post, plans_of, render
from exchange.record import Recorder, note_verdict
from exchange.repeats import Repeats
from exchange.rules.attempts import reason_of
from exchange.rules.caps import caps_of_ping
from exchange.rules.contact import Contact
from exchange.rules.duplicates import identity_hashes, window_days
from exchange.rules.ladder import rest_of
from exchange.sale import PostRequest, PostTimes, Sale
from exchange.storage.idempotency import KeyState
from exchange.storage.posts import (
    PENDING,
    Ended,
    LegOver,
    NewPost,
    NotTaken,
    Plan,
    PostedBefore,
    Prepared,
    PreparedLegs,
    Render,
    Result,
)
from exchange.storage.queue import Waiting
from exchange.storage.sales import Sales
from exchange.storage.vault import Vault
from exchange.storage.verdicts import Resolved
from exchange.values.bid import Delivery, NotSent, Unknown
from exchange.values.ids import uuid7
from exchange.values.vertical import Lead
from exchange.wires import Wires, deliver

CLAIM_AGAIN_S = 1.0
LAST_LOOK_S = 0.25
"""By how much a seller may be answered late while Postgres is asked which answer is the first."""

SILENCE = Unknown("silence up to the seller's deadline")

log = structlog.get_logger(__name__)


class Posts:
    """Posts, with what they need: storage, a courier to the buyers, and a vault for the lead."""

    def __init__(
        self,
        sales: Sales,
        courier: Courier,
        vault: Vault,
        repeats: Repeats,
        recorder: Recorder,
        background: Background,
        times: PostTimes,
        wires: Wires,
        carriers: Carriers,
        brakes: Brakes | None = None,
    ) -> None:
        """`carriers` deliver what does not go to a URL of a buyer's own wire."""
        self._sales = sales
        self._courier = courier
        self._vault = vault
        self._repeats = repeats
        self._recorder = recorder
        self._background = background
        self._times = times
        self._wires = wires
        self._carriers = carriers
        self._brakes = brakes or Brakes()

    async def post(self, request: PostRequest) -> bytes | PostedBefore | KeyState:
        """Sells a lead against its offer; returns the stored answer, or what was there before.

        Raises StorageUnavailable only while nothing has been sent, and NothingKnown where that is not certain any
        more. The sale goes on if the caller stops waiting.
        """
        sale = self._plan(request)
        try:
            claimed = await self._claim(sale)
        except StorageUnavailable:
            return self._refuse(sale)
        match claimed:
            case Ended():
                self._note(sale, claimed.result, None)
                return claimed.answer
            case Prepared() | PreparedLegs():
                answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
                self._background.start(self._sell(sale, claimed, answer), "post")
                return await self._in_seller_time(sale, answer)
            case _:
                return claimed

    async def resume(self, request: PostRequest, waited: Waiting) -> NotTaken | None:
        """Sells a lead that waited, against the offer of a ping of its own, and returns when it would be answered.

        Where nobody can take it, it waits on. Nothing is done with a lead that is not ours any more.
        """
        sale = self._plan(replace(request, waited=waited))
        claiming = partial(self._sales.claim_waiting, sale.post, sale.ladder, sale.render, waited.epoch)
        claimed = await until_stored({"post_id": str(waited.post_id)}, claiming)
        match claimed:
            case Prepared() | PreparedLegs():
                answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
                self._background.start(self._sell(sale, claimed, answer), "post")
                await self._in_seller_time(sale, answer)
                return None
            case NotTaken():
                return claimed
            case _:
                log.warning("queued_lead_taken_over", post_id=str(waited.post_id))
                return None

    async def _claim(self, sale: Sale) -> Prepared | PreparedLegs | Ended | PostedBefore | KeyState:
        """Claims the offer. A commit that was not confirmed is found by claiming once more.

        Raises StorageUnavailable where that fails too: something may have been stored. Then its lease still holds.
        """
        longest_s = min(self._times.storage_s, _leased_s(sale) / 3)
        try:
            return await self._sales.claim(sale.post, sale.ladder, sale.render, timeout_s=longest_s)
        except StorageUnavailable as error:
            log.warning("claim_not_confirmed", post_id=str(sale.post.post_id), error=str(error))
        return await self._sales.claim(sale.post, sale.ladder, sale.render, timeout_s=min(CLAIM_AGAIN_S, longest_s))

    def _refuse(self, sale: Sale) -> bytes:
        """Takes back what a claim may have stored: then its seller may be told that there is nothing.

        After the lease others may have gone on with it, and he can be told neither. Where a repeat was told an answer
        meanwhile, that one is returned.
        """
        if time.monotonic() > sale.started_s + _leased_s(sale):
            raise NothingKnown("a claim was not confirmed before its lease ran out")
        told = self._repeats.refuse(sale.post.post_id)
        if told is None:
            raise StorageUnavailable("a claim was not confirmed")
        return told

    def fingerprint(self, ping_id: UUID, lead: Lead) -> bytes:
        """What tells a repeat of a post from a post with another lead."""
        return self._vault.fingerprint(ping_id.bytes + orjson.dumps(dict(lead), option=orjson.OPT_SORT_KEYS))

    def _plan(self, request: PostRequest) -> Sale:
        ping, book, waited = request.ping, request.book, request.waited
        post_id = uuid7() if waited is None else waited.post_id
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
            people=self._vault.people(book.vertical.key, identity_hashes(book.vertical, request.lead)),
            duplicate_days=window_days(book.campaign),
            caps=caps_of_ping(request.seller, book.campaign),
            changed=request.changed,
            legs=ping.legs,
            apart=book.apart,
        )
        plans, entries = plans_of(ping, book, request.seller, time.time(), self._brakes.takes_no_post)
        first = partial(render, post) if waited is None else _as_told(waited.answer)
        return Sale(request, post, plans, entries, first, time.monotonic())

    async def _sell(self, sale: Sale, claimed: Prepared | PreparedLegs, answer: "asyncio.Future[bytes]") -> None:
        """Sells to one buyer, or to those of all legs at once, and answers with what was stored."""
        try:
            if isinstance(claimed, Prepared):
                await self._go_down(sale, claimed, answer)
            else:
                await _all_of([self._go_down(sale, leg, answer) for leg in claimed.legs])
                await self._tell_what_is_stored(sale, answer)
        finally:
            self._tell_pending(sale, answer)  # whatever broke: the lead may be at a buyer

    async def _go_down(self, sale: Sale, prepared: Prepared, answer: "asyncio.Future[bytes]") -> None:
        """Goes down the ladder until a post ends, or a leg of it."""
        leased_s = sale.started_s
        while True:
            plan, told_by = sale.own(prepared.plan), sale.told_by(prepared)
            sending = _closed() if answer.done() else self._send(sale, plan, leased_s + plan.lease_s)
            delivery = await self._in_time(sale, plan, sending)
            leased_s = time.monotonic()
            step = await self._conclude(sale, plan, delivery, answer, told_by)
            if not isinstance(step, Prepared):
                break
            prepared = step
        if isinstance(step, Ended) or not plan.leg:
            await self._tell(sale, plan, step if isinstance(step, Ended) else None, answer)
        if delivery is SILENCE:
            await self._resolve_late(plan, await sending)

    async def _tell_what_is_stored(self, sale: Sale, answer: "asyncio.Future[bytes]") -> None:
        """Answers where another has taken the last legs over, and with them the end of the post."""
        if not answer.done():
            self._note(sale, PENDING, None)
            first = sale.render(PENDING)
            _tell(answer, await self._sales.first_answer(sale.post, first, sale.render, timeout_s=LAST_LOOK_S))

    async def _in_seller_time(self, sale: Sale, answer: "asyncio.Future[bytes]") -> bytes:
        """The answer; at the seller's deadline what is stored by then, else `pending`, and the ladder is closed.

        An outcome may be stored and its confirmation still on its way: so Postgres has the word, if it can be had.
        """
        await asyncio.wait({answer}, timeout=sale.request.deadline.remaining_s())
        if not answer.done():
            first = sale.render(PENDING)
            try:
                first = await self._sales.first_answer(sale.post, first, sale.render, timeout_s=LAST_LOOK_S)
            except StorageUnavailable as error:
                log.warning("answered_without_postgres", post_id=str(sale.post.post_id), error=str(error))
                self._tell_pending(sale, answer)
            _tell(answer, first)
        return answer.result()

    def _tell_pending(self, sale: Sale, answer: "asyncio.Future[bytes]") -> None:
        """Answers without asking Postgres, which has to be told."""
        if not answer.done():
            _tell(answer, self._repeats.tell(sale.post.post_id, sale.render(PENDING)))

    async def _tell(self, sale: Sale, plan: Plan, ended: Ended | None, answer: "asyncio.Future[bytes]") -> None:
        """Answers with what was stored; where the seller had to be told before, that is stored as the first answer."""
        _tell(answer, ended.answer if ended else sale.render(PENDING))
        told = answer.result()
        is_outcome = ended is not None and told == sale.render(ended.result)
        self._note(sale, ended.result if ended and is_outcome else PENDING, plan)
        if ended is None or is_outcome:
            return
        if ended.answer != told:
            await until_stored(_named(plan), lambda: self._repeats.keep(sale.post.post_id, told))
        self._note(sale, ended.result, plan)

    def _note(self, sale: Sale, result: Result, plan: Plan | None) -> None:
        took_s = time.monotonic() - sale.started_s
        self._recorder.post(sale.request.ping, result, plan, sale.post.post_id, took_s)

    def _send(self, sale: Sale, plan: Plan, send_by_s: float) -> "asyncio.Future[Delivery]":
        """Delivers to one order; the answer is read for as long as the endpoint may take.

        What the buyer says is cleaned before anybody sees it: he knows whose lead it is.
        """
        entry, book = sale.entries[plan.order], sale.request.book
        post = delivered_post(sale.post, plan, sale.request.lead)
        means, timeout_ms = entry.endpoint.means, entry.endpoint.post_timeout_ms
        if means is not None:
            return asyncio.ensure_future(self._carriers.deliver(means, post, book.vertical, timeout_ms, send_by_s))
        wire = self._wires.of(plan.buyer, entry.endpoint)
        delivering = deliver(self._courier, wire, entry.endpoint, post, send_by_s)
        braked = self._brakes.delivering(plan.buyer, entry.endpoint, delivering)
        return asyncio.ensure_future(_cleaned(braked, Contact(book.vertical, sale.request.lead)))

    async def _in_time(self, sale: Sale, plan: Plan, sending: "asyncio.Future[Delivery]") -> Delivery:
        """What is known of a delivery at the seller's deadline."""
        started_s = time.monotonic()
        left_s = sale.request.deadline.less_ms(self._times.finish_ms).remaining_s()
        done, _ = await asyncio.wait({sending}, timeout=left_s)
        metrics.BUYER_POST_SECONDS.observe(time.monotonic() - started_s, (plan.buyer,))
        return sending.result() if done else SILENCE

    async def _conclude(
        self, sale: Sale, plan: Plan, delivery: Delivery, answer: "asyncio.Future[bytes]", told_by: datetime
    ) -> Prepared | Ended | LegOver | None:
        """Records an outcome, however long Postgres is away; once the seller has his answer, that one stays."""
        metrics.BUYER_POSTS.add((plan.buyer, reason_of(delivery).wire_name))

        def answered(result: Result) -> bytes:
            return answer.result() if answer.done() else sale.render(result)

        async def conclude() -> Prepared | Ended | LegOver | None:
            rest = rest_of(
                sale.reserve if plan.leg else sale.ladder,
                0 if plan.leg else plan.ordinal,
                remaining_ms=sale.request.deadline.remaining_ms(),
                attempt_min_ms=self._times.attempt_min_ms,
                is_told=answer.done(),
            )
            known, silent = (sale.post, plan, delivery, rest, answered), delivery is SILENCE
            if plan.leg:
                return await self._sales.conclude_leg(*known, still_listening=silent)
            return await self._sales.conclude(*known, still_listening=silent, told_by=told_by)

        step = await until_stored(_named(plan), conclude)
        if step is None:
            _log_refused(plan, delivery, "another has taken it over")
        return step

    async def _resolve_late(self, plan: Plan, delivery: Delivery) -> None:
        """Records an answer that came after the silence before it had been recorded."""
        if isinstance(delivery, Unknown):
            return
        resolved = await until_stored({"attempt_id": str(plan.attempt_id)}, lambda: self._sales.resolve(plan, delivery))
        if isinstance(resolved, Resolved):
            note_verdict(resolved)
        else:
            _log_refused(plan, delivery, resolved.why)


def _log_refused(plan: Plan, delivery: Delivery, why: str) -> None:
    """Keeps in the log what could not be written any more: it may be the truth."""
    word = reason_of(delivery).wire_name
    log.warning("late_write_refused", attempt_id=str(plan.attempt_id), buyer=plan.buyer, reason=word, detail=why)


async def _all_of(legs: Sequence[Coroutine[None, None, None]]) -> None:
    """Runs the legs of a post side by side; one that breaks does not stop the others."""
    ended = await asyncio.gather(*legs, return_exceptions=True)
    if broken := [error for error in ended if isinstance(error, BaseException)]:
        raise BaseExceptionGroup("legs of a post", broken)


def _leased_s(sale: Sale) -> float:
    """How long nobody else touches what a claim has made."""
    return min((plan.lease_s for plan in sale.ladder), default=LEASE_MARGIN_S)


def _named(plan: Plan) -> dict[str, str]:
    return {"attempt_id": str(plan.attempt_id)}


def _as_told(answer: bytes) -> Render:
    """Of a lead that waited the first answer was given long ago, and stays."""
    return lambda _: answer


async def _cleaned(delivering: Awaitable[Delivery], contact: Contact) -> Delivery:
    return contact.kept(await delivering)


def _closed() -> "asyncio.Future[Delivery]":
    """Stands for a delivery that is not begun any more: an attempt was prepared just as the seller was told."""
    closed: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
    closed.set_result(NotSent("the seller's time was over"))
    return closed


def _tell(answer: "asyncio.Future[bytes]", content: bytes) -> None:
    """The first answer is the answer."""
    if not answer.done():
        answer.set_result(content)
