"""What sending something from the outbox can yield besides what a carrier says of it."""

from dataclasses import dataclass

from exchange.carriers.outcome import Failed, Outcome


@dataclass(frozen=True, slots=True)
class Skipped:
    """It is not to be sent: a condition does not hold."""

    detail: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """It is not to be sent yet."""

    wait_s: float
    detail: str


Fate = Outcome | Skipped | Postponed

GONE = Failed("the market has no such receiver any more", is_final=True)
