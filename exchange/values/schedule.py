"""When an order is open: windows on the clock of its buyer's zone, holidays, and the time that it runs."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""The days of the week, as `date.weekday()` counts them."""

DAY_MINUTES = 24 * 60


class Hours(NamedTuple):
    """From `begins_min` up to, not including, `ends_min`, in minutes from midnight.

    Where the end is not after the beginning it belongs to the next day.
    """

    begins_min: int
    ends_min: int


WHOLE_DAY = Hours(0, DAY_MINUTES)


@dataclass(frozen=True, slots=True)
class Window:
    """The same hours on some days of the week, 0 being Monday; they belong to the day on which they begin."""

    days: frozenset[int] = frozenset(range(7))
    hours: Hours = WHOLE_DAY


@dataclass(frozen=True, slots=True)
class Schedule:
    """Open in any of the `windows`, but in none that begins on a holiday; from `starts`, up to `ends`.

    All times are those of a clock on the buyer's wall; `starts` and `ends` have no zone of their own.
    """

    windows: tuple[Window, ...] = (Window(),)
    holidays: frozenset[date] = frozenset()
    starts: datetime | None = None
    ends: datetime | None = None
