"""Rests: how long an order with a spacing is not offered anything, after its last attempt and after an offer."""

from dataclasses import dataclass

SECOND_US = 1_000_000

OFFER_RESTS_S = 5
"""For how long at most an order rests after an offer that nobody has posted yet; most are posted at once, or never."""


@dataclass(slots=True, eq=False)
class Rest:
    """The rest of one order. Times are in microseconds since 1970; 0: there was none."""

    spacing_us: int
    last_us: int = 0
    offered_us: int = 0

    def until_us(self) -> int:
        """When it may be offered the next lead."""
        after_last = self.last_us + self.spacing_us if self.last_us else 0
        after_offer = min(self.spacing_us, OFFER_RESTS_S * SECOND_US)
        return max(after_last, self.offered_us + after_offer if self.offered_us else 0)
