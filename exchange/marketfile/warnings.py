"""What is right in a market file, and probably not what was meant: said when it is applied, never refused."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from exchange.errors import FileProblem
from exchange.marketfile.secrets import references
from exchange.rules.notices import wants_losses
from exchange.values.deliveries import Call
from exchange.values.filters import Filter
from exchange.values.market import Market, Order
from exchange.values.money import format_amount
from exchange.values.notices import BidEvent
from exchange.values.vertical import Stage

_OF_NOTICES = re.compile(r"\.notices\.secrets?(\[|$)")

TWINS_LOOKED_AT_MAX = 100
"""Orders of one buyer on one campaign that are compared with one another: a buyer with more knows what he does."""


def warnings_of(market: Market, environment: Mapping[str, str]) -> tuple[FileProblem, ...]:
    """The warnings about a market, `environment` being where secrets would be looked up."""
    return (
        *_missing_secrets(market, environment),
        *_idle_campaigns(market),
        *(found for order in market.orders.values() for found in _never_sold(market, order)),
        *_twins(market),
        *(found for order in market.orders.values() for found in _never_sent(market, order)),
        *_never_told(market),
    )


def _missing_secrets(market: Market, environment: Mapping[str, str]) -> Iterator[FileProblem]:
    for path, name in references(market):
        if name not in environment:
            asks = path.startswith("buyers.") and not _OF_NOTICES.search(path)
            without, lost = ("a gateway", "does not ask these orders") if asks else ("a worker", "cannot send this")
            yield FileProblem(path, f"{name} is not set here; {without} without it {lost}")


def _idle_campaigns(market: Market) -> Iterator[FileProblem]:
    sold_to = {order.campaign for order in market.orders.values()}
    open_to = {campaign for seller in market.sellers.values() for campaign in seller.campaigns}
    for key in market.campaigns:
        if key not in sold_to:
            yield FileProblem(f"campaigns.{key}", "has no orders: nothing sells there")
        if key not in open_to:
            yield FileProblem(f"campaigns.{key}", "is open to no seller")


def _never_sold(market: Market, order: Order) -> Iterator[FileProblem]:
    """Why an order can never win, whatever is bid for it."""
    path, floor_micros = f"orders.{order.key}", market.campaigns[order.campaign].floor_micros
    max_bid_micros = market.buyers[order.buyer].max_bid_micros
    if max_bid_micros is not None and max_bid_micros < floor_micros:
        limit, floor = format_amount(max_bid_micros), format_amount(floor_micros)
        yield FileProblem(path, f"can never win: the max_bid of {order.buyer} is {limit}, the campaign's floor {floor}")
    for period, leads in order.caps.items():
        if leads == 0:
            yield FileProblem(f"{path}.caps.{period}", "is 0: the order never buys")
    for period, micros in order.budget.items():
        if micros < max(floor_micros, 1):
            yield FileProblem(f"{path}.budget.{period}", "is below the campaign's floor: the order never buys")


def _twins(market: Market) -> Iterator[FileProblem]:
    """Orders of one buyer that differ in their keys or priorities alone: they bid against each other."""
    groups: dict[tuple[str, str], list[Order]] = {}
    for order in market.orders.values():
        if not order.paused:
            groups.setdefault((order.buyer, order.campaign), []).append(order)
    for orders in groups.values():
        if len(orders) <= TWINS_LOOKED_AT_MAX:
            yield from _alike(orders)


def _alike(orders: list[Order]) -> Iterator[FileProblem]:
    bare = [replace(order, key="", priority=0) for order in orders]
    for number, order in enumerate(orders):
        first = bare.index(bare[number])
        if first < number:
            message = f"is the same as {orders[first].key} but for its priority: {order.buyer} bids against himself"
            yield FileProblem(f"orders.{order.key}", message)


def _never_sent(market: Market, order: Order) -> Iterator[FileProblem]:
    """Fields that an order's mapping names and its vertical does not know, or it may not see."""
    vertical = market.verticals[market.campaigns[order.campaign].vertical]
    for item in order.deliver:
        if isinstance(item.means, Call) and (names := item.means.message.lead_fields() - set(vertical.fields)):
            path = f"orders.{order.key}.deliver.{item.name}.http"
            yield FileProblem(path, f"never sends {', '.join(sorted(names))}: the vertical has none")
    mapping = market.buyers[order.buyer].endpoints[order.endpoint].mapping
    if mapping is None:
        return
    seen = vertical.names(Stage.PING) if order.fields is None else order.fields
    at_ping = mapping.ping.lead_fields() - set(seen) if mapping.ping and order.price_micros is None else frozenset()
    for message, names in (("ping", at_ping), ("post", mapping.post.lead_fields() - set(vertical.fields))):
        if names:
            why = "it does not see them" if message == "ping" else "the vertical has none"
            yield FileProblem(
                f"orders.{order.key}", f"the mapping's {message} never sends {', '.join(sorted(names))}: {why}"
            )


def _never_told(market: Market) -> Iterator[FileProblem]:
    """Buyers who ask to be told of lost bids where no campaign tells of them."""
    campaigns: dict[str, set[str]] = {}
    for order in market.orders.values():
        campaigns.setdefault(order.buyer, set()).add(order.campaign)
    for buyer in market.buyers.values():
        telling = (market.campaigns[key].notices for key in campaigns.get(buyer.key, ()))
        if wants_losses(buyer) and not any(telling):
            message = f"{BidEvent.LOST} is never sent: no campaign that he buys on has notices"
            yield FileProblem(f"buyers.{buyer.key}.notices", message)


def _filters(market: Market) -> Iterator[tuple[str, Filter]]:
    for campaign in market.campaigns.values():
        for number, rule in enumerate(campaign.floors):
            yield f"campaigns.{campaign.key}.floors[{number}].when", rule.when
    for order in market.orders.values():
        yield f"orders.{order.key}.filter", Filter(order.filter, order.filter_groups)
        for number, rule in enumerate(order.prices):
            yield f"orders.{order.key}.prices[{number}].when", rule.when
        for number, sub_cap in enumerate(order.sub_caps):
            yield f"orders.{order.key}.sub_caps[{number}].when", sub_cap.when
        for following in order.deliver:
            yield f"orders.{order.key}.deliver.{following.name}.when", following.when
