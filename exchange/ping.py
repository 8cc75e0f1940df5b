"""A ping, from a validated lead to a committed answer: route, ask, decide, record."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from exchange.auction import Decision, Entrant, Terms, buyers_among, decide, has_buyer
from exchange.brakes import Brakes, Shut
from exchange.buyers.dialects.wire import Ping
from exchange.buyers.fanout import Fanout
from exchange.record import Recorder
from exchange.rules.book import CampaignBook, OrderEntry, RuleBook
from exchange.rules.notices import first_look
from exchange.rules.pricing import usual_margin
from exchange.rules.room import UNLIMITED, Room
from exchange.rules.routing import Available, Routing, route
from exchange.rules.selection import Expectations, select
from exchange.rules.selling import Selling
from exchange.rules.sub_caps import PartedRoom, told
from exchange.rules.turns import Turns
from exchange.terms import terms_of, told_floor
from exchange.tiers import Heard, Rounds, TierTimes, ask_in_rounds, tiers_of
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.deadline import Deadline
from exchange.values.ids import moment_of, uuid7
from exchange.values.market import Sale, Seller
from exchange.values.money import format_amount
from exchange.values.reason import Reason
from exchange.values.selling import Method
from exchange.values.trace import Inputs, Offer, OutcomeRow, PingStatus, PingTrace, Sums, not_asked
from exchange.values.vertical import Lead
from exchange.ways import Ways
from exchange.wires import Wires

_new = tuple.__new__
"""Makes a named tuple in half the time that its name takes; here ten for each ping."""


Seen = tuple[Lead, dict[object, bytes]]
"""What some orders may see of a lead, and what has been written of it."""


class PingRequest(NamedTuple):
    """A ping that passed the door. `deadline` is the seller's: his answer leaves before it."""

    seller: Seller
    book: CampaignBook
    market_version: int
    currency: str
    lead: Lead
    deadline: Deadline
    source: str | None = None
    ref: str | None = None
    min_price_micros: int | None = None
    test: bool = False
    room: Room | PartedRoom = UNLIMITED
    had_by: frozenset[str] = frozenset()
    aged: Lead | None = None
    """The lead with its ages, where rules ask for them."""

    @property
    def facts(self) -> Lead:
        """The lead as rules look at it."""
        return self.lead if self.aged is None else self.aged

    def at(self, ping_id: UUID) -> "PingRequest":
        """The request at the moment of its ping."""
        if self.book.ages is None:
            return self
        return self._replace(aged=self.book.with_ages(self.lead, moment_of(ping_id)))

    def trace(
        self,
        ping_id: UUID,
        status: PingStatus,
        reason: Reason | None,
        offer: Offer | None,
        rows: tuple[OutcomeRow, ...],
        phases_ms: Mapping[str, float],
        inputs: Inputs | None = None,
        sums: Sums | None = None,
        notice_at: datetime | None = None,
    ) -> PingTrace:
        """What is kept of this ping, whatever became of it."""
        return PingTrace(
            ping_id=ping_id,
            seller=self.seller.key,
            campaign=self.book.campaign.key,
            market_version=self.market_version,
            currency=self.currency,
            test=self.test,
            source=self.source,
            ref=self.ref,
            min_price_micros=self.min_price_micros,
            lead=self.lead,
            status=status,
            reason=reason,
            offer=offer,
            rows=rows,
            phases_ms=phases_ms,
            inputs=inputs,
            sums=sums,
            notice_at=notice_at,
        )


@dataclass(frozen=True, slots=True)
class PingTimes:
    """`finish_ms` is kept back of the seller's time for deciding and recording; less than `ask_min_ms` is no time."""

    finish_ms: int
    ask_min_ms: int


