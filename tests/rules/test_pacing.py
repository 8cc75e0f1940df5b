"""An even pace: by the time that an order has been open, whatever is done to clocks, and never more than its part."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.caps import ALWAYS, Pace, Scope, window
from exchange.rules.pacing import MILLION, PIECE, allowance, allowances_around, open_spans, seconds_of, share_of
from exchange.rules.schedule import Timeline
from exchange.values.market import Period
from exchange.values.schedule import Hours, Schedule, Window

CHICAGO, BERLIN, LORD_HOWE, SANTIAGO = "America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"
ZONES = (CHICAGO, BERLIN, LORD_HOWE, SANTIAGO, "UTC", "Asia/Kolkata")
OFFICE = Schedule((Window(frozenset(range(7)), Hours(8 * 60, 20 * 60)),))
NIGHT = Schedule((Window(frozenset(range(7)), Hours(22 * 60, 6 * 60)),))
DST_DAYS = (
    date(2026, 3, 8),
    date(2026, 11, 1),
    date(2026, 3, 29),
    date(2026, 10, 25),
    date(2026, 4, 5),
    date(2026, 9, 6),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def paced(leads: int | None = 120, schedule: Schedule = OFFICE, zone: str = CHICAGO, burst: int = 0) -> Pace:
    return Pace(Scope("order", "ann", zone), schedule, leads, None, burst)


@pytest.mark.parametrize(
    ("moment", "leads"),
    [
        ("2026-07-01T05:00:00", 0),  # midnight in Chicago
        ("2026-07-01T13:00:00", 0),  # 08:00, it opens
        ("2026-07-01T13:05:59", 0),
        ("2026-07-01T13:06:00", 1),  # a lead in six minutes
        ("2026-07-01T19:00:00", 60),
        ("2026-07-02T00:59:59", 119),
        ("2026-07-02T01:00:00", 120),  # 20:00, it closes
        ("2026-07-02T04:59:59", 120),
        ("2026-07-02T05:00:00", 0),
    ],
)
def test_a_pace_grows_while_the_order_is_open(moment: str, leads: int) -> None:
    assert allowance(paced(), at(moment)).leads_max == leads


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-08T12:00", 23), ("2026-11-01T12:00", 25), ("2026-07-01T12:00", 24)]
)
def test_a_day_on_which_clocks_change_has_its_own_length(day: str, hours: int) -> None:
    whole = window(Period.DAY, CHICAGO, at(day))
    assert seconds_of(open_spans(ALWAYS, CHICAGO, whole), whole.ends_at) == hours * 3600
    pace = paced(hours, ALWAYS)
    found = [allowance(pace, whole.starts_at + timedelta(hours=hour)).leads_max for hour in range(hours)]
    assert found == list(range(hours))


def test_hours_that_go_past_midnight_are_open_at_both_ends_of_a_day() -> None:
    day = window(Period.DAY, CHICAGO, at("2026-07-01T12:00"))
    spans = open_spans(NIGHT, CHICAGO, day)
    assert [(span.ends_at - span.starts_at) // timedelta(hours=1) for span in spans] == [6, 2]
    assert allowance(paced(8, NIGHT), at("2026-07-01T20:00")).leads_max == 6


def test_a_burst_is_ahead_and_ends_with_the_cap() -> None:
    pace = paced(120, burst=100_000)
    assert allowance(pace, at("2026-07-01T12:00")).leads_max == 12
    assert allowance(pace, at("2026-07-01T19:00")).leads_max == 72
    assert allowance(pace, at("2026-07-02T00:30")).leads_max == 120


def test_a_day_without_open_time_is_not_paced() -> None:
    closed = Schedule(OFFICE.windows, frozenset({date(2026, 7, 1)}))
    assert allowance(paced(9, closed), at("2026-07-01T12:00")).leads_max == 9


def test_money_is_spread_as_leads_are() -> None:
    pace = Pace(Scope("order", "ann", CHICAGO), OFFICE, None, 1_000 * MILLION, 0)
    assert allowance(pace, at("2026-07-01T19:00"))[2:] == (None, 500 * MILLION)


@given(st.integers(0, 10**9), st.integers(0, 90_000), st.integers(0, 90_000), st.integers(0, MILLION - 1))
def test_no_more_than_its_part_may_be_used(limit: int, passed_s: int, more_s: int, burst: int) -> None:
    open_s = passed_s + more_s
    found = share_of(limit, passed_s, open_s, burst)
    assert 0 <= found <= limit
    if open_s:
        assert found * open_s * MILLION <= limit * (passed_s * MILLION + burst * open_s)
        assert found == limit or (found + 1) * open_s * MILLION > limit * (passed_s * MILLION + burst * open_s)
        assert share_of(limit, open_s, open_s, burst) == limit
    else:
        assert found == limit


moments = st.builds(
    lambda day, minutes, seconds: (
        datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes, seconds=seconds)
    ),
    st.sampled_from([*DST_DAYS, date(2026, 7, 1)]),
    st.integers(-1440, 2880),
    st.integers(0, 59),
)
schedules = st.one_of(
    st.sampled_from([ALWAYS, OFFICE, NIGHT]),
    st.builds(
        lambda begins, ends: Schedule((Window(frozenset(range(7)), Hours(begins, ends)),)),
        st.integers(0, 1439),
        st.integers(1, 1440),
    ),
)


@given(moments, schedules, st.sampled_from(ZONES), st.integers(1, 10_000), st.integers(0, 300_000))
def test_over_a_day_the_pace_never_falls_and_ends_at_the_cap(
    now: datetime, schedule: Schedule, zone: str, leads: int, burst: int
) -> None:
    pace, day = paced(leads, schedule, zone, burst), window(Period.DAY, zone, now)
    before, current = allowance(pace, day.starts_at), allowance(pace, now)
    last = allowance(pace, day.ends_at - timedelta(seconds=1))
    assert day.starts_at <= current.starts_at <= now < current.ends_at <= day.ends_at
    found = [item.leads_max for item in (before, current, last)]
    assert found == sorted(found, key=lambda item: item or 0)
    open_s = seconds_of(open_spans(schedule, zone, day), day.ends_at)
    minute = -(-60 * leads // open_s) if open_s else 0  # the last minute has not passed when it begins
    assert leads - minute - 1 <= (last.leads_max or 0) <= leads


@given(moments, schedules, st.sampled_from(ZONES))
def test_open_time_is_what_the_schedule_says_minute_by_minute(now: datetime, schedule: Schedule, zone: str) -> None:
    day, timeline = window(Period.DAY, zone, now), Timeline(schedule, zone)
    spans = open_spans(schedule, zone, day)
    minutes = (day.ends_at - day.starts_at) // PIECE
    for minute in range(0, minutes, 7):
        moment = day.starts_at + minute * PIECE
        assert timeline.is_open(moment) is any(span.starts_at <= moment < span.ends_at for span in spans)


@given(moments, schedules, st.sampled_from(ZONES), st.integers(1, 10_000))
def test_the_pieces_leave_no_gap_and_none_allows_more_than_its_moments(
    now: datetime, schedule: Schedule, zone: str, leads: int
) -> None:
    pace, minute = paced(leads, schedule, zone, 10_000), now.replace(second=0)
    pieces = allowances_around(pace, minute)
    assert all(before.ends_at == after.starts_at for before, after in pairwise(pieces))
    assert pieces[0].starts_at <= minute - timedelta(hours=22)
    assert pieces[-1].ends_at >= minute + timedelta(hours=22)
    for piece in pieces:
        middle = piece.starts_at + (piece.ends_at - piece.starts_at) / 2
        assert (piece.leads_max or 0) <= (allowance(pace, middle).leads_max or 0)
    [current] = [piece for piece in pieces if piece.starts_at <= now < piece.ends_at]
    assert current.leads_max == allowance(pace, now).leads_max
