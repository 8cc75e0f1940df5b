"""What sending something from the outbox can yield."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has it, and has said so."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It may not have arrived. What is `is_final` would fail again: only an operator has it sent once more.

    `detail` never holds lead data.
    """

    detail: str
    is_final: bool = False


Outcome = Sent | Failed


GONE = Failed("the market has no such receiver any more", is_final=True)
NO_SECRET = Failed("a secret is not set, or is not one that can sign")
