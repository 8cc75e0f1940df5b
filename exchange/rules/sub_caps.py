"""Sub-caps: further limits of orders for some leads, compiled, and the room that they leave for one lead."""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchange.rules.bitsets import bits
from exchange.rules.caps import subject_of
from exchange.rules.estimates import Left, Parts
from exchange.rules.matching import Matcher, compile_filters
from exchange.rules.room import Room
from exchange.values.market import Order
from exchange.values.reason import Reason
from exchange.values.trace import OutcomeRow, PingTrace, with_detail
from exchange.values.vertical import Lead, Vertical


@dataclass(frozen=True, slots=True)
class SubCaps:
    """The sub-caps of a campaign's orders: bit `i` of the matcher's sets is `items[i]`, its order, name and subject."""

    matcher: Matcher
    items: Sequence[tuple[str, str, str]]

    def subjects(self, lead: Lead) -> Parts:
        """What a lead counts under besides the orders themselves, by order."""
        found: dict[str, list[str]] = {}
        for order, _, subject in self._of(lead):
            found.setdefault(order, []).append(subject)
        return found

    def names(self, lead: Lead, order: str) -> frozenset[str]:
        """The sub-caps of one order that a lead counts in."""
        return frozenset(name for key, name, _ in self._of(lead) if key == order)

    def _of(self, lead: Lead) -> list[tuple[str, str, str]]:
        return [self.items[number] for number in bits(self.matcher.matching(lead))]


def compile_sub_caps(vertical: Vertical, orders: Sequence[Order]) -> SubCaps | None:
    """Compiles the sub-caps of a campaign's orders; None where there are none."""
    every = [(order, sub_cap) for order in orders for sub_cap in order.sub_caps]
    if not every:
        return None
    items = [(order.key, sub_cap.name, subject_of(order, sub_cap)) for order, sub_cap in every]
    return SubCaps(compile_filters(vertical, [sub_cap.when for _, sub_cap in every]), items)


class PartedRoom:
    """A gateway's room as it is for one lead, which counts in the sub-caps `parts`."""

    def __init__(self, room: Room, parts: Parts) -> None:
        self._room = room
        self._parts = parts
        self.limits_pings = room.limits_pings
        self.passed = room.passed

    @property
    def left(self) -> Mapping[str, Left]:
        """What is left of each order that has a limit: the least of its own and of its sub-caps."""
        left, narrowed = self._room.left, {}
        for order, subjects in self._parts.items():
            found = [left[name] for name in (order, *subjects) if name in left]
            if found:
                narrowed[order] = Left(min(item.leads for item in found), min(item.micros for item in found))
        return ChainMap(narrowed, left)

    def wake(self, now_us: int) -> None:
        self._room.wake(now_us)

    def offered(self, trace: PingTrace) -> None:
        self._room.offered(trace, self._parts)

    def told(self, order: str, reason: Reason) -> str:
        return self._room.told(order, reason, self._parts.get(order, ()))

    def refuses(self, seller: str, campaign: str) -> bool:
        return self._room.refuses(seller, campaign)

    def leads_left(self, seller: str, campaign: str) -> int:
        return self._room.leads_left(seller, campaign)


def told(rows: tuple[OutcomeRow, ...], room: Room | PartedRoom) -> tuple[OutcomeRow, ...]:
    """The outcomes, of which those that a cap or a budget refused say which limit it was."""
    full = [row for row in rows if row[2] is _CAPPED or row[2] is _OUT_OF_BUDGET]
    if not full:
        return rows
    details = {order: detail or room.told(order, reason) for order, _, reason, _, _, _, detail, _ in full}
    return tuple([with_detail(row, details[row[0]]) if row[0] in details else row for row in rows])


_CAPPED, _OUT_OF_BUDGET = Reason.CAPPED, Reason.OUT_OF_BUDGET  # looked up once: there may be thousands of outcomes
