"""A standing order in a market file, with its hours and prices."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from exchange.marketfile.limits import (
    PRIORITY,
    SCHEDULE_WINDOWS_MAX,
    SPACING_S,
    WEIGHT,
)
from exchange.marketfile.scalars import (
    FixedPrice,
    Flag,
    Key,
    Percent,
    Price,
    Text,
    choice,
    refuse,
    whole,
)
from exchange.marketfile.shapes.base import Given, Mapping, Shape
from exchange.marketfile.shapes.deliveries import DeliveryShape
from exchange.marketfile.shapes.terms import AdjustmentShape, BudgetShape, CapsShape, ShareCapShape
from exchange.marketfile.times import DaysList, Holidays, HoursText, Moment, moment_text, windows_of
from exchange.rules.schedule import ever_opens
from exchange.values.schedule import Schedule


class WindowShape(Shape):
    """The same hours on some days of the week."""

    days: Given[DaysList] = None
    hours: Given[HoursText] = None


class ScheduleShape(Shape):
    """When an order is open: one window or several, holidays, and the time that it runs."""

    days: Given[DaysList] = None
    hours: Given[HoursText] = None
    windows: Given[list[WindowShape]] = None
    holidays: Holidays = []
    starts: Given[Moment] = Field(default=None, alias="from")
    ends: Given[Moment] = Field(default=None, alias="until")

    @model_validator(mode="after")
    def _can_open(self) -> Self:
        if self.windows is not None and (self.days is not None or self.hours is not None):
            raise refuse("must say either windows, or days and hours")
        if self.windows is not None and not 1 <= len(self.windows) <= SCHEDULE_WINDOWS_MAX:
            raise refuse(f"must have 1 to {SCHEDULE_WINDOWS_MAX} windows")
        if self.starts is not None and self.ends is not None and self.starts >= self.ends:
            raise refuse(f"until {moment_text(self.ends)} is not after from {moment_text(self.starts)}")
        if not ever_opens(self.value()):
            raise refuse("no lead can match: it is never open")
        return self

    def value(self) -> Schedule:
        """The schedule that is written down."""
        parts = [self] if self.windows is None else self.windows
        windows = windows_of([(part.days, part.hours) for part in parts])
        return Schedule(windows, frozenset(self.holidays), self.starts, self.ends)


class PriceShape(Shape):
    """A fixed price for the leads that a filter accepts; the filter is read with the vertical's fields at hand."""

    when: Mapping
    price: FixedPrice


class SubCapShape(Shape):
    """Further limits for the leads that a filter accepts; the filter is read with the vertical's fields at hand."""

    name: Key
    when: Mapping
    caps: CapsShape | None = None
    budget: BudgetShape | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not any(part is not None and part.model_fields_set for part in (self.caps, self.budget)):
            raise refuse("limits nothing: give it caps, or a budget")
        return self


class OrderShape(Shape):
    """A buyer's standing order; its filter is read with the vertical's fields at hand."""

    buyer: Text
    campaign: Text
    endpoint: Given[Text] = None
    price: Price = None
    prices: Given[list[PriceShape]] = None
    sale: Annotated[str, choice("exclusive", "shared", "either")] = "either"
    fields: Given[list[Text]] = None
    filter: Mapping = {}
    schedule: ScheduleShape | None = None
    caps: CapsShape | None = None
    budget: BudgetShape | None = None
    sub_caps: Given[list[SubCapShape]] = None
    share_cap: ShareCapShape | None = None
    spacing_s: Annotated[int, whole(*SPACING_S)] | None = None
    pacing: Annotated[str, choice("even")] | None = None
    pacing_burst: Percent | None = None
    priority: Annotated[int, whole(*PRIORITY)] = 1
    boost: Given[AdjustmentShape] = None
    penalty: Given[AdjustmentShape] = None
    weight: Annotated[int, whole(*WEIGHT)] | None = None
    exclude_sellers: list[Text] = []
    consent: list[Text] = []
    paused: Flag = False
    paused_until: Moment | None = None
    deliver: Given[dict[Key, DeliveryShape]] = None

    @model_validator(mode="after")
    def _is_paced_by_something(self) -> Self:
        day = [part for part in (self.caps, self.budget) if part is not None and part.day is not None]
        if self.pacing is not None and not day:
            raise refuse("pacing needs a cap or a budget for the day, which it spreads")
        if self.pacing_burst is not None and self.pacing is None:
            raise refuse("pacing_burst says how far pacing may be ahead: there is no pacing")
        return self

    @model_validator(mode="after")
    def _names_sub_caps_once(self) -> Self:
        names = [sub_cap.name for sub_cap in self.sub_caps or ()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise refuse(f"has two sub_caps of the name {twice}")
        return self
