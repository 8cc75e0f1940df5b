"""Routing: which orders are asked for a lead, and why the others that its filters suit are not."""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.rules.book import CampaignBook, OrderEntry
from exchange.rules.matching import accepts, bits
from exchange.values.market import Seller
from exchange.values.reason import Reason
from exchange.values.vertical import Lead


@dataclass(frozen=True, slots=True)
class Routing:
    """The orders to ask, and those that the filters let through but something else keeps out."""

    asked: tuple[OrderEntry, ...]
    kept_out: tuple[tuple[OrderEntry, Reason], ...]


Available = Mapping[str, int]
"""What each buyer can still spend, in micro-units, as far as is known; a buyer who is missing is not limited."""


def route(book: CampaignBook, lead: Lead, seller: Seller, available: Available) -> Routing:
    """Routes a lead by the filters' sets, then by each remaining order's own state."""
    asked: list[OrderEntry] = []
    kept_out: list[tuple[OrderEntry, Reason]] = []
    entries = book.entries
    for index in bits(book.matcher.matching(lead)):
        entry = entries[index]
        reason = closed(entry, seller, available, book.campaign.floor_micros)
        if reason is None:
            asked.append(entry)
        else:
            kept_out.append((entry, reason))
    return Routing(tuple(asked), tuple(kept_out))


def closed(entry: OrderEntry, seller: Seller, available: Available, floor_micros: int) -> Reason | None:
    """Why an order cannot be asked at present whatever the lead, or None."""
    if entry.order.paused or entry.auth_headers is None:
        return Reason.PAUSED
    if seller.key in entry.order.exclude_sellers:
        return Reason.SELLER_EXCLUDED
    if available.get(entry.buyer.key, floor_micros) < floor_micros:
        return Reason.INSUFFICIENT_BALANCE
    return None


def failing_fields(book: CampaignBook, entry: OrderEntry, lead: Lead) -> tuple[str, ...]:
    """The filter keys of an order that a lead fails, for people who ask why."""
    return tuple(
        name
        for name, condition in entry.order.filter.items()
        if not accepts(condition, lead.get(name), book.vertical.fields[name].type)
    )
