"""The reconciler: asks what became of unknown attempts, each under a lease, then presumes what was agreed.

It takes attempts whose gateway has stopped listening, and never one that another worker has. A worker that is lost
leaves them as they are: the lease runs out, and the epoch voids whatever it would still write.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

import orjson
import structlog
from cryptography.exceptions import InvalidTag

from exchange.background import AtOnce
from exchange.buyers.delivery import Courier
from exchange.buyers.dialects.wire import Post, Unsendable
from exchange.buyers.tokens import Tokens
from exchange.errors import MarketFileError, StorageUnavailable
from exchange.marketfile.reader import read
from exchange.observe import metrics
from exchange.plans import delivered_post
from exchange.record import note_verdict
from exchange.rules.attempts import state_after
from exchange.rules.contact import Contact, nothing_kept
from exchange.rules.doubt import Means, Pace, Step, next_step, proof
from exchange.storage import catalogue, doubts
from exchange.storage.database import Database
from exchange.storage.doubts import OpenAttempt
from exchange.storage.vault import Vault
from exchange.storage.verdicts import How, Resolved, Verdict, resolve, verdict_by, verdict_of
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.market import Endpoint, Market
from exchange.values.vertical import Lead
from exchange.wires import NO_TOKEN, STATUS_TIMEOUT_MS, TOKEN_WAIT_S, Wire, Wires, deliver

LEASE_S = 300.0
"""Longer than asking by every means can take."""
UNREADABLE_WAIT_S = 3_600.0
MARKETS_KEPT = 4

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a buyer is asked about one attempt, and about how many attempts at a time."""

    pace: Pace
    at_once_max: int


