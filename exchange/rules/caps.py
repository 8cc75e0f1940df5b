"""Caps and budgets: calendar windows in a zone, and the limits that an attempt must keep in each of them."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple, assert_never
from zoneinfo import ZoneInfo

from exchange.rules.zones import change_between, zone_of
from exchange.values.market import Buyer, Campaign, Market, Order, Period, Seller, SubCap
from exchange.values.schedule import Schedule

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)


class Scope(NamedTuple):
    """Whose leads are counted: `kind` is `order`, `seller` or `campaign`; windows are those of the zone.

    An order's sub-cap is a subject of its own, of the same kind.
    """

    kind: str
    subject: str
    zone: str


class Limit(NamedTuple):
    """The most leads and the most money in one kind of window; None means no limit."""

    period: Period
    leads_max: int | None
    micros_max: int | None


class Window(NamedTuple):
    """A time from `starts_at` up to, not including, `ends_at`; both in UTC."""

    starts_at: datetime
    ends_at: datetime


class Cap(NamedTuple):
    """One limit of one subject."""

    scope: Scope
    limit: Limit


class Spacing(NamedTuple):
    """The least time between two attempts of an order."""

    scope: Scope
    seconds: int


class Pace(NamedTuple):
    """A day's limits that are spread evenly over the time that an order is open; `burst` millionths of it ahead."""

    scope: Scope
    schedule: Schedule
    leads_max: int | None
    micros_max: int | None
    burst: int


class Proportion(NamedTuple):
    """The most of the leads that an order's filter lets through in a window, in millionths."""

    scope: Scope
    period: Period
    parts_per_million: int


AnyCap = Cap | Spacing | Pace | Proportion

ALWAYS = Schedule()


def caps_of_order(order: Order, buyer: Buyer, sub_caps: Collection[str] | None = None) -> tuple[AnyCap, ...]:
    """All that limits an order, in its buyer's zone; of its sub-caps those of these names, or all."""
    scope = Scope("order", order.key, buyer.time_zone)
    found: tuple[AnyCap, ...] = _caps(scope, order.caps, order.budget, _counted_anyway(order))
    if order.spacing_s is not None:
        found += (Spacing(scope, order.spacing_s),)
    if order.pacing is not None:
        leads_max, micros_max = order.caps.get(Period.DAY), order.budget.get(Period.DAY)
        found += (Pace(scope, order.schedule or ALWAYS, leads_max, micros_max, order.pacing.burst),)
    if order.share_cap is not None:
        found += (Proportion(scope, order.share_cap.period, order.share_cap.parts_per_million),)
    for sub_cap in order.sub_caps:
        if sub_caps is None or sub_cap.name in sub_caps:
            found += _caps(scope._replace(subject=subject_of(order, sub_cap)), sub_cap.caps, sub_cap.budget)
    return found


def subject_of(order: Order, sub_cap: SubCap) -> str:
    """What a sub-cap is counted under; no key of an order has a slash."""
    return f"{order.key}/{sub_cap.name}"


def _counted_anyway(order: Order) -> frozenset[Period]:
    """The windows in which an order is counted although nothing limits it there by number."""
    found = set() if order.share_cap is None else {order.share_cap.period}
    return frozenset(found if order.spacing_s is None else {*found, Period.TOTAL})


def caps_of_ping(seller: Seller, campaign: Campaign) -> tuple[Cap, ...]:
    """What a seller and a campaign limit, whoever buys; both in the campaign's zone."""
    return _caps(Scope("seller", seller.key, campaign.time_zone), seller.caps, {}) + _caps(
        Scope("campaign", campaign.key, campaign.time_zone), campaign.caps, {}
    )


def caps_of_market(market: Market) -> tuple[AnyCap, ...]:
    """Every limit of a market."""
    found: list[AnyCap] = []
    for order in market.orders.values():
        found += caps_of_order(order, market.buyers[order.buyer])
    for seller in market.sellers.values():
        for key in seller.campaigns if seller.caps else ():
            found += caps_of_ping(seller, market.campaigns[key])
    for campaign in market.campaigns.values():
        found += _caps(Scope("campaign", campaign.key, campaign.time_zone), campaign.caps, {})
    return tuple(dict.fromkeys(found))


def _caps(
    scope: Scope, caps: Mapping[Period, int], budget: Mapping[Period, int], others: Collection[Period] = ()
) -> tuple[Cap, ...]:
    if not (caps or budget or others):
        return ()
    return tuple(
        Cap(scope, Limit(period, caps.get(period), budget.get(period)))
        for period in Period
        if period in caps or period in budget or period in others
    )


def window(period: Period, zone: str, now: datetime) -> Window:
    """The window that holds `now`. Days, weeks (from Monday) and months are those of the zone's calendar.

    A day on which clocks change has 23 or 25 hours, and each of them is an hour of its own.
    """
    clock = zone_of(zone)
    local = now.astimezone(clock)
    today = local.date()
    match period:
        case Period.HOUR:
            return _hour(local, clock)
        case Period.DAY:
            return _between(today, today + timedelta(days=1), period, zone, now)
        case Period.WEEK:
            monday = today - timedelta(days=today.weekday())
            return _between(monday, monday + timedelta(days=7), period, zone, now)
        case Period.MONTH:
            first = today.replace(day=1)
            return _between(first, (first + timedelta(days=31)).replace(day=1), period, zone, now)
        case Period.TOTAL:
            return Window(BEGINNING, END)
    assert_never(period)


@lru_cache(maxsize=4096)
def windows_around(period: Period, zone: str, now: datetime) -> tuple[Window, ...]:
    """The window that holds `now`, and its neighbours: whose clock is a little off means one of those."""
    current = window(period, zone, now)
    if period is Period.TOTAL:
        return (current,)
    return window(period, zone, current.starts_at - _INSTANT), current, window(period, zone, current.ends_at)


def _between(first: date, after: date, period: Period, zone: str, now: datetime) -> Window:
    found = Window(_start_of(first, zone), _start_of(after, zone))
    if now >= found.ends_at:  # clocks went back over midnight, to a day that was over already
        return window(period, zone, now + timedelta(hours=12))
    return found


@lru_cache(maxsize=4096)
def _start_of(day: date, zone: str) -> datetime:
    """The first instant of a day: midnight, or the next instant there was where clocks skipped it."""
    return datetime.combine(day, time(), zone_of(zone)).astimezone(UTC)


def _hour(local: datetime, zone: ZoneInfo) -> Window:
    """The hour on the clock, cut short where the clock is changed within it."""
    offset, now = local.utcoffset(), local.astimezone(UTC)
    starts_at = now - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    ends_at = starts_at + timedelta(hours=1)
    if starts_at.astimezone(zone).utcoffset() != offset:
        starts_at = change_between(starts_at, now, zone)
    if (ends_at - _INSTANT).astimezone(zone).utcoffset() != offset:
        ends_at = change_between(now, ends_at, zone)
    return Window(starts_at, ends_at)
