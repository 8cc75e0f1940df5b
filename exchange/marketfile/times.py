"""Times of a market file: hours of the day, days of the week, dates, and moments of a clock on the buyer's wall."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Annotated, TypeVar

from pydantic import AfterValidator, PlainValidator

from exchange.marketfile.limits import HOLIDAYS_MAX, YEARS
from exchange.marketfile.problems import shown, wrong
from exchange.marketfile.scalars import refuse, refuse_word, written
from exchange.values.schedule import DAY_MINUTES, DAYS, WHOLE_DAY, Hours, Window

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)", re.ASCII)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2})?", re.ASCII)

_HOURS_WANTED = 'HH:MM-HH:MM, such as "08:00-20:00"'
_CLOCK_WANTED = 'HH:MM, such as "09:00"'
_DATE_WANTED = "a date written YYYY-MM-DD"
_MOMENT_WANTED = "a date or a local time, written YYYY-MM-DD or YYYY-MM-DDTHH:MM"

Day = TypeVar("Day", bound=date)
Item = TypeVar("Item")


def hours(value: object) -> Hours:
    """Hours of a day; they may go past midnight, up to the same time of the next day."""
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refuse(_instead(_HOURS_WANTED, value))
    begins_min = int(match[1]) * 60 + int(match[2])
    ends_min = DAY_MINUTES if match[3] is None else int(match[3]) * 60 + int(match[4])
    if begins_min == ends_min:
        raise refuse('is empty: it ends when it begins; the whole day is "00:00-24:00"')
    return Hours(begins_min, ends_min)


def clock_time(value: object) -> int:
    """A time of the day, in minutes from midnight."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refuse(_instead(_CLOCK_WANTED, value))
    return int(match[1]) * 60 + int(match[2])


def clock_text(minute: int) -> str:
    """A time of the day as it is written."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def day(value: object) -> int:
    """A day of the week, 0 for Monday."""
    if not isinstance(value, str) or value not in DAYS:
        raise refuse_word(value, DAYS, f"one of {', '.join(DAYS)}")
    return DAYS.index(value)


def calendar_date(value: object) -> date:
    """A day of the calendar."""
    found = _read(date.fromisoformat, _DATE, value)
    if found is None:
        raise refuse(_instead(_DATE_WANTED, value))
    return found


def moment(value: object) -> datetime:
    """What a clock on the wall reads: a time, or the midnight at which a date begins."""
    found = _read(datetime.fromisoformat, _MOMENT, value)
    if found is None:
        raise refuse(_instead(_MOMENT_WANTED, value))
    return found


def _listed(count_max: int, *, may_be_empty: bool = False) -> AfterValidator:
    """A list in which nothing stands twice."""

    def check(values: list[Item]) -> list[Item]:
        if not values and not may_be_empty:
            raise refuse("is an empty list")
        if len(values) > count_max:
            raise refuse(f"holds more than {count_max:,} entries")
        if len(set(values)) == len(values):
            return values
        twice = next(value for value, count in Counter(values).items() if count > 1)
        raise refuse(f"{_written(twice)} is listed twice")

    return AfterValidator(check)


def windows_of(parts: Sequence[tuple[Sequence[int] | None, Hours | None]]) -> tuple[Window, ...]:
    """Windows from the days and hours that are given: no days are all days, no hours the whole day."""
    return tuple(
        Window(frozenset(range(7) if days is None else days), WHOLE_DAY if found is None else found)
        for days, found in parts
    )


def days_text(days: frozenset[int]) -> str:
    """Days of the week as they are written."""
    return f"[{', '.join(DAYS[number] for number in sorted(days))}]"


def hours_text(found: Hours) -> str:
    """Hours as they are written."""
    return "-".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in found)


def moment_text(found: datetime) -> str:
    """A moment as it is written: midnight by its date."""
    return found.date().isoformat() if found.time() == time() else found.isoformat(timespec="minutes")


def _read(parse: Callable[[str], Day], pattern: "re.Pattern[str]", value: object) -> Day | None:
    """What a text stands for; None where it is written in another way, or there is no such day or hour."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        return None
    try:
        found = parse(value)
    except ValueError:
        return None
    least, greatest = YEARS
    if not least <= found.year <= greatest:
        raise refuse(f"must be in the years {least} to {greatest}")
    return found


def _written(value: object) -> str:
    return DAYS[value] if isinstance(value, int) else str(value)


def _instead(wanted: str, value: object) -> str:
    return f"must be {wanted}, not {shown(value)}" if isinstance(value, str) else wrong(wanted, value)


_HOURS_WRITTEN = written({"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$"})
_TIME_WRITTEN = written({"type": "string"})

HoursText = Annotated[Hours, PlainValidator(hours, _HOURS_WRITTEN)]
DaysList = Annotated[list[Annotated[int, PlainValidator(day, written({"enum": list(DAYS)}))]], _listed(len(DAYS))]
Holidays = Annotated[
    list[Annotated[date, PlainValidator(calendar_date, _TIME_WRITTEN)]], _listed(HOLIDAYS_MAX, may_be_empty=True)
]
Moment = Annotated[datetime, PlainValidator(moment, _TIME_WRITTEN)]
ClockTime = Annotated[
    int, PlainValidator(clock_time, written({"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"}))
]
