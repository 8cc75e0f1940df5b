"""What rooms reckon with: rows of counted caps, what is left, and what open offers will probably use."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

NO_LIMIT = 1 << 62
DEVIATIONS = 3.0
"""How many standard deviations more of the open offers may be posted than is usual."""


class Row(NamedTuple):
    """A row of the table of caps; times are in microseconds since 1970, which compare faster than moments.

    Of two states of a row the one with more `changes` is the newer.
    """

    kind: str
    subject: str
    period: str
    starts_us: int
    ends_us: int
    changes: int
    leads: int
    micros: int
    last_us: int = 0
    """Of an order's row for ever: when its last attempt was made."""
    passed: int = 0
    """How many leads the order's filter has let through in this window, where it has a share."""


class Left(NamedTuple):
    """What may still be offered: leads, and money in micro-units."""

    leads: int
    micros: int


ENDLESS = Left(NO_LIMIT, NO_LIMIT)


class Open(NamedTuple):
    """Offers that may still be posted: how many, and their gross prices together."""

    offers: int = 0
    micros: int = 0


Parts = Mapping[str, Sequence[str]]
"""The sub-caps that a lead counts in, by order: the subjects that they are counted under."""

NO_PARTS: Parts = MappingProxyType({})


def expected(found: Open, share: float) -> Open:
    """What open offers will use at most, in all likelihood, where `share` of them is posted."""
    if not found.offers:
        return Open()
    offers = share * found.offers + DEVIATIONS * math.sqrt(share * (1 - share) * found.offers)
    offers = min(offers, found.offers)
    return Open(math.ceil(offers), math.ceil(found.micros * offers / found.offers))
