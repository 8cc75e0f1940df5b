"""An even pace: how much of a day's limits may be used by now, by the time that an order has been open in it."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from exchange.rules.caps import Pace, Window, window, windows_around
from exchange.rules.schedule import Timeline
from exchange.values.market import Period
from exchange.values.schedule import Schedule

MILLION = 1_000_000
PIECE = timedelta(minutes=1)
"""An allowance is worked out by the minute: until the next one, that of the minute's beginning holds."""

_SECOND = timedelta(seconds=1)


class Allowance(NamedTuple):
    """The most leads and money of a day from `starts_at` up to `ends_at`; None where nothing limits it."""

    starts_at: datetime
    ends_at: datetime
    leads_max: int | None
    micros_max: int | None


def allowance(pace: Pace, at: datetime) -> Allowance:
    """What may be used of the day that holds `at`, in the minute that does."""
    began = at.astimezone(UTC).replace(second=0, microsecond=0)
    day = window(Period.DAY, pace.scope.zone, at)
    return _between(pace, day, max(began, day.starts_at), min(began + PIECE, day.ends_at))


@lru_cache(maxsize=4096)
def allowances_around(pace: Pace, minute: datetime) -> tuple[Allowance, ...]:
    """What holds in this minute, the one before and the one after, and a least that holds around them.

    They leave no gap from the day before to the day after: for a clock that is far off, the limit is only too low.
    """
    edges = {minute - PIECE, minute, minute + PIECE, minute + 2 * PIECE}
    found = []
    for day in windows_around(Period.DAY, pace.scope.zone, minute):
        inside = sorted(edge for edge in edges if day.starts_at < edge < day.ends_at)
        cuts = [day.starts_at, *inside, day.ends_at]
        found += [_between(pace, day, *pair) for pair in pairwise(cuts)]
    return tuple(found)


def share_of(limit: int, passed_s: int, open_s: int, burst: int) -> int:
    """The part of a limit that may be used when `passed_s` of `open_s` seconds are over; all where there are none."""
    if not open_s:
        return limit
    return min(limit, limit * (passed_s * MILLION + burst * open_s) // (open_s * MILLION))


def _between(pace: Pace, day: Window, starts_at: datetime, ends_at: datetime) -> Allowance:
    spans = open_spans(pace.schedule, pace.scope.zone, day)
    open_s, passed_s = seconds_of(spans, day.ends_at), seconds_of(spans, starts_at)
    leads_max, micros_max = (
        None if limit is None else share_of(limit, passed_s, open_s, pace.burst)
        for limit in (pace.leads_max, pace.micros_max)
    )
    return Allowance(starts_at, ends_at, leads_max, micros_max)


def seconds_of(spans: tuple[Window, ...], until: datetime) -> int:
    """How long these spans are together, up to a moment."""
    return sum((min(span.ends_at, until) - span.starts_at) // _SECOND for span in spans if span.starts_at < until)


@lru_cache(maxsize=4096)
def open_spans(schedule: Schedule, zone: str, day: Window) -> tuple[Window, ...]:
    """When a schedule is open within a day, in the order of time."""
    timeline, found, at = Timeline(schedule, zone), [], day.starts_at
    while at < day.ends_at:
        is_open, until = timeline.standing(at)
        ends_at = day.ends_at if until is None else min(until, day.ends_at)
        if is_open:
            found.append(Window(at, ends_at))
        at = ends_at
    return tuple(found)
