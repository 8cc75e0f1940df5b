"""What a campaign has beyond bids that are asked for at once, of which the highest wins; compiled with the market."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchange.rules.amounts import Amounts, compile_amounts
from exchange.values.market import Order
from exchange.values.vertical import Lead, Vertical


@dataclass(frozen=True, slots=True)
class Selling:
    """A campaign's terms, compiled. `fixed` are the prices of the orders that are not asked."""

    fixed: Mapping[str, int]
    prices: Amounts | None

    def prices_for(self, lead: Lead) -> Mapping[str, int]:
        """The gross price of each order that has a fixed one, for this lead."""
        return self.fixed if self.prices is None else {**self.fixed, **self.prices.of(lead)}


def compile_selling(vertical: Vertical, orders: Sequence[Order]) -> Selling | None:
    """Compiles a campaign's terms; None where it has nothing of the kind, so that its pings do nothing for it."""
    fixed = {order.key: order.price_micros for order in orders if order.price_micros is not None}
    if not fixed:
        return None
    return Selling(fixed, compile_amounts(vertical, {order.key: order.prices for order in orders}))
