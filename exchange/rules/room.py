"""Room: how much each capped order, seller and campaign can still be offered, as far as one gateway knows.

It is an estimate that keeps offers from failing at the post, where Postgres decides. It knows what has been counted
and takes off what the offers that are still open will probably use: all of it while nobody can say how many are posted.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from exchange.rules.caps import AnyCap, Cap, Limit, Pace, Proportion, Scope, Spacing, window
from exchange.rules.estimates import ENDLESS, NO_LIMIT, NO_PARTS, Left, Open, Parts, Row, expected
from exchange.rules.passed import Passed
from exchange.rules.remainder import Counted, Remainder, of_limit, of_pace, of_proportion
from exchange.rules.rests import SECOND_US, Rest
from exchange.values.ids import moment_of
from exchange.values.market import Period
from exchange.values.reason import Reason
from exchange.values.trace import PingTrace, sold_first

MEMORY_OFFERS = 400
"""After so many offers what is known of them counts half."""

NEAR_LEADS = 25
"""With less room than this, or twice the open offers, what is offered matters to other gateways."""

FAR_LEADS, FAR_SHARE = 4 * NEAR_LEADS, 4
"""Beyond so many leads, and while open offers are less than this part of what is left, they make no difference."""

OTHERS_S = 5.0
"""For how long what another gateway said of its offers is believed."""


Name = tuple[str, str]
_RowKey = tuple[str, str, str, int, int]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MINUTE_US = 60 * SECOND_US
_NOTHING = Counted()


@dataclass(slots=True, eq=False)
class _Subject:
    scope: Scope
    caps: tuple[AnyCap, ...] = ()
    limits: tuple[Limit, ...] = ()
    pace: Pace | None = None
    proportion: Proportion | None = None
    rest: Rest | None = None
    is_resting: bool = False
    leads_by: str = ""
    micros_by: str = ""
    offers: int = 0
    micros: int = 0
    posted: float = 0.0
    expired: float = 0.0
    others: dict[str, tuple[float, Open]] = field(default_factory=dict)
    uncounted: Left = ENDLESS
    far: Left = ENDLESS
    left: Left = ENDLESS

    def limit(self, caps: tuple[AnyCap, ...]) -> None:
        """Sets the limits in force."""
        self.caps = caps
        rest, self.limits, self.pace, self.proportion, self.rest = self.rest, (), None, None, None
        for cap in caps:
            match cap:
                case Cap():
                    self.limits = (*self.limits, cap.limit)
                case Pace():
                    self.pace = cap
                case Proportion():
                    self.proportion = cap
                case Spacing():
                    self.rest = Rest(cap.seconds * SECOND_US, offered_us=rest.offered_us if rest else 0)

    @property
    def is_near(self) -> bool:
        return self.left.leads <= max(NEAR_LEADS, 2 * self.offers) or self.left.micros <= 2 * self.micros


class Room:
    """The estimate of one gateway. `left` holds every order that has a limit; it is looked up for each ping.

    `limits_pings` says whether any seller or campaign has one. `changed` are the subjects to tell other gateways of.
    The time comes in, in seconds of a clock that does not jump and as a moment in UTC. `news` is called when an offer
    that matters to other gateways is made or ends.
    """

    def __init__(self, news: Callable[[], None] = lambda: None) -> None:
        self._news = news
        self.left: dict[str, Left] = {}
        self.limits_pings = False
        self.changed: set[Scope] = set()
        self._subjects: dict[Scope, _Subject] = {}
        self._by_name: dict[Name, list[_Subject]] = {}
        self._zones: Mapping[str, str] = {}
        self._rows: dict[_RowKey, Row] = {}
        self._windows: dict[tuple[Period, str], tuple[int, int]] = {}
        self._offers: dict[UUID, tuple[tuple[int, tuple[_Subject, ...]], ...]] = {}
        self._heard: set[_Subject] = set()
        self._expiries: list[tuple[datetime, UUID]] = []
        self._now_us = 0
        self._paced: list[_Subject] = []
        self._resting: list[tuple[int, Scope]] = []
        self.passed = Passed()

    @property
    def limited(self) -> KeysView[Name]:
        """The kinds and keys of all that has limits."""
        return self._by_name.keys()

    def limit(self, caps: Sequence[AnyCap], zones: Mapping[str, str], now: datetime) -> None:
        """Sets the limits in force, and the zone of each campaign. What was offered before stays known."""
        for _ in self.limiting(caps, zones, now):
            pass

    def limiting(self, caps: Sequence[AnyCap], zones: Mapping[str, str], now: datetime) -> Iterator[None]:
        """As `limit`, in small steps. Between them the room can be used: some limits are the old ones, some the new."""
        self._now_us = max(self._now_us, _micros(now))
        limits: dict[Scope, list[AnyCap]] = {}
        for cap in caps:
            limits.setdefault(cap.scope, []).append(cap)
            yield
        for scope, found in limits.items():
            if (subject := self._limit(scope, tuple(found))) is not None:
                self._recount(subject, now)
            yield
        paced = []
        for scope, subject in list(self._subjects.items()):
            if scope not in limits:
                self._forget(scope)
            elif subject.pace is not None:
                paced.append(subject)
            yield
        self._zones, self._paced = zones, paced
        self.passed.limit(caps)
        yield
        self.limits_pings = any(scope.kind != "order" for scope in limits)

    def _limit(self, scope: Scope, caps: tuple[AnyCap, ...]) -> _Subject | None:
        """Sets the limits of a subject, and returns it if they are other ones."""
        subject = self._subjects.get(scope)
        if subject is None:
            subject = self._subjects[scope] = _Subject(scope)
            self._by_name.setdefault(scope[:2], []).append(subject)
        elif subject.caps == caps:
            return None
        subject.limit(caps)
        return subject

    def _forget(self, scope: Scope) -> None:
        """A subject has no limits any more; its name may have some in another zone."""
        subject, name = self._subjects.pop(scope), scope[:2]
        others = self._by_name[name]
        others.remove(subject)
        for other in others:
            self._leave(other, other.left)
        if not others:
            del self._by_name[name]
            if scope.kind == "order":
                self.left.pop(scope.subject, None)

    def count(self, rows: Iterable[Row], now: datetime) -> None:
        """Takes note of what Postgres has counted."""
        touched: set[Name] = set()
        self._now_us = max(self._now_us, _micros(now))
        for row in rows:
            key = row[:5]
            known = self._rows.get(key)
            if (known is None or known.changes < row.changes) and key[:2] in self._by_name:
                self._rows[key] = row
                touched.add(key[:2])
        for name in touched:
            for subject in self._by_name[name]:
                self._recount(subject, now)

    def offered(self, trace: PingTrace, parts: Parts = NO_PARTS) -> None:
        """Takes note of an offer to the order that it would go to, or to those of its legs."""
        if trace.offer is None or not self._subjects:
            return
        zone, taken = self._zones.get(trace.campaign, "UTC"), []
        for rung in sold_first(trace.offer.ladder):
            found = [
                *self._of_order(rung.order, parts.get(rung.order, ())),
                *filter(None, (self._subjects.get(Scope("seller", trace.seller, zone)),)),
                *filter(None, (self._subjects.get(Scope("campaign", trace.campaign, zone)),)),
            ]
            if found:
                taken.append((rung.gross_micros, tuple(found)))
                self._rest_after_offer(found, trace.ping_id)
                self._move(found, 1, rung.gross_micros)
        if taken:
            self._offers[trace.ping_id] = tuple(taken)
            heapq.heappush(self._expiries, (trace.offer.expires_at, trace.ping_id))

    def posted(self, ping_id: UUID) -> None:
        """An offer was posted: what it used is counted by now."""
        self._close(ping_id, was_posted=True)

    def tick(self, now: datetime, now_s: float) -> None:
        """Lets go of offers, windows and gateways whose time is over."""
        while self._expiries and self._expiries[0][0] <= now:
            self._close(heapq.heappop(self._expiries)[1], was_posted=False)
        now_us, before_us = _micros(now), self._now_us
        self.wake(now_us)
        if now_us // _MINUTE_US != before_us // _MINUTE_US:
            for subject in self._paced:
                self._recount(subject, now)
        for key in [key for key in self._rows if key[4] <= now_us]:
            del self._rows[key]
            for subject in self._by_name.get(key[:2], ()):
                self._recount(subject, now)
        for subject in self._heard:
            subject.others = {name: found for name, found in subject.others.items() if found[0] > now_s - OTHERS_S}
            self._estimate(subject)
        self._heard = {subject for subject in self._heard if subject.others}

    def wake(self, now_us: int) -> None:
        """Lets orders with a spacing go on whose rest is over; the time is in microseconds since 1970."""
        self._now_us = now_us
        while self._resting and self._resting[0][0] <= now_us:
            subject = self._subjects.get(heapq.heappop(self._resting)[1])
            if subject is not None:
                self._settle(subject)

    def told(self, order: str, reason: Reason, parts: Sequence[str] = ()) -> str:
        """Which limit it is that leaves an order no room, in a few words."""
        subjects = self._of_order(order, parts)
        if not subjects:
            return ""
        if reason is Reason.CAPPED:
            least = min(subjects, key=lambda item: (not item.is_resting, item.left.leads))
            return _named(least, "spacing" if least.is_resting else least.leads_by)
        least = min(subjects, key=lambda item: item.left.micros)
        return _named(least, least.micros_by)

    def hear(self, gateway: str, scope: Scope, found: Open, now_s: float) -> None:
        """Another gateway says what it has offered."""
        subject = self._subjects.get(scope)
        if subject is not None:
            subject.others[gateway] = now_s, found
            self._heard.add(subject)
            self._estimate(subject)

    def tell(self, scope: Scope) -> Open | None:
        """What this gateway has offered of a subject, where that matters to others."""
        subject = self._subjects.get(scope)
        return None if subject is None or not subject.is_near else Open(subject.offers, subject.micros)

    def near(self) -> list[Scope]:
        """The subjects whose offers matter to others."""
        return [scope for scope, subject in self._subjects.items() if subject.offers and subject.is_near]

    def refuses(self, seller: str, campaign: str) -> bool:
        """Whether the seller or the campaign has no room for another lead."""
        return self.leads_left(seller, campaign) < 1

    def leads_left(self, seller: str, campaign: str) -> int:
        """How many more leads, or legs of one, the seller and the campaign have room for."""
        if not self.limits_pings:
            return NO_LIMIT
        zone = self._zones.get(campaign, "UTC")
        scopes = Scope("seller", seller, zone), Scope("campaign", campaign, zone)
        return min([NO_LIMIT, *(found.left.leads for found in map(self._subjects.get, scopes) if found is not None)])

    def _close(self, ping_id: UUID, *, was_posted: bool) -> None:
        for gross_micros, subjects in self._offers.pop(ping_id, ()):
            for subject in subjects:
                if subject.posted + subject.expired >= MEMORY_OFFERS:
                    subject.posted, subject.expired = subject.posted / 2, subject.expired / 2
                subject.posted += was_posted
                subject.expired += not was_posted
                if subject.rest is not None:
                    subject.rest.offered_us = 0
                    self._settle(subject)
            self._move(subjects, -1, -gross_micros)

    def _move(self, subjects: Iterable[_Subject], offers: int, micros: int) -> None:
        for subject in subjects:
            subject.offers += offers
            subject.micros += micros
            if subject.offers < subject.far.leads and subject.micros < subject.far.micros:
                if subject.left is not subject.uncounted:  # so far from its limits, open offers need no estimate
                    self._leave(subject, subject.uncounted)
                continue
            self._estimate(subject)
            if subject.is_near:
                self.changed.add(subject.scope)
                self._news()

    def _recount(self, subject: _Subject, now: datetime) -> None:
        """Takes what has been counted off the limits."""
        leads = micros = NO_LIMIT
        for name, more_leads, more_micros in self._remainders(subject, now):
            if more_leads is not None and more_leads < leads:
                leads, subject.leads_by = more_leads, name
            if more_micros is not None and more_micros < micros:
                micros, subject.micros_by = more_micros, name
        subject.uncounted = Left(leads, micros)
        subject.far = Left((leads - FAR_LEADS) // FAR_SHARE, micros // FAR_SHARE)
        if subject.rest is not None:
            row = self._row(subject, Period.TOTAL, now)
            subject.rest.last_us = row.last_us if row else 0
            self._settle(subject)
        self._estimate(subject)

    def _remainders(self, subject: _Subject, now: datetime) -> Iterator[Remainder]:
        """What each limit of a subject leaves."""
        for limit in subject.limits:
            yield of_limit(limit, self._counted(subject, limit.period, now))
        if subject.proportion is not None:
            yield of_proportion(subject.proportion, self._counted(subject, subject.proportion.period, now))
        if subject.pace is not None:
            yield of_pace(subject.pace, self._counted(subject, Period.DAY, now), now)

    def _counted(self, subject: _Subject, period: Period, now: datetime) -> Counted:
        row = self._row(subject, period, now)
        return _NOTHING if row is None else Counted(row.leads, row.micros, row.passed)

    def _row(self, subject: _Subject, period: Period, now: datetime) -> Row | None:
        return self._rows.get((*subject.scope[:2], period, *self._window(period, subject.scope.zone, now)))

    def _of_order(self, order: str, parts: Sequence[str]) -> list[_Subject]:
        """The subjects that limit an order for a lead that counts in these sub-caps."""
        return [subject for name in (order, *parts) for subject in self._by_name.get(("order", name), ())]

    def _rest_after_offer(self, subjects: Iterable[_Subject], ping_id: UUID) -> None:
        for subject in subjects:
            if subject.rest is not None:
                subject.rest.offered_us = max(_micros(moment_of(ping_id)), self._now_us)
                self._settle(subject)

    def _settle(self, subject: _Subject) -> None:
        """Finds whether an order with a spacing rests; it is looked at again when that is over."""
        until_us = 0 if subject.rest is None else subject.rest.until_us()
        subject.is_resting = until_us > self._now_us
        if subject.is_resting:
            heapq.heappush(self._resting, (until_us, subject.scope))
        self._leave(subject, subject.left)

    def _estimate(self, subject: _Subject) -> None:
        """Takes off what the open offers will use."""
        left, found = subject.uncounted, _all_open(subject)
        if found.offers:
            used = expected(found, (subject.posted + 1) / (subject.posted + subject.expired + 1))
            left = Left(left.leads - used.offers, left.micros - used.micros)
        self._leave(subject, left)

    def _leave(self, subject: _Subject, left: Left) -> None:
        subject.left = left
        if subject.scope.kind == "order":
            self.left[subject.scope.subject] = Left(0, left.micros) if subject.is_resting else left

    def _window(self, period: Period, zone: str, now: datetime) -> tuple[int, int]:
        found, now_us = self._windows.get((period, zone)), _micros(now)
        if found is None or not found[0] <= now_us < found[1]:
            starts_at, ends_at = window(period, zone, now)
            found = self._windows[period, zone] = _micros(starts_at), _micros(ends_at)
        return found


def _all_open(subject: _Subject) -> Open:
    offers, micros = subject.offers, subject.micros
    for _, found in subject.others.values():
        offers, micros = offers + found.offers, micros + found.micros
    return Open(offers, micros)


def _named(subject: _Subject, limit: str) -> str:
    part = subject.scope.subject.partition("/")[2]
    return f"{limit} of {part}" if part and limit else limit


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


UNLIMITED = Room()
"""Of a test, which nothing limits. It has no subjects, so nothing changes it."""
