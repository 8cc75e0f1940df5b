"""Schedules on the line of time: whether an order is open at an instant, and when that changes.

What a clock on the buyer's wall reads decides. So a window that begins within an hour which clocks skip opens when
they do, one that lies in it does not open that day, and an hour that comes twice counts twice.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from exchange.rules.zones import change_between, instant_of, zone_of
from exchange.values.schedule import DAY_MINUTES, Hours, Schedule

HORIZON_DAYS: Final = 8
"""How far ahead a change is looked for: weekly windows change within it, unless holidays or dates keep them."""

_DAY = timedelta(days=1)


class Standing(NamedTuple):
    """Whether an order is open, and until when; None where nothing changes within the horizon."""

    is_open: bool
    until: datetime | None


class Timeline:
    """One schedule in one zone. Instants come and go in UTC."""

    __slots__ = ("_boundaries", "_by_day", "_ends", "_ends_at", "_holidays", "_starts_at", "_zone")

    def __init__(self, schedule: Schedule, zone: str) -> None:
        self._zone: Final[ZoneInfo] = zone_of(zone)
        self._by_day: Final = tuple(
            tuple({_unrolled(window.hours) for window in schedule.windows if day in window.days}) for day in range(7)
        )
        self._boundaries: Final = tuple(
            tuple({timedelta(minutes=minute) for hours in found for minute in hours}) for found in self._by_day
        )
        self._holidays: Final = schedule.holidays
        self._starts_at: Final = None if schedule.starts is None else instant_of(schedule.starts, self._zone)
        self._ends_at: Final = None if schedule.ends is None else instant_of(schedule.ends, self._zone)
        self._ends: Final = tuple(moment for moment in (self._starts_at, self._ends_at) if moment is not None)

    def standing(self, now: datetime) -> Standing:
        """How things are now, and until when."""
        is_open = self.is_open(now)
        changes = (moment for moment in self._moments(now) if self.is_open(moment) is not is_open)
        return Standing(is_open, next(changes, None))

    def is_open(self, now: datetime) -> bool:
        """Whether the schedule is open at an instant."""
        if self._starts_at is not None and now < self._starts_at:
            return False
        if self._ends_at is not None and now >= self._ends_at:
            return False
        local = now.astimezone(self._zone)
        minute, today = local.hour * 60 + local.minute, local.date()
        return self._covers(today, minute) or self._covers(today - _DAY, minute + DAY_MINUTES)

    def _covers(self, day: date, minute: int) -> bool:
        """Whether a window that begins on a day holds this minute, counted from the midnight before it."""
        return day not in self._holidays and any(
            begins <= minute < ends for begins, ends in self._by_day[day.weekday()]
        )

    def _moments(self, now: datetime) -> Iterator[datetime]:
        """Every instant after now at which anything can change, within the horizon; some at which nothing does."""
        for _ in range(HORIZON_DAYS):
            after = now + _DAY
            yield from sorted(moment for moment in self._moments_between(now, after) if now < moment <= after)
            now = after

    def _moments_between(self, before: datetime, after: datetime) -> Iterator[datetime]:
        """Where clocks change between the two, a boundary is looked for by the old and by the new."""
        first, last = before.astimezone(self._zone), after.astimezone(self._zone)
        offsets = {first.utcoffset() or timedelta(), last.utcoffset() or timedelta()}
        if len(offsets) > 1:
            yield change_between(before, after, self._zone)
        yield from self._ends
        day, days = first.date() - _DAY, (last.date() - first.date()).days + 3  # clocks may be set back over midnight
        for offset in offsets:
            midnight = datetime.combine(day, time(), UTC) - offset
            for number in range(days):
                for boundary in self._boundaries[(day.weekday() + number) % 7]:
                    yield midnight + number * _DAY + boundary


def ever_opens(schedule: Schedule) -> bool:
    """Whether there is any time at which a schedule is open, clocks that skip it aside."""
    if schedule.starts is None or schedule.ends is None:
        return True  # holidays end some time
    by_day = [{_unrolled(item.hours) for item in schedule.windows if day in item.days} for day in range(7)]
    day = schedule.starts.date() - _DAY
    while day <= schedule.ends.date():
        midnight = datetime.combine(day, time())
        for begins, ends in by_day[day.weekday()] if day not in schedule.holidays else ():
            opens, closes = midnight + timedelta(minutes=begins), midnight + timedelta(minutes=ends)
            if max(opens, schedule.starts) < min(closes, schedule.ends):
                return True
        day += _DAY
    return False


def _unrolled(hours: Hours) -> Hours:
    """The hours with an end that is counted from the midnight before them, even where it is on the next day."""
    begins, ends = hours
    return Hours(begins, ends if ends > begins else ends + DAY_MINUTES)
