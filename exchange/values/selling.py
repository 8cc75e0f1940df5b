"""How a campaign chooses among bids and what the winner pays."""

from dataclasses import dataclass
from enum import StrEnum


class Method(StrEnum):
    """Who of those with a valid bid wins."""

    HIGHEST_BID = "highest_bid"
    PRIORITY = "priority"
    """The ping tree: orders of equal priority are a tier, and tiers are asked one after another."""
    WEIGHTED = "weighted"
    """Whose turn it is by the orders' weights."""
    ROUND_ROBIN = "round_robin"
    """Whose turn it is, all weighing the same."""
    PERFORMANCE = "performance"
    """The highest bid times the order's acceptance."""


class PriceRule(StrEnum):
    """What the winner pays: his own bid, or what the second-best would have paid."""

    FIRST_PRICE = "first_price"
    SECOND_PRICE = "second_price"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is added to a gross price for the ranking alone, never to the bill: a part of it, or an amount.

    A boost is positive, a penalty negative; one of both parts is 0.
    """

    parts_per_million: int = 0
    amount_micros: int = 0
