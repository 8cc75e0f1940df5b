"""What handing something over can yield."""

from dataclasses import dataclass
from enum import StrEnum


class Arrival(StrEnum):
    """What is known of a lead that the receiver has not said to have."""

    NOT_SENT = "not_sent"
    """Nothing of it can have reached him."""
    REFUSED = "refused"
    """He clearly did not take it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has it, and has said so."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It may not have arrived. What is `is_final` would fail again.

    `detail` never holds lead data, nor the receiver's own words: they may repeat some.
    """

    detail: str
    is_final: bool = False
    arrival: Arrival = Arrival.UNKNOWN


Outcome = Sent | Failed

NO_SECRET = Failed("a secret is not set, or is not one that can sign", arrival=Arrival.NOT_SENT)