class Reconciler:
    """Resolves unknown attempts, by the terms of the market version that each was made under."""

    def __init__(
        self, database: Database, courier: Courier, vault: Vault, environment: Mapping[str, str], limits: Limits
    ) -> None:
        self._tokens = Tokens(courier)
        self._database = database
        self._courier = courier
        self._vault = vault
        self._wires = Wires(environment, self._tokens)
        self._pace = limits.pace
        self._markets: dict[int, Market] = {}
        self._running = AtOnce(limits.at_once_max)

    async def round(self) -> int:
        """Begins with as many attempts as are due and may be asked about at once; returns how many.

        Raises StorageUnavailable where none can be taken.
        """
        room = self._running.room
        if room <= 0:
            metrics.LIMITS_HIT.add(("resolve_at_once_max",))
            return 0
        taken = await doubts.take(self._database, limit=room, lease_s=LEASE_S)
        for attempt in taken:
            self._running.start(self._settle(attempt))
        return len(taken)

    async def rest(self) -> None:
        """Returns when nothing is under way."""
        await self._running.rest()

    async def close(self) -> None:
        """Stops asking; what was not learned is asked again when the leases have run out."""
        await self._running.close()
        await self._tokens.close()

    async def _settle(self, attempt: OpenAttempt) -> None:
        """Sees to one attempt. Whatever fails, its lease runs out and it is taken again."""
        try:
            await self._see_to(attempt)
        except StorageUnavailable as error:
            log.warning("attempt_not_settled", attempt_id=str(attempt.plan.attempt_id), error=str(error))
        except Exception:
            log.exception("attempt_not_settled", attempt_id=str(attempt.plan.attempt_id))

    async def _see_to(self, attempt: OpenAttempt) -> None:
        endpoint = await self._endpoint(attempt)
        if endpoint is None:
            log.error("attempt_without_terms", attempt_id=str(attempt.plan.attempt_id), order=attempt.plan.order)
            await doubts.put_back(self._database, attempt.plan, UNREADABLE_WAIT_S, was_asked=False)
            return
        step = next_step(attempt.doubt, endpoint, self._pace, attempt.taken_at)
        verdict = await self._ask(attempt, endpoint, step)
        if verdict is None and step.presume is not None:
            verdict = verdict_by(step.presume, "no answer came in the agreed time")
        if verdict is None:
            await doubts.put_back(self._database, attempt.plan, step.wait_s, was_asked=bool(step.means))
        else:
            await self._record(attempt, verdict)

    async def _ask(self, attempt: OpenAttempt, endpoint: Endpoint, step: Step) -> Verdict | None:
        """Asks by one means after another until the buyer's word proves something."""
        started_s = time.monotonic()
        for means in step.means:
            said = await self._said(attempt, endpoint, means)
            now = attempt.taken_at + timedelta(seconds=time.monotonic() - started_s)
            metrics.ATTEMPTS_ASKED.add((attempt.plan.buyer, means.value, state_after(said).value))
            if (proven := proof(means, said, attempt.doubt, endpoint, now)) is not None:
                return verdict_of(await self._cleaned(attempt, proven), How(means.value))
        return None

    async def _said(self, attempt: OpenAttempt, endpoint: Endpoint, means: Means) -> Delivery:
        plan = attempt.plan
        wire = self._wires.of(plan.buyer, endpoint)
        if wire is None:
            log.error("endpoint_without_secret", endpoint=f"{plan.buyer}.{endpoint.name}")
            return Unknown("the endpoint's secret is not set")
        match means:
            case Means.RESEND:
                post = self._post(attempt)
                if post is None:
                    return Unknown("the lead cannot be opened")
                return await deliver(self._courier, wire, endpoint, post)
            case Means.STATUS:
                return await self._asked(wire, endpoint, delivered_post(attempt.post, plan, {}))
        assert_never(means)

    async def _asked(self, wire: Wire, endpoint: Endpoint, post: Post) -> Delivery:
        """A buyer's word on an attempt. One who could not be asked has said nothing, not even that he knows none."""
        heard: list[Delivery] = []

        def read(status: int, body: bytes) -> Delivery:
            heard.append(wire.dialect.read_status(status, body, post.gross_micros))
            return heard[0]

        if not await wire.ready(TOKEN_WAIT_S):
            return Unknown(f"not asked: {NO_TOKEN}")
        try:
            written = wire.written_status(endpoint, post, time.time())
        except Unsendable as error:
            return Unknown(f"not asked: {error}")
        body, read_on = None if written.method == "GET" else written.body, wire.heeding(read)
        found = await self._courier.deliver(
            written.url, written.headers, body, STATUS_TIMEOUT_MS, read_on, method=written.method
        )
        return found if heard or not isinstance(found, NotSent) else Unknown(f"not asked: {found.detail}")

    async def _cleaned(
        self, attempt: OpenAttempt, said: Accepted | Rejected | NotSent
    ) -> Accepted | Rejected | NotSent:
        """A buyer's word without what it repeats of the lead, and without any text of his where that is not known."""
        if said == nothing_kept(said):
            return said
        market = await self._market(attempt.post.market_version)
        campaign = market.campaigns.get(attempt.post.campaign) if market else None
        lead = self._lead(attempt) if attempt.doubt.lead_is_there else None
        if market is None or campaign is None or lead is None:
            return nothing_kept(said)
        return Contact(market.verticals[campaign.vertical], lead).kept(said)

    def _post(self, attempt: OpenAttempt) -> Post | None:
        """What the attempt was delivered with; None where the lead cannot be opened with this master key."""
        lead = self._lead(attempt)
        return None if lead is None else delivered_post(attempt.post, attempt.plan, lead)

    def _lead(self, attempt: OpenAttempt) -> Lead | None:
        post = attempt.post
        try:
            lead: Lead = orjson.loads(self._vault.open(post.post_id, post.sealed))
        except InvalidTag:
            log.error("lead_not_opened", post_id=str(post.post_id))  # noqa: TRY400  # the key is the whole story
            return None
        return lead

    async def _record(self, attempt: OpenAttempt, verdict: Verdict) -> None:
        found = await resolve(self._database, attempt.plan.attempt_id, verdict, epoch=attempt.plan.epoch)
        if isinstance(found, Resolved):
            note_verdict(found)
            return
        log.warning(
            "late_write_refused",
            attempt_id=str(attempt.plan.attempt_id),
            buyer=attempt.plan.buyer,
            reason=verdict.reason.wire_name,
            detail=found.why,
        )

    async def _endpoint(self, attempt: OpenAttempt) -> Endpoint | None:
        """The endpoint of an attempt as it was agreed when its post came."""
        market = await self._market(attempt.post.market_version)
        order = market.orders.get(attempt.plan.order) if market else None
        buyer = market.buyers.get(attempt.plan.buyer) if market else None
        return None if order is None or buyer is None else buyer.endpoints.get(order.endpoint)

    async def _market(self, version: int) -> Market | None:
        """A stored market; a few are kept, for attempts come in the order of their age."""
        if version not in self._markets:
            found = await catalogue.version(self._database, version)
            if found is None:
                return None
            try:
                market = await asyncio.to_thread(read, found.document)
            except MarketFileError:
                return None
            while len(self._markets) >= MARKETS_KEPT:
                del self._markets[next(iter(self._markets))]
            self._markets[version] = market
        return self._markets[version]
