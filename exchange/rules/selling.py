"""What a campaign has beyond bids that are asked for at once, of which the highest wins; compiled with the market."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchange.rules.amounts import Amounts, compile_amounts
from exchange.rules.filters import fields_of
from exchange.rules.ranking import Ranking
from exchange.values.market import Buyer, Campaign, Order
from exchange.values.selling import Method, PriceRule
from exchange.values.vertical import Lead, Vertical

_CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True)
class Selling:
    """A campaign's terms, compiled. `fixed` are the prices of the orders that are not asked.

    `ranking` is None where nothing but the price counts. `floor_fields` are what the rules for floors ask about.
    """

    fixed: Mapping[str, int]
    prices: Amounts | None
    floors: Amounts | None = None
    floor_fields: frozenset[str] = frozenset()
    ranking: Ranking | None = None
    second_price: bool = False
    fanout_max: int | None = None
    fallback_method: Method | None = None

    @property
    def in_tiers(self) -> bool:
        """Whether orders are asked tier by tier."""
        return self.ranking is not None and self.ranking.method is Method.PRIORITY

    def prices_for(self, lead: Lead) -> Mapping[str, int]:
        """The gross price of each order that has a fixed one, for this lead."""
        return self.fixed if self.prices is None else {**self.fixed, **self.prices.of(lead)}

    def floor_for(self, lead: Lead, otherwise_micros: int) -> int:
        """The campaign's floor for this lead."""
        return otherwise_micros if self.floors is None else self.floors.of(lead).get(_CAMPAIGN, otherwise_micros)


def compile_selling(
    vertical: Vertical, campaign: Campaign, orders: Sequence[Order], buyers: Mapping[str, Buyer]
) -> Selling | None:
    """Compiles a campaign's terms; None where it has nothing of the kind, so that its pings do nothing for it."""
    selling = Selling(
        fixed={order.key: order.price_micros for order in orders if order.price_micros is not None},
        prices=compile_amounts(vertical, {order.key: order.prices for order in orders}),
        floors=compile_amounts(vertical, {_CAMPAIGN: campaign.floors}),
        floor_fields=frozenset(name for rule in campaign.floors for name in fields_of(rule.when)),
        ranking=_ranking_of(campaign, orders, buyers),
        second_price=campaign.price_rule is PriceRule.SECOND_PRICE,
        fanout_max=campaign.fanout_max,
        fallback_method=campaign.fallback_method,
    )
    return None if selling == _NOTHING else selling


def _ranking_of(campaign: Campaign, orders: Sequence[Order], buyers: Mapping[str, Buyer]) -> Ranking | None:
    """A campaign's ranking. Where both methods are the same one, that ranks the rest as well."""
    first, second = campaign.method, campaign.fallback_method
    ranking = _ranking(first, orders, buyers)
    if second is None or second is first:
        return ranking
    fallback = _ranking(second, orders, buyers) or Ranking()
    return (ranking or Ranking())._replace(fallback=fallback._replace(of_two=True), of_two=True)


def _ranking(method: Method, orders: Sequence[Order], buyers: Mapping[str, Buyer]) -> Ranking | None:
    """An order's own boost or penalty replaces its buyer's."""
    found = {order.key: order.adjustment or buyers[order.buyer].adjustment for order in orders}
    adjustments = {key: adjustment for key, adjustment in found.items() if adjustment is not None}
    weights = {order.key: order.weight for order in orders} if method is Method.WEIGHTED else {}
    return Ranking(adjustments, method, weights) if adjustments or method is not Method.HIGHEST_BID else None


_NOTHING = Selling({}, None)
