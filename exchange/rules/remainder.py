"""What a limit leaves of leads and money when so much is counted: the same arithmetic as Postgres does at the claim."""

from datetime import datetime
from typing import NamedTuple

from exchange.rules.caps import Limit, Pace, Proportion
from exchange.rules.pacing import MILLION, allowance


class Counted(NamedTuple):
    """What is counted in a window; `passed` is how many leads an order's filter has let through in it."""

    leads: int = 0
    micros: int = 0
    passed: int = 0


class Remainder(NamedTuple):
    """What one limit leaves, None where it says nothing. `name` tells people which one it is."""

    name: str
    leads: int | None
    micros: int | None = None


def of_limit(limit: Limit, counted: Counted) -> Remainder:
    """What a cap and a budget leave."""
    return Remainder(
        limit.period.value,
        None if limit.leads_max is None else limit.leads_max - counted.leads,
        None if limit.micros_max is None else limit.micros_max - counted.micros,
    )


def of_pace(pace: Pace, counted: Counted, now: datetime) -> Remainder:
    """What an even pace leaves at this moment; it never keeps back the first lead of a day."""
    _, _, leads_max, micros_max = allowance(pace, now)
    name = "pace of the day"
    if not counted.leads:
        return Remainder(name, None if leads_max is None else max(leads_max, 1))
    return Remainder(
        name,
        None if leads_max is None else leads_max - counted.leads,
        None if micros_max is None else micros_max - counted.micros,
    )


def of_proportion(proportion: Proportion, counted: Counted) -> Remainder:
    """What a share cap leaves; it never keeps back the first lead of a window."""
    leads_max = counted.passed * proportion.parts_per_million // MILLION
    return Remainder(f"share of the {proportion.period}", max(leads_max, 0 if counted.leads else 1) - counted.leads)