class Pings:
    """Pings, with what they need: buyers to ask, and a record."""

    def __init__(
        self,
        fanout: Fanout,
        recorder: Recorder,
        times: PingTimes,
        acceptance: Callable[[], Mapping[str, int]] = dict,
        wires: Wires | None = None,
        brakes: Brakes | None = None,
    ) -> None:
        """`acceptance` says how often each order's leads are accepted, in millionths, as far as that is known."""
        self._fanout = fanout
        self._recorder = recorder
        self._times = times
        self._acceptance = acceptance
        self._turns = Turns()
        self._expectations = Expectations()
        self._brakes = brakes or Brakes()
        self._ways = Ways(fanout, wires or Wires({}), self._brakes)

    async def ping(self, request: PingRequest, available: Available) -> PingTrace:
        """Offers a lead to the market. Raises StorageUnavailable where an offer could not be recorded.

        `available` is what each buyer can still spend, as far as is known.
        """
        ping_id, started_s = uuid7(), time.monotonic()
        request = _with_sub_caps(request.at(ping_id))
        available = {} if request.test else available
        terms = _terms(request)
        shut = self._brakes.shut.get(request.book.campaign.key, ())
        routing = _route(request, available, terms.floor_micros, time.time(), shut)
        kept_out = self._kept_out(request, routing)
        heard = await self._replies(request, ping_id, routing.asked, available, terms)
        asked_s = time.monotonic()
        entrants = _entrants(request, routing.asked, heard.replies, available)
        decision = self._decide(entrants, terms, ping_id, second=heard.second, is_test=request.test)
        rows = told(decision.rows, request.room) + kept_out
        decided_s = time.monotonic()
        phases_ms = {"ask": _ms(asked_s - started_s), "decide": _ms(decided_s - asked_s)}
        trace = _trace(request, ping_id, rows, decision, phases_ms)
        request.room.offered(trace)
        await self._recorder.ping(trace, request.deadline)
        return trace

    def _kept_out(self, request: PingRequest, routing: Routing) -> tuple[OutcomeRow, ...]:
        if not routing.kept_out:
            return ()
        found = [not_asked(entry.key, entry.buyer.key, reason) for entry, reason in routing.kept_out]
        rows = told(tuple(found), request.room)
        return self._brakes.kept_out(rows, [entry for entry, _ in routing.kept_out])

    def _decide(
        self, entrants: Sequence[Entrant], terms: Terms, ping_id: UUID, *, second: bool, is_test: bool
    ) -> Decision:
        """Decides, by what has been measured up to now where the method goes by that; tests change no measures."""
        ranking = terms.ranking
        if ranking is None:
            return decide(entrants, terms, ping_id)
        if second:
            ranking = ranking.second
        terms = terms._replace(ranking=ranking.going_by(self._turns.credits, self._acceptance()))
        decision = decide(entrants, terms, ping_id)
        if ranking.takes_turns and decision.ladder and not is_test:
            could = [entrant.order for entrant in buyers_among(entrants, terms)]
            self._turns.offered(could, ranking.weights, decision.ladder[0].order)
        return decision

    async def warm(self, book: RuleBook, connections: int, within_s: float) -> None:
        """Connects to the buyers of a market before the first ping comes; waits for it no longer than `within_s`."""
        self._ways.drop_before(book.version)
        entries = (entry for campaign in book.campaigns.values() for entry in campaign.entries if _may_be_asked(entry))
        endpoints = {(entry.buyer.key, entry.endpoint.name): entry for entry in entries}
        lines = [self._ways.of(entry).line for entry in endpoints.values()]
        if dials := self._fanout.warm(lines, connections):
            await asyncio.wait(dials, timeout=within_s)

    async def _replies(
        self,
        request: PingRequest,
        ping_id: UUID,
        entries: Sequence[OrderEntry],
        available: Available,
        terms: Terms,
    ) -> Heard:
        """What each order says to a lead. Those with a fixed price need not be asked; others may be asked in turn."""
        decide_by, selling = request.deadline.less_ms(self._times.finish_ms), request.book.selling
        if selling is None:
            return Heard(await self._ask(request, ping_id, entries, decide_by))
        prices = selling.prices_for(request.facts)

        async def ask(some: Sequence[OrderEntry], until: Deadline) -> Sequence[Asked]:
            said = {entry.key: fixed_reply(entry, prices[entry.key]) for entry in some if entry.key in prices}
            said |= self._left_out(request, ping_id, [entry.key for entry in some if entry.key not in said])
            if asking := [entry for entry in some if entry.key not in said]:
                replies = await self._ask(request, ping_id, asking, until)
                said |= {reply.order: reply for reply in replies}
                if selling.fanout_max is not None and not request.test:
                    self._expectations.heard(replies)
            return [said[entry.key] for entry in some]

        def is_enough(some: Sequence[OrderEntry], replies: Sequence[Asked]) -> bool:
            return has_buyer(_entrants(request, some, replies, available), terms)

        if not selling.in_tiers and selling.fallback_method is None:
            return Heard(await ask(entries, decide_by))
        least_ms = self._times.ask_min_ms + 1  # what is left of it when its orders are asked is rounded down
        times = TierTimes(request.book.campaign.tier_share_percent, least_ms)
        return await ask_in_rounds(entries, _rounds(selling, entries, prices), ask, is_enough, decide_by, times)

    def _left_out(self, request: PingRequest, ping_id: UUID, orders: Sequence[str]) -> dict[str, Asked]:
        """The orders that are not asked because too many are eligible."""
        campaign, expected = request.book.campaign, self._expectations.micros
        if campaign.fanout_max is None or len(orders) <= campaign.fanout_max:
            return {}
        at_most, exploration = campaign.fanout_max, campaign.exploration
        chosen = select(orders, expected, ping_id, at_most=at_most, exploration=exploration)
        refusals = {
            order: Refusal(
                Reason.NOT_SELECTED, f"{format_amount(expected[order])} expected" if order in expected else ""
            )
            for order in orders
            if order not in chosen
        }
        return {order: Asked(order, refusal) for order, refusal in refusals.items()}

    async def _ask(
        self, request: PingRequest, ping_id: UUID, entries: Sequence[OrderEntry], decide_by: Deadline
    ) -> tuple[Asked, ...]:
        """Asks the orders for which there is time; the others are told apart as `NO_TIME_LEFT`."""
        left_ms = decide_by.remaining_ms()
        if left_ms < self._times.ask_min_ms:
            return tuple(Asked(entry.key, Refusal(Reason.NO_TIME_LEFT)) for entry in entries)
        self._ways.drop_before(request.market_version)
        usual_ms = request.book.campaign.ping_timeout_ms
        seen: dict[tuple[str, ...], Seen] = {}

        def ping_of(entry: OrderEntry) -> Ping:
            return _ping(request, ping_id, entry, seen)

        return await self._ways.ask(entries, ping_of, left_ms, usual_ms, decide_by)


