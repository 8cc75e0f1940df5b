"""Money as integers: amounts are micro-units (1 USD = 1,000,000), never floats, and every rounding has a name."""

import re
from functools import lru_cache

MICROS_PER_UNIT = 1_000_000
MICROS_PER_CENT = 10_000
AMOUNT_MICROS_MAX = 10**12 * MICROS_PER_UNIT - 1

KEPT_MAX = 4_096
"""Amounts come again and again: the last so many are kept, both ways."""
AMOUNT_LENGTH_MAX = 12 + 1 + 6

_AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?", re.ASCII)


def parse_amount(text: str) -> int | None:
    """The micro-units of a plain decimal ("21", "21.5", "0.000001"), or None for anything else.

    Up to 12 digits before and 6 after the point (contract, Amounts): no sign, exponent, blank or separator.
    """
    return _parsed(text) if len(text) <= AMOUNT_LENGTH_MAX else None


@lru_cache(KEPT_MAX)
def _parsed(text: str) -> int | None:
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match.groups()
    return int(whole) * MICROS_PER_UNIT + (int(fraction.ljust(6, "0")) if fraction else 0)


@lru_cache(KEPT_MAX)
def format_amount(micros: int) -> str:
    """The decimal text of an amount, with two digits after the point and more only where they are needed."""
    sign = "-" if micros < 0 else ""
    whole, fraction = divmod(abs(micros), MICROS_PER_UNIT)
    digits = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def ceil_to_cent(micros: int) -> int:
    """Rounds an amount up to the cent: how a least price is rounded, so that it is still enough."""
    return -(-micros // MICROS_PER_CENT) * MICROS_PER_CENT


def floor_to_cent(micros: int) -> int:
    """Rounds an amount that is not negative down to the cent: how gross prices and payouts are rounded."""
    return micros - micros % MICROS_PER_CENT
