"""A pause: that an endpoint is not used until an operator resets it, and why."""

from datetime import datetime
from typing import NamedTuple


class Pause(NamedTuple):
    """`why` is for the operator."""

    buyer: str
    endpoint: str
    why: str
    at: datetime

    @property
    def key(self) -> tuple[str, str]:
        return self.buyer, self.endpoint

    @property
    def text(self) -> str:
        return f"paused at {clock_text(self.at)}: {self.why}; `exchange breaker reset` ends it"


def clock_text(moment: datetime) -> str:
    """A moment in UTC, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
