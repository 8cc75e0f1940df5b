"""What is right in a market file, and probably not what was meant: said when it is applied, never refused."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from exchange.errors import FileProblem
from exchange.marketfile.secrets import references
from exchange.rules.notices import wants_losses
from exchange.rules.schedule import ever_opens
from exchange.rules.zones import zone_of
from exchange.values.deliveries import Call
from exchange.values.filters import Filter
from exchange.values.market import AmountRule, Market, Order, Sale
from exchange.values.money import format_amount
from exchange.values.notices import BidEvent
from exchange.values.vertical import Stage

_OF_NOTICES = re.compile(r"\.notices\.secrets?(\[|$)")

TWINS_LOOKED_AT_MAX = 100
"""Orders of one buyer on one campaign that are compared with one another: a buyer with more knows what he does."""


def warnings_of(market: Market, environment: Mapping[str, str], now: datetime) -> tuple[FileProblem, ...]:
    """The warnings about a market at a moment, `environment` being where secrets would be looked up."""
    return (
        *_missing_secrets(market, environment),
        *_idle_campaigns(market),
        *(found for order in market.orders.values() for found in _never_sold(market, order)),
        *(found for order in market.orders.values() for found in _over(market, order, now)),
        *_shadowed(market),
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
    path, campaign, buyer = f"orders.{order.key}", market.campaigns[order.campaign], market.buyers[order.buyer]
    floor_micros = min([campaign.floor_micros, *(rule.micros for rule in campaign.floors)])
    if order.sale not in {campaign.sale, Sale.EITHER} and campaign.sale is not Sale.BEST:
        yield FileProblem(f"{path}.sale", f"is {order.sale}, which {campaign.key} does not sell: it is never asked")
    if buyer.max_bid_micros is not None and buyer.max_bid_micros < floor_micros:
        limit, floor = format_amount(buyer.max_bid_micros), format_amount(floor_micros)
        yield FileProblem(path, f"can never win: the max_bid of {order.buyer} is {limit}, the campaign's floor {floor}")
    for place, micros in _fixed(order):
        if micros < floor_micros:
            yield FileProblem(f"{path}.{place}", f"is below the campaign's floor {format_amount(floor_micros)}")
        elif buyer.max_bid_micros is not None and micros > buyer.max_bid_micros:
            limit = format_amount(buyer.max_bid_micros)
            yield FileProblem(f"{path}.{place}", f"is above the max_bid of {order.buyer}, {limit}")
    yield from _never_bought(order, floor_micros)


def _fixed(order: Order) -> Iterator[tuple[str, int]]:
    """An order's fixed prices, with where they stand."""
    if order.price_micros is not None:
        yield "price", order.price_micros
        for number, rule in enumerate(order.prices):
            yield f"prices[{number}].price", rule.micros


def _never_bought(order: Order, floor_micros: int) -> Iterator[FileProblem]:
    """Limits that leave an order no lead, of which the cheapest costs so much."""
    path, least_micros = f"orders.{order.key}", min((micros for _, micros in _fixed(order)), default=0)
    for period, leads in order.caps.items():
        if leads == 0:
            yield FileProblem(f"{path}.caps.{period}", "is 0: the order never buys")
    for period, micros in order.budget.items():
        if micros < max(floor_micros, 1):
            yield FileProblem(f"{path}.budget.{period}", "is below the campaign's floor: the order never buys")
        elif micros < least_micros:
            yield FileProblem(f"{path}.budget.{period}", "is below what a lead costs: the order never buys")


def _over(market: Market, order: Order, now: datetime) -> Iterator[FileProblem]:
    """A time to run of which nothing is left, by the clock on the buyer's wall."""
    schedule = order.schedule
    if schedule is None or schedule.ends is None:
        return
    wall = now.astimezone(zone_of(market.buyers[order.buyer].time_zone)).replace(tzinfo=None)
    if schedule.ends <= wall:
        yield FileProblem(f"orders.{order.key}.schedule.until", "is past: the order is never asked")
    elif not ever_opens(replace(schedule, starts=max(wall, schedule.starts or wall))):
        message = "comes before the order opens again: it is never asked"
        yield FileProblem(f"orders.{order.key}.schedule.until", message)


def _shadowed(market: Market) -> Iterator[FileProblem]:
    """Rules for prices and floors behind one that holds for all their leads: the first that holds counts."""
    for campaign in market.campaigns.values():
        yield from _behind(f"campaigns.{campaign.key}.floors", campaign.floors)
    for order in market.orders.values():
        yield from _behind(f"orders.{order.key}.prices", order.prices)


def _behind(path: str, rules: Sequence[AmountRule]) -> Iterator[FileProblem]:
    whens = [rule.when for rule in rules]
    for number, when in enumerate(whens):
        for first, other in enumerate(whens[:number]):
            if other in (Filter(), when):
                yield FileProblem(f"{path}[{number}]", f"never counts: {path}[{first}] holds for all its leads")
                break


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
