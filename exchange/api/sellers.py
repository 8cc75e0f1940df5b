"""The sellers' door: pings, posts and whole leads in, answers out (contract, section 1)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import orjson

from exchange import answers
from exchange.api import shapes
from exchange.api.auth import seller_key
from exchange.api.body import read_json_object
from exchange.api.desk import Admission, Desk, check_hashes, read_uuid, refuse_lead, request_key
from exchange.api.door import Arrival
from exchange.api.shapes import LeadOffer
from exchange.api.waits import let_wait
from exchange.errors import FieldError, Problem
from exchange.observe import metrics
from exchange.rules.duplicates import identity_hashes
from exchange.rules.intake import WholeLead
from exchange.storage import idempotency, pings, queue_list
from exchange.storage.idempotency import RequestKey
from exchange.storage.pings import RecordedPing
from exchange.storage.posts import PostState, RecordedPost, Result
from exchange.storage.queue_list import Listed
from exchange.values.deadline import Deadline
from exchange.values.ids import age_s
from exchange.values.reason import Reason
from exchange.values.trace import PingStatus

LOOK_AGAIN_AFTER_S = (0.02, 0.08, 0.2, 0.3, 0.4)
"""A ping without an offer is answered before it is written down, which may take a second."""


class SellerDoor:
    """The endpoints of the sellers' API."""

    def __init__(self, desk: Desk, *, posts_in_flight_max: int) -> None:
        self._desk = desk
        self._posts_in_flight = 0
        self._posts_in_flight_max = posts_in_flight_max

    async def ping(self, arrival: Arrival) -> bytes:
        """POST /v1/ping. Past its capacity a gateway refuses at once, so that the pings it has begun are in time."""
        try:
            return await self._ping(arrival)
        finally:
            self._desk.entrance.leave(arrival)

    async def _ping(self, arrival: Arrival) -> bytes:
        began_s = time.monotonic()
        self._desk.check()
        seller = await seller_key(arrival, self._desk.keys)
        self._desk.rates.take(seller)
        document, body = await read_json_object(arrival)
        if arrival.inside is None:
            await self._desk.entrance.let_in(arrival, seller)
            began_s = time.monotonic()
        offered = shapes.read_ping(document, body)
        admission = self._desk.admit(seller, offered.campaign)
        check_hashes(offered, admission.campaign)
        lead = admission.campaign.reader.read_ping(offered.lead)
        refuse_lead(lead.errors)
        hashes = {name: bytes.fromhex(found) for name, found in offered.identity_hashes.items()}
        if arrival.has_waited:
            longest_ms = admission.campaign.campaign.ping_timeout_ms
            self._desk.entrance.check_time(arrival, min(offered.timeout_ms or longest_ms, longest_ms))
        trace = await self._desk.run_ping(admission, offered, lead.values, arrival.arrived_s, hashes)
        now_s, asked_s = time.monotonic(), trace.phases_ms.get("ask", 0) / 1000
        self._desk.entrance.took(now_s - began_s - asked_s)
        metrics.PING_SECONDS.observe(now_s - arrival.arrived_s, (offered.campaign,))
        metrics.PING_OWN_SECONDS.observe(now_s - arrival.arrived_s - asked_s)
        return answers.ping_answer(trace, admission.campaign.campaign.offer_ttl_s, lead.ignored)

    async def post(self, arrival: Arrival) -> bytes:
        """POST /v1/post. Posts do not wait for pings, nor behind them: theirs is a limit of their own."""
        if self._posts_in_flight >= self._posts_in_flight_max:
            metrics.REQUESTS_SHED.add(("posts_in_flight",))
            metrics.LIMITS_HIT.add(("posts_in_flight_max",))
            raise Problem(503, "overloaded", "Too many posts are under way: send it again.", retry_after_s=1)
        self._posts_in_flight += 1
        try:
            return await self._post(arrival)
        finally:
            self._posts_in_flight -= 1

    async def _post(self, arrival: Arrival) -> bytes:
        self._desk.check()
        seller = await seller_key(arrival, self._desk.keys)
        self._desk.rates.take(seller, for_post=True)
        document, _ = await read_json_object(arrival)
        posted = shapes.read_post(document)
        key = request_key(arrival, seller, document)
        if key is not None and (answer := await self._desk.answered(key)) is not None:
            return answer
        ping = await self._offered_ping(posted.ping_id, seller)
        if (answer := await self._told_before(ping, posted.lead, key)) is not None:
            return answer
        admission = self._desk.admit(seller, ping.campaign)
        lead = admission.campaign.reader.read_post(posted.lead, ping.lead)
        refuse_lead(lead.errors)
        _check_changed(admission, lead.changed)
        _check_expiry(ping)
        deadline = Deadline.after_ms(admission.campaign.campaign.post_timeout_ms, arrival.arrived_s)
        answer = await self._desk.run_post(admission, ping, lead.values, lead.changed, deadline, key)
        metrics.POST_SECONDS.observe(time.monotonic() - arrival.arrived_s, (ping.campaign,))
        return answer

    async def _told_before(self, ping: RecordedPing, raw: Mapping[str, object], key: RequestKey | None) -> bytes | None:
        """The first answer to a repeat, also where its campaign was closed meanwhile: a 4xx would say "not sold"."""
        rules = self._desk.engine.live.book
        campaign = rules.campaigns.get(ping.campaign) if rules else None
        if ping.post_id is None or campaign is None:
            return None
        lead = campaign.reader.read_post(raw, ping.lead)
        before = None if lead.errors else await self._desk.engine.sales.of_ping(ping.ping_id)
        return None if before is None else await self._desk.repeated(before, ping, lead.values, key)

    async def lead(self, arrival: Arrival) -> bytes:
        """POST /v1/leads: a ping and a post in one call; it comes in as a ping does."""
        try:
            return await self._lead(arrival)
        finally:
            self._desk.entrance.leave(arrival)

    async def _lead(self, arrival: Arrival) -> bytes:
        self._desk.check()
        seller = await seller_key(arrival, self._desk.keys)
        self._desk.rates.take(seller)
        document, body = await read_json_object(arrival)
        await self._desk.entrance.let_in(arrival, seller)
        offered = shapes.read_lead(document, body)
        key = request_key(arrival, seller, document)
        if key is not None and (answer := await self._desk.answered(key)) is not None:
            return answer
        admission = self._desk.admit(seller, offered.campaign)
        lead = admission.campaign.reader.read_whole(offered.lead)
        refuse_lead(lead.errors)
        if key is None:
            return await self._sell_whole(admission, offered, lead, arrival, None)
        if (told := await self._desk.begin(key)) is not None:
            return told
        try:
            return await self._sell_whole(admission, offered, lead, arrival, replace(key, is_taken=True))
        except Exception:
            await self._desk.engine.database.run(lambda connection: idempotency.give_up(connection, key))
            raise

    async def ping_state(self, arrival: Arrival) -> bytes:
        """GET /v1/pings/{ping_id}."""
        seller = await seller_key(arrival, self._desk.keys)
        identifier = read_uuid(arrival.parameters["ping_id"])
        database = self._desk.engine.database
        found = None if identifier is None else await _recorded(identifier, lambda it: pings.find(database, it))
        ping = _own(found, seller)
        return orjson.dumps(answers.ping_state(ping, datetime.now(UTC)))

    async def post_state(self, arrival: Arrival) -> bytes:
        """GET /v1/posts/{post_id}."""
        seller = await seller_key(arrival, self._desk.keys)
        post_id = read_uuid(arrival.parameters["post_id"])
        found = None if post_id is None else await self._post_or_lead(post_id)
        if found is None or found.seller != seller:
            raise Problem(404, "unknown_post", "There is no such post of yours.")
        state = answers.post_state(found) if isinstance(found, RecordedPost) else answers.queued_state(found)
        return orjson.dumps(state)

    async def _post_or_lead(self, post_id: UUID) -> RecordedPost | Listed | None:
        """A post, or a lead that waits to become one; it may have become one just now."""
        sales = self._desk.engine.sales
        if (post := await sales.find(post_id)) is not None:
            return post
        waited = await queue_list.of_post(self._desk.engine.database, post_id)
        return waited if waited is None or not waited.is_posted else await sales.find(post_id)

    async def _sell_whole(
        self, admission: Admission, offered: LeadOffer, lead: WholeLead, arrival: Arrival, key: RequestKey | None
    ) -> bytes:
        arrived_s = arrival.arrived_s
        hashes = identity_hashes(admission.campaign.vertical, lead.values)
        trace = await self._desk.run_ping(admission, offered, lead.ping, arrived_s, hashes)
        self._desk.entrance.leave(arrival)
        if trace.offer is None:
            if (waiting := await let_wait(self._desk.engine, admission, trace, lead.values, key)) is not None:
                return waiting
            result = Result(PostState.REJECTED, trace.reason or Reason.NO_BIDS)
            answer = answers.post_answer(None, trace.ping_id, result, 0, trace.currency, ())
            if key is not None:
                await self._desk.engine.database.run(lambda connection: idempotency.answer(connection, key, answer))
            return answer
        terms = admission.campaign.campaign
        deadline = Deadline.after_ms(terms.ping_timeout_ms + terms.post_timeout_ms, arrived_s)
        return await self._desk.run_post(admission, pings.recorded(trace), lead.values, (), deadline, key)

    async def _offered_ping(self, ping_id: str, seller: str) -> RecordedPing:
        identifier = read_uuid(ping_id)
        made = None if identifier is None else self._desk.engine.recorder.offers.take(identifier)
        if made is None and identifier is not None:
            database = self._desk.engine.database
            made = await _recorded(identifier, lambda it: pings.look_up(database, it))
        ping = _own(made, seller)
        if ping.status is not PingStatus.OFFERED:
            raise Problem(409, "not_offered", "This ping was not answered with an offer.")
        return ping


async def _recorded(ping_id: UUID, look: Callable[[UUID], Awaitable[RecordedPing | None]]) -> RecordedPing | None:
    """A ping as it is recorded. One that was made just now may be on its way there, and is looked for again."""
    found = await look(ping_id)
    for pause_s in LOOK_AGAIN_AFTER_S if abs(age_s(ping_id, time.time())) < sum(LOOK_AGAIN_AFTER_S) else ():
        if found is not None:
            break
        await asyncio.sleep(pause_s)
        found = await look(ping_id)
    return found


def _own(ping: RecordedPing | None, seller: str) -> RecordedPing:
    if ping is None or ping.seller != seller:
        raise Problem(404, "unknown_ping", "There is no such ping of yours.")
    return ping


def _check_changed(admission: Admission, changed: tuple[str, ...]) -> None:
    if admission.campaign.campaign.changed_fields_refused:
        refuse_lead([FieldError(name, "changed", "The ping had another value.") for name in changed])


def _check_expiry(ping: RecordedPing) -> None:
    if ping.expires_at is None or ping.expires_at <= datetime.now(UTC):
        raise Problem(410, "offer_expired", "The offer's time is over: send a new ping.")