def _with_sub_caps(request: PingRequest) -> PingRequest:
    """The request with the room that sub-caps leave for its lead."""
    sub_caps, room = request.book.sub_caps, request.room
    if sub_caps is None or request.test or isinstance(room, PartedRoom):
        return request
    parts = sub_caps.subjects(request.facts)
    return request._replace(room=PartedRoom(room, parts)) if parts else request


def _route(request: PingRequest, available: Available, floor_micros: int, now_s: float, shut: Shut) -> Routing:
    book, lead, seller, room = request.book, request.facts, request.seller, request.room
    room.wake(int(now_s * 1_000_000))
    had_by, test = request.had_by, request.test
    routing = route(book, lead, seller, available, room.left, had_by, floor_micros, now_s, shut, test=test)
    if book.has_share_caps:
        entries = (*routing.asked, *(entry for entry, _ in routing.kept_out))
        counted = [entry.key for entry in entries if entry.order.share_cap is not None]
        room.passed.note(counted, datetime.fromtimestamp(now_s, UTC))
    return routing


def _terms(request: PingRequest) -> Terms:
    book, seller = request.book, request.seller
    if book.campaign.sale is Sale.EXCLUSIVE:
        return terms_of(book, seller, request.facts, request.min_price_micros)
    left = request.room.leads_left(seller.key, book.campaign.key)
    return terms_of(book, seller, request.facts, request.min_price_micros, shares_left=left)


def fixed_reply(entry: OrderEntry, gross_micros: int) -> Asked:
    """What stands for the reply of an order that has a fixed price: a bid for each way in which it takes leads."""
    shared = Bid(gross_micros, sale=Sale.SHARED)
    if entry.sale is Sale.SHARED:
        return Asked(entry.key, shared)
    return Asked(entry.key, Bid(gross_micros, others=(shared,) if entry.sale is Sale.EITHER else ()))


