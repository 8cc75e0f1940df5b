"""Routing: which orders are asked for a lead, and why the others that its filters suit are not."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from exchange.rules.bitsets import bits
from exchange.rules.book import CampaignBook, OrderEntry
from exchange.rules.estimates import Left
from exchange.rules.filters import Failing, failing
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
    floor_micros: int | None = None,
    now_s: float = 0.0,
    shut: Iterable[tuple[Reason, int]] = (),
    *,
    test: bool = False,
) -> Routing:
    """Routes a lead by the sets of the filters and of the orders' states, then by what each remaining order can pay.

    `room` is what the orders' limits leave, `had_by` the buyers who have had this person already. `floor_micros` is
    the least that a buyer must be able to pay, the campaign's floor if not given; `now_s`, a Unix time, is when the
    orders must be open; `shut` are the sets of those whose endpoints are left alone, each with its reason. On a `test`
    none is asked whose buyer could not tell.
    """
    asked: list[OrderEntry] = []
    kept_out: list[tuple[OrderEntry, Reason]] = []
    entries = book.entries
    if floor_micros is None:
        floor_micros = book.campaign.floor_micros
    found = book.matcher.matching(lead) & (book.testable if test else book.askable)
    if book.states is not None:
        for reason, members in book.states.closed(lead, seller, now_s):
            if out := found & members:
                kept_out += [(entries[index], reason) for index in bits(out)]
                found ^= out
    for reason, members in shut:
        if out := found & members:
            kept_out += [(entries[index], reason) for index in bits(out)]
            found ^= out
    for index in bits(found):
        entry = entries[index]
        buyer, left = entry.buyer.key, room.get(entry.order.key)
        is_broke = available.get(buyer, floor_micros) < floor_micros
        short = None
        if is_broke or left is not None or buyer in had_by:  # few are
            short = _short(left, floor_micros, is_broke=is_broke, is_had=buyer in had_by)
        if short is None:
            asked.append(entry)
        else:
            kept_out.append((entry, short))
    return Routing(tuple(asked), tuple(kept_out))


def barred(entry: OrderEntry, seller: Seller, now_s: float) -> Reason | None:
    """Why an order cannot take this seller's leads even where it has bid, or None: what the sets say of one order.

    Its hours are not looked at: an offer that was made within them holds until it expires.
    """
    if entry.order.paused or entry.auth_headers is None or now_s < entry.paused_until_s:
        return Reason.PAUSED
    excluding = entry.order.exclude_sellers, entry.buyer.exclude_sellers
    if any(seller.key in found for found in excluding) or entry.buyer.key in seller.exclude_buyers:
        return Reason.SELLER_EXCLUDED
    return None


def _short(left: Left | None, floor_micros: int, *, is_broke: bool, is_had: bool) -> Reason | None:
    """What an order is short of, or None. `left` is what its limits leave, if any."""
    if is_broke:
        return Reason.INSUFFICIENT_BALANCE
    if left is not None and left.leads < 1:
        return Reason.CAPPED
    if left is not None and left.micros < max(floor_micros, 1):
        return Reason.OUT_OF_BUDGET
    return Reason.DUPLICATE_FOR_BUYER if is_had else None


def failing_fields(book: CampaignBook, entry: OrderEntry, lead: Lead) -> tuple[Failing, ...]:
    """The conditions of an order's filter that a lead fails, for people who ask why."""
    return failing(entry.filter, lead, book.vertical.fields)
