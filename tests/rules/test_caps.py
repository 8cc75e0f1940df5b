"""Windows: they tile time without a gap, follow the zone's calendar, and are as long as its clocks make them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.caps import BEGINNING, END, Cap, Window, caps_of_order, caps_of_ping, window, windows_around
from exchange.values.market import Buyer, Campaign, Order, Period, Seller

ZONES = [
    "UTC", "America/New_York", "America/Chicago", "America/St_Johns", "America/Havana", "America/Sao_Paulo",
    "Europe/London", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Beirut", "Africa/Cairo",
    "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Pacific/Auckland", "Atlantic/Azores", "America/Asuncion",
]  # fmt: skip
CALENDAR = [period for period in Period if period is not Period.TOTAL]
INSTANT = timedelta(microseconds=1)

zones = st.sampled_from(ZONES)
periods = st.sampled_from(CALENDAR)
moments = st.datetimes(datetime(2005, 1, 1), datetime(2037, 1, 1)).map(lambda found: found.replace(tzinfo=UTC))  # noqa: DTZ001


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def hours(found: Window) -> float:
    return (found.ends_at - found.starts_at) / timedelta(hours=1)


@given(periods, zones, moments)
def test_a_window_holds_its_moment_and_ends_where_the_next_begins(period: Period, zone: str, now: datetime) -> None:
    found = window(period, zone, now)
    assert found.starts_at <= now < found.ends_at
    assert window(period, zone, found.ends_at).starts_at == found.ends_at
    assert window(period, zone, found.starts_at) == window(period, zone, found.ends_at - INSTANT) == found
    assert found.starts_at.tzinfo is UTC
    before, current, after = windows_around(period, zone, now)
    assert (before.ends_at, current, after.starts_at) == (found.starts_at, found, found.ends_at)


@given(zones, moments)
def test_windows_begin_with_the_hour_the_day_the_monday_and_the_first(zone: str, now: datetime) -> None:
    starts = {period: window(period, zone, now).starts_at.astimezone(ZoneInfo(zone)) for period in CALENDAR}
    just_before = {
        period: (found.astimezone(UTC) - INSTANT).astimezone(ZoneInfo(zone)) for period, found in starts.items()
    }
    assert starts[Period.DAY].date() > just_before[Period.DAY].date()
    assert starts[Period.WEEK].isocalendar().week != just_before[Period.WEEK].isocalendar().week
    assert starts[Period.MONTH].month != just_before[Period.MONTH].month
    same_hour = starts[Period.HOUR].hour == just_before[Period.HOUR].hour
    assert not same_hour or starts[Period.HOUR].utcoffset() != just_before[Period.HOUR].utcoffset()


@given(zones, moments)
def test_longer_windows_hold_shorter_ones(zone: str, now: datetime) -> None:
    hour, day, month = (window(period, zone, now) for period in (Period.HOUR, Period.DAY, Period.MONTH))
    for inner, outer in [(hour, day), (day, month), (day, window(Period.WEEK, zone, now))]:
        assert outer.starts_at <= inner.starts_at < inner.ends_at <= outer.ends_at


@pytest.mark.parametrize(
    ("zone", "day", "length"),
    [
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/New_York", "2026-11-02", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Africa/Cairo", "2026-04-24", 23),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("UTC", "2026-03-08", 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(zone: str, day: str, length: float) -> None:
    found = window(Period.DAY, zone, at(f"{day}T12:00", zone))
    assert hours(found) == length
    now, count = found.starts_at, 0
    while now < found.ends_at:
        now, count = window(Period.HOUR, zone, now).ends_at, count + 1
    assert now == found.ends_at
    assert count == round(length + 0.1)


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    first = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # 01:30 in New York, still summer time
    one, other = (window(Period.HOUR, "America/New_York", first + timedelta(hours=more)) for more in (0, 1))
    assert hours(one) == hours(other) == 1
    assert one.ends_at == other.starts_at == datetime(2026, 11, 1, 6, tzinfo=UTC)


def test_a_week_begins_on_monday_in_the_zone() -> None:
    sunday_night = datetime(2026, 3, 9, 3, 59, tzinfo=UTC)  # 23:59 on Sunday in New York, the day the clocks changed
    found = window(Period.WEEK, "America/New_York", sunday_night)
    assert (found.starts_at, found.ends_at) == (at("2026-03-02T05:00"), at("2026-03-09T04:00"))
    assert hours(found) == 7 * 24 - 1
    assert window(Period.WEEK, "America/New_York", at("2026-03-09T04:00")).starts_at == at("2026-03-09T04:00")


def test_the_total_has_one_window() -> None:
    assert windows_around(Period.TOTAL, "Asia/Kolkata", at("2026-03-09T04:00")) == (Window(BEGINNING, END),)


def test_an_order_is_limited_in_its_buyers_zone_and_a_seller_in_the_campaigns() -> None:
    order = Order("o", "b", "c", "default", caps={Period.DAY: 5}, budget={Period.DAY: 7, Period.MONTH: 9})
    found = caps_of_order(order, Buyer("b", {}, time_zone="Asia/Kolkata"))
    assert [(cap.scope, *cap.limit) for cap in found if isinstance(cap, Cap)] == [
        (("order", "o", "Asia/Kolkata"), "day", 5, 7),
        (("order", "o", "Asia/Kolkata"), "month", None, 9),
    ]
    campaign = Campaign("c", "v", time_zone="Europe/Berlin", caps={Period.TOTAL: 3})
    found_of_ping = caps_of_ping(Seller("s", ("c",), caps={Period.HOUR: 2}), campaign)
    assert [(cap.scope, *cap.limit) for cap in found_of_ping] == [
        (("seller", "s", "Europe/Berlin"), "hour", 2, None),
        (("campaign", "c", "Europe/Berlin"), "total", 3, None),
    ]
