"""Parts of a market file that several kinds of entries have: margins, adjustments, caps, windows."""

from typing import Annotated, Self

from pydantic import model_validator

from exchange.marketfile.limits import (
    CAP,
    PING_TIMEOUT_MS,
    POST_TIMEOUT_MS,
    RATE,
    WINDOW_DAYS,
)
from exchange.marketfile.scalars import (
    Amount,
    Percent,
    SharePercent,
    choice,
    refuse,
    whole,
)
from exchange.marketfile.shapes.base import Given, Shape
from exchange.values.market import Period

PingTimeout = Annotated[int, whole(*PING_TIMEOUT_MS)]


PostTimeout = Annotated[int, whole(*POST_TIMEOUT_MS)]


Cap = Annotated[int, whole(*CAP)]


class MarginShape(Shape):
    """What the exchange keeps: a part of the gross price, or an amount a sale."""

    percent: Given[Percent] = None
    amount: Given[Amount] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise refuse("must say either percent or amount")
        return self


class AdjustmentShape(MarginShape):
    """What the ranking adds to a gross price, or takes off: a part of it, or an amount."""


class RateShape(Shape):
    """How many requests may come."""

    per_s: Annotated[int, whole(*RATE)]
    burst: Given[Annotated[int, whole(*RATE)]] = None


class CapsShape(Shape):
    """The most leads in a window."""

    hour: Given[Cap] = None
    day: Given[Cap] = None
    week: Given[Cap] = None
    month: Given[Cap] = None
    total: Given[Cap] = None


class BudgetShape(Shape):
    """The most money in a window."""

    hour: Given[Amount] = None
    day: Given[Amount] = None
    week: Given[Amount] = None
    month: Given[Amount] = None
    total: Given[Amount] = None


class ShareCapShape(Shape):
    """The most that an order buys of the leads which its filter lets through in a window."""

    percent: SharePercent
    of: Annotated[str, choice(*Period)]


class DuplicatesShape(Shape):
    """For how long a person who was sold is not sold again."""

    window_days: Annotated[int, whole(*WINDOW_DAYS)]
