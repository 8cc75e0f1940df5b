"""Schedules: what is open and until when agrees with looking at a clock on the wall every minute, on any day."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exchange.rules.schedule import HORIZON_DAYS, Timeline, ever_opens
from exchange.rules.zones import instant_of
from exchange.values.schedule import DAY_MINUTES, Hours, Schedule, Window

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
CHANGES = [
    ("UTC", "2026-05-20"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Sao_Paulo", "2018-11-04"),  # midnight is skipped
    ("America/St_Johns", "2010-11-07"),  # one minute past midnight it is the day before again
    ("America/Havana", "2026-11-01"),
]
"""Zones, and days on which their clocks change."""


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def wall(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def looked_at(schedule: Schedule, zone: str, moment: datetime) -> bool:
    """Whether any window holds what the clock reads: plainly, without `starts` and `ends`."""
    clock = wall(moment, zone)
    for day in (clock.date(), clock.date() - DAY):
        for days, (begins_min, ends_min) in [(window.days, window.hours) for window in schedule.windows]:
            begins, ends = (datetime.combine(day, time()) + minutes * MINUTE for minutes in (begins_min, ends_min))
            ends += DAY * (ends <= begins)
            if day.weekday() in days and day not in schedule.holidays and begins <= clock < ends:
                return True
    return False


def minutes_of(schedule: Schedule, zone: str, first: datetime, count: int) -> list[bool]:
    """Whether a schedule is open in each of these minutes; it runs once the clock has read `starts`."""
    found, started, ended = [], schedule.starts is None, False
    for number in range(count):
        moment = first + number * MINUTE
        clock = wall(moment, zone)
        started = started or (schedule.starts is not None and clock >= schedule.starts)
        ended = ended or (schedule.ends is not None and clock >= schedule.ends)
        found.append(started and not ended and looked_at(schedule, zone, moment))
    return found


@st.composite
def places(draw: st.DrawFn) -> tuple[str, date]:
    zone, day = draw(st.sampled_from(CHANGES))
    return zone, date.fromisoformat(day)


near_changes = [0, 1, 30, 60, 90, 105, 119, 120, 121, 135, 150, 165, 179, 180, 181, 1380, 1439]
clock_minutes = st.sampled_from(near_changes) | st.sampled_from(near_changes) | st.integers(0, DAY_MINUTES - 1)
hours = (
    st.tuples(clock_minutes, clock_minutes | st.just(DAY_MINUTES))
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: Hours(*pair))
)
weekdays = st.just(frozenset(range(7))) | st.frozensets(st.integers(0, 6), min_size=1)
windows = st.lists(st.builds(Window, weekdays, hours), min_size=1, max_size=3).map(tuple)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Schedule, datetime]:
    """A zone, a schedule, and a moment on the day before its clocks change."""
    zone, day = draw(places())
    near = st.integers(-1, 2).map(lambda number: day + number * DAY)
    moments = st.builds(lambda when, minute: datetime.combine(when, time()) + minute * MINUTE, near, clock_minutes)
    starts, ends = draw(st.none() | st.none() | moments), draw(st.none() | st.none() | moments)
    holidays = draw(st.just(frozenset[date]()) | st.frozensets(near, max_size=2))
    schedule = Schedule(draw(windows), holidays, starts, ends)
    seconds = draw(st.integers(0, 86_399))
    return zone, schedule, at(f"{day - DAY}T00:00", zone) + timedelta(seconds=seconds)


@settings(max_examples=150)
@given(cases())
@example(
    ("America/St_Johns", Schedule((Window(hours=Hours(0, 1)),)), datetime(2010, 11, 6, 2, 30, tzinfo=UTC))
)  # there clocks were set back over midnight
def test_what_is_open_and_until_when_is_what_the_clock_on_the_wall_shows(case: tuple[str, Schedule, datetime]) -> None:
    zone, schedule, first = case
    midnight, count = first.replace(second=0), 3 * DAY_MINUTES
    expected, timeline, now = minutes_of(schedule, zone, midnight, count), Timeline(schedule, zone), first
    end = midnight + count * MINUTE
    while now < end:
        is_open, until = timeline.standing(now)
        assert until is None or now < until <= now + HORIZON_DAYS * DAY
        until = min(until or end, end)
        assert (until - midnight) % MINUTE == timedelta()
        begin = (now - midnight) // MINUTE
        assert expected[begin : (until - midnight) // MINUTE] == [is_open] * ((until - midnight) // MINUTE - begin)
        assert until == end or expected[(until - midnight) // MINUTE] is not is_open
        assert timeline.is_open(now) is is_open
        now = until


def opens(schedule: Schedule, zone: str, first: str, last: str) -> list[tuple[str, float]]:
    """When a schedule opens between two local days, as the clock shows it, and for how many hours."""
    timeline, found = Timeline(schedule, zone), []
    now, end = at(first, zone), at(last, zone)
    while now < end:
        is_open, until = timeline.standing(now)
        until = min(until or end, end)
        if is_open:
            found.append((f"{wall(now, zone):%a %H:%M}", (until - now) / timedelta(hours=1)))
        now = until
    return found


def daily(text: str) -> Schedule:
    begins, ends = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    return Schedule((Window(hours=Hours(begins, ends)),))


NEW_YORK, BERLIN, LORD_HOWE = "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"


@pytest.mark.parametrize(
    ("zone", "day", "hours", "expected"),
    [
        (NEW_YORK, "2026-03-08", "00:00-24:00", [("Sun 00:00", 23)]),
        (NEW_YORK, "2026-03-08", "02:30-06:00", [("Sun 03:00", 3)]),  # begins in the hour that is missing
        (NEW_YORK, "2026-03-08", "02:00-03:00", []),
        (NEW_YORK, "2026-03-08", "01:30-02:30", [("Sun 01:30", 0.5)]),
        (NEW_YORK, "2026-11-01", "00:00-24:00", [("Sun 00:00", 25)]),
        (NEW_YORK, "2026-11-01", "01:00-02:00", [("Sun 01:00", 2)]),  # the hour that comes twice counts twice
        (NEW_YORK, "2026-11-01", "01:30-06:00", [("Sun 01:30", 0.5), ("Sun 01:30", 4.5)]),
        (BERLIN, "2026-03-29", "02:00-08:00", [("Sun 03:00", 5)]),
        (BERLIN, "2026-10-25", "02:00-08:00", [("Sun 02:00", 7)]),
        (LORD_HOWE, "2026-10-04", "02:15-03:00", [("Sun 02:30", 0.5)]),  # half an hour is missing
        (LORD_HOWE, "2026-04-05", "01:30-02:30", [("Sun 01:30", 1.5)]),  # half an hour comes twice
        (LORD_HOWE, "2026-04-05", "00:00-24:00", [("Sun 00:00", 24.5)]),
    ],
)
def test_days_on_which_clocks_change(zone: str, day: str, hours: str, expected: list[tuple[str, float]]) -> None:
    after = date.fromisoformat(day) + DAY
    assert opens(daily(hours), zone, day, after.isoformat()) == expected


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    friday = Schedule((Window(frozenset({4}), Hours(22 * 60, 6 * 60)),))
    assert opens(friday, BERLIN, "2026-06-01", "2026-06-08") == [("Fri 22:00", 8)]
    assert opens(friday, BERLIN, "2026-10-19", "2026-10-26") == [("Fri 22:00", 8)]
    saturday = Schedule((Window(frozenset({5}), Hours(22 * 60, 6 * 60)),))
    assert opens(saturday, BERLIN, "2026-10-19", "2026-10-26") == [("Sat 22:00", 9)]


def test_a_holiday_closes_what_begins_on_it() -> None:
    nights = Schedule((Window(hours=Hours(22 * 60, 6 * 60)),), frozenset({date(2026, 12, 25)}))
    assert opens(nights, NEW_YORK, "2026-12-24T12:00", "2026-12-27T00:00") == [("Thu 22:00", 8), ("Sat 22:00", 2)]
    days = Schedule(holidays=frozenset({date(2026, 12, 25)}))
    assert opens(days, NEW_YORK, "2026-12-24", "2026-12-27") == [("Thu 00:00", 24), ("Sat 00:00", 24)]


def test_windows_that_touch_or_overlap_are_one() -> None:
    two = Schedule((Window(hours=Hours(480, 720)), Window(hours=Hours(700, 800)), Window(hours=Hours(800, 900))))
    assert opens(two, BERLIN, "2026-06-01", "2026-06-02") == [("Mon 08:00", 7)]


def test_what_changes_after_the_horizon_is_not_told() -> None:
    timeline = Timeline(Schedule(starts=datetime(2027, 1, 1)), NEW_YORK)  # noqa: DTZ001  # a time on the wall
    assert timeline.standing(at("2026-06-01")) == (False, None)
    assert timeline.standing(at("2026-12-24T05:00")) == (False, at("2027-01-01", NEW_YORK))
    assert timeline.standing(at("2027-01-01", NEW_YORK)) == (True, None)
    ended = Timeline(Schedule(ends=datetime(2027, 1, 1)), NEW_YORK)  # noqa: DTZ001
    assert ended.standing(at("2026-12-31", NEW_YORK)) == (True, at("2027-01-01", NEW_YORK))
    assert ended.standing(at("2027-01-01", NEW_YORK)) == (False, None)


@given(places(), st.integers(-DAY_MINUTES, 2 * DAY_MINUTES))
def test_an_instant_is_the_first_at_which_the_clock_has_come_to_its_time(place: tuple[str, date], minute: int) -> None:
    zone, day = place
    wanted = datetime.combine(day, time()) + minute * MINUTE
    found = instant_of(wanted, ZoneInfo(zone))
    before = [found - number * MINUTE for number in range(1, 181)]
    assert wall(found, zone) >= wanted
    assert all(wall(moment, zone) < wanted for moment in before)


@given(
    windows,
    st.frozensets(st.integers(-1, 20).map(lambda number: date(2026, 5, 20) + number * DAY)),
    st.integers(0, 12 * DAY_MINUTES),
    st.integers(1, 12 * DAY_MINUTES),
)
def test_whether_a_schedule_ever_opens(
    windows: tuple[Window, ...], holidays: frozenset[date], begin: int, length: int
) -> None:
    starts = datetime(2026, 5, 20) + begin * MINUTE  # noqa: DTZ001  # a time on the wall
    ends = starts + length * MINUTE
    schedule = Schedule(windows, holidays, starts, ends)
    in_utc = starts.replace(tzinfo=UTC)
    timeline = Timeline(schedule, "UTC")
    later = [timeline.standing(in_utc + days * DAY) for days in range(0, 13, HORIZON_DAYS)]
    assert ever_opens(schedule) == any(found.until or found.is_open for found in later)
    assert ever_opens(Schedule(windows, holidays, starts)) == ever_opens(Schedule(windows, holidays)) is True
