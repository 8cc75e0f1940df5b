"""Turns: whose turn it is among orders that share leads by weight, as one gateway counts.

A lead that is offered gives everybody who could have had it his weight's part of it as credit, and takes the whole lead
from the credit of the one who got it. Who has the most credit is next. So each order gets its part of the leads that it
could have had, to within a lead or two, whoever else could have had them; and what each gateway does right, all of them
together do right.
"""

from collections.abc import Mapping, Sequence

LEAD = 1_000_000
"""Credits are in millionths of a lead."""

TURNS_MAX = 250_000
"""Orders whose credit is kept; the one that was given credit longest ago is forgotten."""


def parts(orders: Sequence[str], weights: Mapping[str, int]) -> list[int]:
    """What each order is given as credit for one lead, rounded down. Who is not named has the weight 1."""
    own = [weights.get(order, 1) for order in orders]
    total = sum(own)
    return [weight * LEAD // total for weight in own]


class Turns:
    """The credits of one gateway, from nothing when it starts. `credits` is looked at for each lead."""

    def __init__(self, *, at_most: int = TURNS_MAX) -> None:
        self.credits: dict[str, int] = {}
        self._at_most = at_most

    def offered(self, orders: Sequence[str], weights: Mapping[str, int], winner: str) -> None:
        """Takes note of a lead that these orders could have had, and of who got it."""
        given = parts(orders, weights)
        for order, part in zip(orders, given, strict=True):
            taken = sum(given) if order == winner else 0
            self.credits[order] = self.credits.pop(order, 0) + part - taken
        while len(self.credits) > self._at_most:
            del self.credits[next(iter(self.credits))]
