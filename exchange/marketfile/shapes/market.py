"""The whole market file.

Keys of the contract that are not built yet are in these modules as `later`: they are refused by name, never called
unknown.
"""

from typing import Annotated

from pydantic import PlainValidator

from exchange.marketfile.outside import (
    Currency,
)
from exchange.marketfile.problems import shown, wrong
from exchange.marketfile.scalars import (
    refuse,
)
from exchange.marketfile.shapes.base import Mapping, Shape


def _version(value: object) -> int:
    if type(value) is not int or value != 1:
        raise refuse(f"must be 1, not {shown(value)}" if type(value) in {int, str} else wrong("1", value))
    return 1


class MarketShape(Shape):
    """The whole file; its entries are read one by one."""

    version: Annotated[int, PlainValidator(_version)]
    currency: Currency
    verticals: Mapping | None = None
    campaigns: Mapping | None = None
    sellers: Mapping | None = None
    buyers: Mapping | None = None
    orders: Mapping | None = None
