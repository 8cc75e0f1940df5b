"""What every seller's request passes: key, campaign, lead, repeats. Each check raises the contract's problem."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import orjson

from exchange.api.door import Arrival
from exchange.api.entrance import Entrance
from exchange.api.rate_limits import RateLimits
from exchange.api.shapes import UNKNOWN_KEYS_MAX, LeadOffer
from exchange.engine import Engine
from exchange.errors import FieldError, Problem, StorageUnavailable
from exchange.observe import metrics
from exchange.ping import PingRequest
from exchange.readiness import Readiness
from exchange.repeats import Again
from exchange.rules.book import CampaignBook, RuleBook
from exchange.rules.duplicates import Hashes
from exchange.rules.room import UNLIMITED
from exchange.sale import PostRequest
from exchange.storage import idempotency
from exchange.storage.idempotency import KeyState, RequestKey
from exchange.storage.keys import KeyRing
from exchange.storage.pings import RecordedPing
from exchange.storage.posts import PostedBefore
from exchange.values.deadline import Deadline
from exchange.values.market import Seller
from exchange.values.trace import PingTrace
from exchange.values.vertical import Lead

KEY_LENGTH_MAX = 255
TRIES = 2
"""A repeat that finds a claim which its seller was told is not there takes it back, and begins anew."""


class Admission(NamedTuple):
    """A seller on a campaign that is open to him, under one rule book for the whole request."""

    rules: RuleBook
    campaign: CampaignBook
    seller: Seller


@dataclass(frozen=True, slots=True)
class Desk:
    """What the sellers' endpoints stand on."""

    engine: Engine
    keys: KeyRing
    readiness: Readiness
    entrance: Entrance
    rates: RateLimits

    def check(self) -> None:
        """Raises StorageUnavailable while Postgres is away: refused at once, and before a lead is even read."""
        if self.engine.live.is_cut_off or self.engine.recorder.is_cut_off:
            metrics.REQUESTS_SHED.add(("postgres_away",))
            raise StorageUnavailable("nothing can be recorded at the moment")

    def admit(self, seller_key: str, campaign_key: str) -> Admission:
        """Raises Problem 404 for a campaign that does not exist, 403 for one that is not open to this seller."""
        rules = self.engine.live.book
        campaign = rules.campaigns.get(campaign_key) if rules else None
        if rules is None or campaign is None:
            raise Problem(404, "unknown_campaign", "There is no such campaign.")
        seller = rules.market.sellers.get(seller_key)
        if seller is None or campaign_key not in seller.campaigns:
            raise Problem(403, "forbidden", "This campaign is not open to you.")
        return Admission(rules, campaign, seller)

    async def run_ping(
        self, admission: Admission, offered: LeadOffer, lead: Lead, arrived_s: float, hashes: Hashes
    ) -> PingTrace:
        """Runs a ping that passed the checks, within the seller's time or the campaign's, whichever is shorter.

        `hashes` are what is known of the person.
        """
        longest_ms = admission.campaign.campaign.ping_timeout_ms
        request = PingRequest(
            seller=admission.seller,
            book=admission.campaign,
            market_version=admission.rules.version,
            currency=admission.rules.market.currency,
            lead=lead,
            deadline=Deadline.after_ms(min(offered.timeout_ms or longest_ms, longest_ms), arrived_s),
            source=offered.source,
            ref=offered.ref,
            min_price_micros=offered.min_price_micros,
            test=offered.test,
            room=UNLIMITED if offered.test else self.engine.live.room,
        )
        return await self.engine.offer(request, hashes)

    async def run_post(
        self,
        admission: Admission,
        ping: RecordedPing,
        lead: Lead,
        changed: tuple[str, ...],
        deadline: Deadline,
        key: RequestKey | None,
    ) -> bytes:
        """Runs a post that passed the checks; the answer that was stored for it, or for its twin."""
        request = PostRequest(
            seller=admission.seller,
            book=admission.campaign,
            market_version=admission.rules.version,
            ping=ping,
            lead=lead,
            changed=changed,
            deadline=deadline,
            key=key,
        )
        for _ in range(TRIES):
            done = await self.engine.posts.post(request)
            match done:
                case bytes():
                    return done
                case KeyState():
                    told = await self._replayed(done)
                case PostedBefore():
                    told = await self.repeated(done, ping, lead, key)
            if told is not None:
                return told
        raise StorageUnavailable("a claim is still being withdrawn")

    async def answered(self, key: RequestKey) -> bytes | None:
        """The first answer under a key; None where there is none, or none yet. Raises Problem 422 for another body."""
        known = await idempotency.look_up(self.engine.database, key)
        if known is None or (known.same_body and known.answer is None):
            return None
        return await self._replayed(known)

    async def begin(self, key: RequestKey) -> bytes | None:
        """Takes a key for a request before there is a post; the first answer where it stands for one already.

        Raises Problem 422 for another body, 409 while the first is still running.
        """
        for _ in range(TRIES):
            taken = await self.engine.database.transact(lambda connection: idempotency.take(connection, key, None))
            if taken is None:
                return None
            if (told := await self._replayed(taken)) is not None:
                return told
        raise StorageUnavailable("a claim is still being withdrawn")

    async def repeated(
        self, before: PostedBefore, ping: RecordedPing, lead: Lead, key: RequestKey | None
    ) -> bytes | None:
        """The first answer to a ping's post, which `key` stands for from now on; None where that post is gone.

        Raises Problem 409 for another lead, or while the first post is still running.
        """
        told = await self.engine.repeats.first_answer(before.post_id, before.answer)
        if told is Again.GONE:
            return None
        if before.fingerprint != self.engine.posts.fingerprint(ping.ping_id, lead):
            why = "with another lead" if before.fingerprint else "before, with a lead that was erased since"
            raise Problem(409, "already_posted", f"This ping was posted {why}.")
        if told is Again.RUNNING:
            raise _in_progress()
        if key is not None:
            taken = await self.engine.database.transact(
                lambda connection: idempotency.take(connection, key, before.post_id)
            )
            return told if taken is None else await self._replayed(taken)
        return told

    async def _replayed(self, known: KeyState) -> bytes | None:
        """The first answer under a key; None where its post is gone, and the key is free.

        Raises Problem 422 for another body, 409 while the first is still running.
        """
        told: bytes | Again = Again.RUNNING if known.answer is None else known.answer
        if known.post_id is not None:
            told = await self.engine.repeats.first_answer(known.post_id, known.answer)
        if told is Again.GONE:
            return None
        if not known.same_body:
            detail = "This Idempotency-Key was used for another request."
            raise Problem(422, "idempotency_key_reused", detail)
        if told is Again.RUNNING:
            raise _in_progress()
        return told


