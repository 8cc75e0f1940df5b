"""Routing: which orders are asked for a lead, and why the others that its filters suit are not."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from exchange.rules.book import CampaignBook, OrderEntry
from exchange.rules.matching import accepts, bits
from exchange.rules.room import Left
from exchange.values.market import Seller
from exchange.values.reason import Reason
from exchange.values.vertical import Lead


class Routing(NamedTuple):
    """The orders to ask, and those that the filters let through but something else keeps out."""

    asked: tuple[OrderEntry, ...]
    kept_out: tuple[tuple[OrderEntry, Reason], ...]


Available = Mapping[str, int]
"""What each buyer can still spend, in micro-units, as far as is known; a buyer who is missing is not limited."""

NO_LIMITS: Mapping[str, Left] = MappingProxyType({})


def route(
    book: CampaignBook,
    lead: Lead,
    seller: Seller,
    available: Available,
    room: Mapping[str, Left] = NO_LIMITS,
    had_by: Collection[str] = (),
) -> Routing:
    """Routes a lead by the filters' sets, then by each remaining order's own state.

    `room` is what the orders' limits leave, `had_by` the buyers who have had this person already.
    """
    asked: list[OrderEntry] = []
    kept_out: list[tuple[OrderEntry, Reason]] = []
    entries, floor_micros = book.entries, book.campaign.floor_micros
    for index in bits(book.matcher.matching(lead) & book.askable):
        entry = entries[index]
        reason = closed(entry, seller, available, floor_micros, room.get(entry.order.key))
        if reason is None and had_by and entry.buyer.key in had_by:
            reason = Reason.DUPLICATE_FOR_BUYER
        if reason is None:
            asked.append(entry)
        else:
            kept_out.append((entry, reason))
    return Routing(tuple(asked), tuple(kept_out))


def closed(
    entry: OrderEntry, seller: Seller, available: Available, floor_micros: int, left: Left | None = None
) -> Reason | None:
    """Why an order cannot be asked at present whatever the lead, or None. `left` is what its limits leave, if any."""
    if entry.order.paused or entry.auth_headers is None:
        return Reason.PAUSED
    if seller.key in entry.order.exclude_sellers:
        return Reason.SELLER_EXCLUDED
    if available.get(entry.buyer.key, floor_micros) < floor_micros:
        return Reason.INSUFFICIENT_BALANCE
    if left is not None and left.leads < 1:
        return Reason.CAPPED
    if left is not None and left.micros < max(floor_micros, 1):
        return Reason.OUT_OF_BUDGET
    return None


def failing_fields(book: CampaignBook, entry: OrderEntry, lead: Lead) -> tuple[str, ...]:
    """The filter keys of an order that a lead fails, for people who ask why."""
    return tuple(
        name
        for name, condition in entry.order.filter.items()
        if not accepts(condition, lead.get(name), book.vertical.fields[name].type)
    )
