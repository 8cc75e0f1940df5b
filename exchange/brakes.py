"""The brakes of all endpoints, as one gateway knows them: who is left alone, and what came of asking the others.

Pings look at `shut`, the sets of orders that are out: while nobody is, that is all that it costs them.
"""

import random
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from exchange.buyers.calls import Call
from exchange.observe import metrics
from exchange.rules.bitsets import set_of
from exchange.rules.book import EndpointKey, OrderEntry, RuleBook
from exchange.rules.brake import Brake, Phase, Usual
from exchange.rules.breaker import State
from exchange.rules.failures import failure_of, is_failed_delivery, is_failure
from exchange.rules.pauses import Pause, clock_text
from exchange.rules.rest_asked import rest_asked_s
from exchange.values.bid import Asked, Bid, Delivery, NotSent, Refusal, Unknown
from exchange.values.market import Endpoint
from exchange.values.reason import Reason
from exchange.values.trace import OutcomeRow, with_detail

LEVELS = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}
"""How states are shown as figures."""

_CAUSES = {
    Reason.PAUSED: "paused",
    Reason.BREAKER_OPEN: "ping_breaker",
    Reason.BUSY: "in_flight",
    Reason.BUYER_RATE_LIMITED: "rate",
}
_CAUSES_OUT = _CAUSES | {Reason.BUYER_RATE_LIMITED: "retry_after"}
_CLOSED, _NO_BID = State.CLOSED, Reason.NO_BID  # looked up once, not for each call
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_FEW = 3
"""Of so many endpoints all may fail by themselves."""

Shut = tuple[tuple[Reason, int], ...]
"""The sets of a campaign's orders that are out, each with its reason."""

log = structlog.get_logger(__name__)