def request_key(arrival: Arrival, seller: str, document: object) -> RequestKey | None:
    """The request's Idempotency-Key, if it has one. Raises Problem 422 for one that cannot be kept."""
    key = arrival.header(b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_LENGTH_MAX or not key.isprintable():
        detail = f"Idempotency-Key has 1 to {KEY_LENGTH_MAX} printable characters."
        raise Problem(422, "invalid_request", detail)
    body = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return RequestKey(seller, arrival.path, key, hashlib.sha256(body).digest())


def refuse_lead(errors: Sequence[FieldError]) -> None:
    """Raises Problem 422 where a lead has errors."""
    if errors:
        raise Problem(422, "invalid_lead", "The lead cannot be taken as it is.", errors=errors)


def check_hashes(offered: LeadOffer, campaign: CampaignBook) -> None:
    """Raises Problem 422 for a hash of a field by which the vertical tells nobody."""
    strange = [name for name in offered.identity_hashes if name not in campaign.vertical.identity]
    if strange:
        known = ", ".join(campaign.vertical.identity) or "none"
        errors = [
            FieldError(f"identity_hashes.{name[:64]}", "unknown_key", f"Known here: {known}.")
            for name in strange[:UNKNOWN_KEYS_MAX]
        ]
        raise Problem(422, "invalid_request", "The request has another shape.", errors=errors)


def read_uuid(text: str) -> UUID | None:
    """A UUID in the usual spelling, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _in_progress() -> Problem:
    return Problem(409, "in_progress", "The first request is still running: ask again.", retry_after_s=1)
