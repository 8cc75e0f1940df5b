"""What keeps orders out whatever their filters say, as bit sets: pauses, hours, exclusions, consent.

Bit `i` of a set stands for the campaign's order `i`, as in the matcher's sets. An order that more than one of them
keeps out has the first one's reason.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from exchange.rules.bitsets import set_of
from exchange.rules.clock import Clock
from exchange.rules.consent import all_given
from exchange.rules.schedule import Timeline
from exchange.values.market import Buyer, Order, Seller
from exchange.values.reason import Reason
from exchange.values.schedule import Schedule
from exchange.values.vertical import Lead

Group = TypeVar("Group")


@dataclass(frozen=True, slots=True)
class States:
    """The states of a campaign's orders. What has been worked out is kept: for a seller, and until an instant."""

    paused: int
    pauses: Clock | None
    hours: Clock | None
    consents: Mapping[str, int]
    """The orders that ask for a consent, by its field."""
    by_seller: Mapping[str, Sequence[int]]
    """The numbers of the orders that, or whose buyers, do not take a seller's leads."""
    by_buyer: Mapping[str, Sequence[int]]
    _excluded: dict[str, int] = field(default_factory=dict, repr=False)

    def closed(self, lead: Lead, seller: Seller, now_s: float) -> Iterator[tuple[Reason, int]]:
        """The sets of orders that a seller's lead cannot be offered to at an instant (Unix time), each with its reason.

        The first reason holds.
        """
        yield Reason.PAUSED, self.paused
        if self.pauses is not None:
            yield Reason.PAUSED, self.pauses.closed(now_s)
        if self.hours is not None:
            yield Reason.OUTSIDE_SCHEDULE, self.hours.closed(now_s)
        yield Reason.SELLER_EXCLUDED, self._excluding(seller)
        for name, asking in self.consents.items():
            if not all_given(lead, (name,)):
                yield Reason.BUYER_CONSENT_MISSING, asking

    def wind(self, now_s: float) -> None:
        """Works out what holds at an instant, so that no ping has to."""
        for clock in filter(None, (self.pauses, self.hours)):
            clock.closed(now_s)

    def _excluding(self, seller: Seller) -> int:
        found = self._excluded.get(seller.key)
        if found is None:
            numbers = [number for buyer in seller.exclude_buyers for number in self.by_buyer.get(buyer, ())]
            found = self._excluded[seller.key] = set_of([*numbers, *self.by_seller.get(seller.key, ())])
        return found


def compile_states(
    orders: Sequence[tuple[Order, Buyer]], unusable: Sequence[int], *, sellers_exclude: bool
) -> States | None:
    """The states of the orders, or None where nothing ever keeps one out.

    `unusable` are the numbers of the orders that cannot be asked for want of a secret; `sellers_exclude` says whether
    any seller of the campaign has buyers who do not get his leads.
    """
    paused = set_of([*unusable, *(number for number, (order, _) in enumerate(orders) if order.paused)])
    pauses = [
        (number, Schedule(starts=order.paused_until), buyer.time_zone)
        for number, (order, buyer) in enumerate(orders)
        if order.paused_until is not None
    ]
    hours = [
        (number, order.schedule, buyer.time_zone)
        for number, (order, buyer) in enumerate(orders)
        if order.schedule is not None
    ]
    consents = _grouped((name, number) for number, (order, _) in enumerate(orders) for name in order.consent)
    by_seller = _grouped(
        (seller, number)
        for number, (order, buyer) in enumerate(orders)
        for seller in order.exclude_sellers | buyer.exclude_sellers
    )
    by_buyer = _grouped((buyer.key, number) for number, (_, buyer) in enumerate(orders)) if sellers_exclude else {}
    if not (paused or pauses or hours or consents or by_seller or by_buyer):
        return None
    asking = {name: set_of(numbers) for name, numbers in consents.items()}
    return States(paused, _clock(pauses), _clock(hours), asking, by_seller, by_buyer)


def _clock(timed: Sequence[tuple[int, Schedule, str]]) -> Clock | None:
    """A clock for the orders that have a schedule; those with the same in the same zone share a timeline."""
    if not timed:
        return None
    shared = _grouped(((schedule, zone), number) for number, schedule, zone in timed)
    return Clock({Timeline(schedule, zone): numbers for (schedule, zone), numbers in shared.items()})


def _grouped(pairs: Iterable[tuple[Group, int]]) -> dict[Group, list[int]]:
    found: dict[Group, list[int]] = {}
    for group, number in pairs:
        found.setdefault(group, []).append(number)
    return found