class Brakes:
    """`shut` holds the campaigns of which some orders are out, `pausing` the pauses that are not yet written down."""

    def __init__(self, usual: Usual | None = None, retry_after_longest_s: float = 60.0) -> None:
        self.shut: Mapping[str, Shut] = {}
        self.pausing: dict[EndpointKey, Pause] = {}
        self._usual = usual or Usual()
        self._retry_after_longest_s = retry_after_longest_s
        self._known: dict[EndpointKey, Brake] = {}
        self._unwell: set[EndpointKey] = set()
        self._paused: Mapping[EndpointKey, Pause] = {}
        self._resets: Mapping[EndpointKey, datetime] = {}
        self._out: dict[EndpointKey, Reason] = {}
        self._book: RuleBook | None = None
        self._shut_of: RuleBook | None = None
        self._share = 1.0
        self._luck = random.Random()  # noqa: S311  # that not everybody comes back at once is no secret

    def of(self, buyer: str, endpoint: Endpoint) -> Brake:
        """The brake of a buyer's endpoint. One that is known goes by the market in force, whoever still has another."""
        key = buyer, endpoint.name
        brake = self._known.get(key)
        if brake is None:
            brake = self._known[key] = Brake(buyer, endpoint, self._usual, time.monotonic(), self._share)
        return brake

    def unwell(self) -> list[Brake]:
        """The brakes with a breaker that is not closed, or a rest."""
        return [self._known[key] for key in sorted(self._unwell)]

    # What pings and posts ask

    def kept_out(self, rows: Sequence[OutcomeRow], entries: Iterable[OrderEntry]) -> tuple[OutcomeRow, ...]:
        """What became of the orders that were not asked; those whose endpoints are left alone are told why."""
        return tuple(
            with_detail(row, detail) if (detail := self._told(entry, row[2])) else row
            for row, entry in zip(rows, entries, strict=True)
        )

    def refusal(self, brake: Brake, now_s: float) -> Refusal | None:
        """Why an endpoint that has to be looked at is not asked, or None."""
        found = brake.refusal(now_s)
        if found is not None:
            _count(brake.key, _CAUSES[found[0]])
            return Refusal(*found)
        if brake.shadow and brake.ping.state is not _CLOSED:
            _count(brake.key, "shadow")
        return None

    def takes_no_post(self, entry: OrderEntry) -> bool:
        """Whether an order of an offer is passed over because nothing is to be delivered to its endpoint."""
        key = entry.buyer.key, entry.endpoint.name
        brake, pause = self._known.get(key), self._pause_of(key)
        if pause is not None:
            why, cause = pause.text, "paused"
        elif brake is not None and brake.is_ailing and brake.takes_no_post():
            why, cause = brake.why[Phase.POST], "post_breaker"
        else:
            return False
        _count(key, cause)
        log.warning("endpoint_passed_over", buyer=key[0], endpoint=key[1], order=entry.key, detail=why)
        return True

    # What became of calls

    def heard(
        self, brakes: Sequence[Brake], calls: Sequence[Call], asked: Sequence[Asked], began_s: float, usual_ms: int
    ) -> None:
        """Takes note of a ping's calls, which began at `began_s` and, but for a hurry, had `usual_ms`."""
        now_s = time.monotonic()
        for brake, call, (_, reply, elapsed_ms) in zip(brakes, calls, asked, strict=True):
            if reply.__class__ is Bid or reply[0] is _NO_BID:
                if brake.is_ailing:
                    self._note(brake, Phase.PING, began_s, now_s, failed=False)
                else:
                    brake.ping.good += 1
            elif elapsed_ms is not None:
                self._heard_no_good(brake, call, elapsed_ms, began_s, now_s, usual_ms)

    async def delivering(self, buyer: str, endpoint: Endpoint, work: Coroutine[Any, Any, Delivery]) -> Delivery:
        """Waits for a delivery, and takes note of what became of it."""
        brake, began_s = self.of(buyer, endpoint), time.monotonic()
        delivery = await work
        failed = is_failed_delivery(delivery)
        if failed is not None and brake is self._known.get(brake.key) and brake.is_at(endpoint):
            if isinstance(delivery, NotSent | Unknown):
                brake.last_failure[Phase.POST] = failure_of(delivery)
            self._note(brake, Phase.POST, began_s, time.monotonic(), failed=failed)
        return delivery

    # The market, other gateways, and time

    def put_in_force(self, book: RuleBook) -> None:
        """Goes on under a new market; endpoints that it does not know are forgotten."""
        now_s, self._book = time.monotonic(), book
        for key, brake in list(self._known.items()):
            buyer = book.market.buyers.get(key[0])
            endpoint = None if buyer is None else buyer.endpoints.get(key[1])
            if endpoint is None:
                self._forget(key)
            else:
                ailing = brake.ailing()
                brake.set(endpoint, now_s)
                for phase in ailing:  # they may be closed now, or only look on
                    _show(brake, phase)
                self._look(brake)
        self._shut_again()

    def share(self, gateways: int) -> None:
        """So many gateways there are, among which the limits of endpoints are divided."""
        share, now_s = 1 / max(1, gateways), time.monotonic()
        if share != self._share:
            self._share = share
            for brake in self._known.values():
                brake.have(share, now_s)

    def follow(self, pauses: Iterable[Pause], resets: Mapping[EndpointKey, datetime]) -> None:
        """What is written down of all endpoints: which are paused, and when which were last reset."""
        now_s = time.monotonic()
        paused = {pause.key: pause for pause in pauses}
        for key, at in resets.items():
            brake = self._known.get(key)
            if brake is not None and self._resets.get(key, _LONG_AGO) < at:
                brake.reset(now_s)
                brake.set(brake.endpoint, now_s)
                self.pausing.pop(key, None)
                log.warning("endpoint_reset", buyer=key[0], endpoint=key[1])
                for phase in Phase:
                    _show(brake, phase)
                self._look(brake)
        for key, pause in paused.items():
            if key not in self._paused:
                log.error("endpoint_paused", buyer=key[0], endpoint=key[1], detail=pause.why)
        self._paused, self._resets = paused, dict(resets)
        metrics.ENDPOINTS_PAUSED.set(len(paused))
        self._shut_again()

    def tick(self) -> None:
        """Ends rests that are over: is called a few times a second."""
        if not self._unwell:
            return
        now_s = time.monotonic()
        for brake in self.unwell():
            for phase in brake.tick(now_s):
                self._changed(brake, phase, now_s)
            self._look(brake)
        self._shut_again()

    # Within

    def _heard_no_good(
        self, brake: Brake, call: Call, elapsed_ms: float, began_s: float, now_s: float, usual_ms: int
    ) -> None:
        """Takes note of a call that brought neither a bid nor a no."""
        reply = call.asked.reply
        failed = is_failure(reply, elapsed_ms, min(usual_ms, brake.endpoint.ping_timeout_ms))
        if failed is None or isinstance(reply, Bid):
            return
        if failed:
            brake.last_failure[Phase.PING] = reply.reason.wire_name
        elif call.retry_after and reply.reason is Reason.TOO_MANY_REQUESTS:
            self._rest(brake, call.retry_after, now_s)
        self._note(brake, Phase.PING, began_s, now_s, failed=failed)

    def _note(self, brake: Brake, phase: Phase, began_s: float, now_s: float, *, failed: bool) -> None:
        if brake.of(phase).note(failed=failed, began_s=began_s, now_s=now_s, luck=brake.luck):
            self._changed(brake, phase, now_s)
        if phase is Phase.PING and brake.is_ailing:
            brake.pinged_s = began_s
            if not failed and brake.post.note_sign(began_s=began_s, now_s=now_s):
                self._changed(brake, Phase.POST, now_s)

    def _changed(self, brake: Brake, phase: Phase, now_s: float) -> None:
        """A breaker has changed: everybody who has to know is told."""
        breaker = brake.of(phase)
        if not brake.endpoint.breaker.enabled:
            brake.reset(now_s)
            return
        if breaker.state is State.OPEN:
            brake.luck = self._luck.random()
            brake.why[phase] = _why(brake, phase, now_s)
            if not brake.shadow and now_s - breaker.since_s >= brake.pause_after_s:
                self._pause(brake, phase)
        brake.look()
        state = f"would_be_{breaker.state}" if brake.shadow else str(breaker.state)
        metrics.BREAKER_CHANGES.add((*brake.key, phase, state))
        _show(brake, phase)
        facts = {"buyer": brake.buyer, "endpoint": brake.endpoint.name, "phase": str(phase), "status": state}
        if breaker.state is State.OPEN:
            log.warning("breaker", **facts, detail=brake.why[phase])
        else:
            log.info("breaker", **facts)
        self._look(brake)
        self._shut_again()

    def _pause(self, brake: Brake, phase: Phase) -> None:
        """Pauses an endpoint for good, unless so many fail that it may be us."""
        failing = sum(found.is_ailing for found in self.unwell())
        if len(self._known) > _FEW and failing * 2 > len(self._known):
            log.error("endpoint_not_paused", buyer=brake.buyer, endpoint=brake.endpoint.name, detail="most others fail")
            return
        pause = Pause(brake.buyer, brake.endpoint.name, brake.why[phase], datetime.now(UTC))
        self.pausing.setdefault(brake.key, pause)

    def _rest(self, brake: Brake, retry_after: bytes, now_s: float) -> None:
        """The buyer asks for fewer requests: for as long as he says, he has none."""
        rest_s = rest_asked_s(retry_after, time.time(), self._retry_after_longest_s)
        if rest_s > 0:
            brake.resting_until_s = max(now_s + rest_s, brake.resting_until_s or 0.0)
            _count(brake.key, "retry_after")
            self._look(brake)
            self._shut_again()

    def _look(self, brake: Brake) -> None:
        if brake.is_ailing or brake.resting_until_s is not None:
            self._unwell.add(brake.key)
        else:
            self._unwell.discard(brake.key)

    def _shut_again(self) -> None:
        """Works out the sets of the orders that are out."""
        out = {key: reason for key in self._unwell if (reason := self._known[key].shut()) is not None}
        out |= dict.fromkeys([*self._paused, *self.pausing], Reason.PAUSED)
        if out == self._out and self._book is self._shut_of:
            return
        self._out, self._shut_of = out, self._book
        index = {} if self._book is None else self._book.by_endpoint
        sets: dict[str, dict[Reason, int]] = {}
        for key, reason in out.items():
            for campaign, numbers in index.get(key, {}).items():
                found = sets.setdefault(campaign, {})
                found[reason] = found.get(reason, 0) | set_of(numbers)
        self.shut = {campaign: tuple(found.items()) for campaign, found in sets.items()}

    def _told(self, entry: OrderEntry, reason: Reason) -> str:
        """Why an order is out, for an operator; empty where that is nothing of ours. What is told is counted."""
        key = entry.buyer.key, entry.endpoint.name
        if self._out.get(key) is not reason:
            return ""
        _count(key, _CAUSES_OUT[reason])
        pause, brake = self._pause_of(key), self._known.get(key)
        if pause is not None:
            return pause.text
        if brake is None:
            return ""
        if reason is Reason.BREAKER_OPEN:
            return brake.why[Phase.PING]
        left_s = (brake.resting_until_s or 0.0) - time.monotonic()
        return f"until {clock_text(datetime.now(UTC) + timedelta(seconds=left_s))}, as the buyer has asked (429)"

    def _pause_of(self, key: EndpointKey) -> Pause | None:
        return self._paused.get(key) or self.pausing.get(key)

    def _forget(self, key: EndpointKey) -> None:
        del self._known[key]
        self._unwell.discard(key)
        for phase in Phase:
            metrics.BREAKER_STATE.forget((*key, phase))


def _why(brake: Brake, phase: Phase, now_s: float) -> str:
    """Since when a breaker is open, and on what."""
    breaker = brake.of(phase)
    since = datetime.now(UTC) - timedelta(seconds=now_s - breaker.since_s)
    calls, failures = breaker.counted()
    return f"since {clock_text(since)}: {failures} of {calls} {phase}s failed, the last by {brake.last_failure[phase]}"


def _show(brake: Brake, phase: Phase) -> None:
    level = 0 if brake.shadow else LEVELS[brake.of(phase).state]
    metrics.BREAKER_STATE.set(level, (*brake.key, phase))


def _count(key: EndpointKey, cause: str) -> None:
    metrics.ENDPOINT_SKIPS.add((*key, cause))