def _rounds(selling: Selling, entries: Sequence[OrderEntry], fixed: Mapping[str, int]) -> Rounds:
    """Whom the campaign's methods ask in what turn."""
    first = tiers_of(entries) if selling.in_tiers else [entries]
    if selling.fallback_method is None:
        return Rounds(first)
    then = tiers_of if selling.fallback_method is Method.PRIORITY else _all_at_once
    at_most = len(entries) if selling.fanout_max is None else selling.fanout_max
    more = any(sum(entry.key not in fixed for entry in tier) > at_most for tier in first)
    return Rounds(first, then, more)


def _all_at_once(entries: Sequence[OrderEntry]) -> Sequence[Sequence[OrderEntry]]:
    return [entries]


def _may_be_asked(entry: OrderEntry) -> bool:
    order = entry.order
    return not order.paused and order.price_micros is None and entry.auth_headers is not None


def _ping(request: PingRequest, ping_id: UUID, entry: OrderEntry, seen: dict[tuple[str, ...], Seen]) -> Ping:
    """What an order is told of a lead; those who may see the same fields share what has been written of them."""
    campaign, visible = request.book.campaign, entry.visible
    if visible not in seen:
        seen[visible] = {name: request.lead[name] for name in visible if name in request.lead}, {}
    lead, written = seen[visible]
    return Ping(
        ping_id=ping_id,
        order=entry.key,
        campaign=campaign.key,
        vertical=campaign.vertical,
        test=request.test,
        currency=request.currency,
        floor_micros=told_floor(request.book, request.facts, visible),
        sale=entry.sale or Sale.EXCLUSIVE,
        lead=lead,
        written=written,
    )


def _entrants(
    request: PingRequest, entries: Sequence[OrderEntry], asked: Sequence[Asked], available: Available
) -> list[Entrant]:
    usual, room = usual_margin(request.book.campaign, request.seller), request.room.left
    entrants = []
    for entry, reply in zip(entries, asked, strict=True):
        order, buyer = entry.order, entry.buyer
        key, owner = order.key, buyer.key
        spendable, margin, left = available.get(owner), buyer.margin or usual, room.get(key)
        found = key, owner, order.priority, buyer.max_bid_micros, spendable, margin, reply, left
        entrants.append(_new(Entrant, found))
    return entrants


def _trace(
    request: PingRequest,
    ping_id: UUID,
    rows: tuple[OutcomeRow, ...],
    decision: Decision,
    phases_ms: Mapping[str, float],
) -> PingTrace:
    campaign = request.book.campaign
    offer = None
    if decision.payout_micros is not None:
        expires_at = datetime.now(UTC) + timedelta(seconds=campaign.offer_ttl_s)
        offer = Offer(decision.payout_micros, expires_at, decision.ladder)
    status = PingStatus.UNSOLD if offer is None else PingStatus.OFFERED
    reason, inputs, sums = decision.reason, decision.inputs, decision.sums
    delays_s = request.book.notice_delays_s
    notice_at = first_look(delays_s, rows, ping_id) if delays_s else None
    return request.trace(ping_id, status, reason, offer, rows, phases_ms, inputs, sums, notice_at)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def decide_again(
    request: PingRequest,
    ping_id: UUID,
    replies: Sequence[tuple[OrderEntry, Asked]],
    inputs: Inputs | None,
    shares_left: int,
) -> Decision:
    """The auction of a ping once more, from what each order replied; limits that only that moment knew are none.

    `inputs` is what the campaign's method went by, `shares_left` how many legs there was room for.
    """
    request = request.at(ping_id)
    entries, asked = [entry for entry, _ in replies], [reply for _, reply in replies]
    book, min_price_micros = request.book, request.min_price_micros
    terms = terms_of(book, request.seller, request.facts, min_price_micros, inputs, shares_left=shares_left)
    return decide(_entrants(request, entries, asked, {}), terms, ping_id)
