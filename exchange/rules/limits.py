"""Limits as Postgres is told of them: each in the windows round now, or with what it is compared where it has none."""

from datetime import datetime
from typing import NamedTuple, assert_never

from exchange.rules.caps import BEGINNING, END, AnyCap, Cap, Pace, Proportion, Spacing, windows_around
from exchange.rules.pacing import allowances_around


class LimitRow(NamedTuple):
    """A limit that holds from `starts_at` up to, not including, `ends_at`. None: no limit of this kind.

    What a `period` means that is no calendar window is said where these are looked at, in the migrations.
    """

    scope: str
    subject: str
    period: str
    starts_at: datetime
    ends_at: datetime
    leads_max: int | None
    micros_max: int | None


def rows_of(cap: AnyCap, minute: datetime) -> tuple[LimitRow, ...]:
    """The rows of one limit, of which the database picks those that hold its own time. `minute` is a full one."""
    kind, subject, zone = cap.scope
    match cap:
        case Cap(limit=(period, leads_max, micros_max)):
            around = windows_around(period, zone, minute)
            return tuple(LimitRow(kind, subject, period.value, *found, leads_max, micros_max) for found in around)
        case Spacing():
            return (LimitRow(kind, subject, "spacing", BEGINNING, END, cap.seconds, None),)
        case Pace():
            return tuple(LimitRow(kind, subject, "pace of day", *found) for found in allowances_around(cap, minute))
        case Proportion():
            around, name = windows_around(cap.period, zone, minute), f"share of {cap.period}"
            return tuple(LimitRow(kind, subject, name, *found, cap.parts_per_million, None) for found in around)
    assert_never(cap)
