"""Selection: whom to ask where more orders are eligible than may be asked at once.

Those that have bid most of late are asked: the mean of an order's bids, with nothing for each time that it did not bid.
A few places are left to others, by a hash of the ping id, so that nobody is judged for ever by what he did once.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from exchange.rules.ranking import tie_break
from exchange.values.bid import Asked, Bid

MILLION = 1_000_000
MEMORY_PINGS = 50
"""How many of its latest pings an order's expectation mostly goes by."""

ORDERS_MAX = 250_000
"""Orders that are remembered; the one that was asked longest ago is forgotten."""


class Expectations:
    """What one gateway expects of each order that it has asked: `micros` a ping."""

    def __init__(self, *, at_most: int = ORDERS_MAX) -> None:
        self.micros: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._at_most = at_most

    def heard(self, replies: Iterable[Asked]) -> None:
        """Takes note of what orders that were asked have said."""
        for order, reply, elapsed_ms in replies:
            if elapsed_ms is None:
                continue
            bid_micros = reply.gross_micros if isinstance(reply, Bid) else 0
            seen = min(self._seen.pop(order, 0) + 1, MEMORY_PINGS)
            before_micros = self.micros.pop(order, 0)
            self.micros[order] = before_micros + (bid_micros - before_micros) // seen
            self._seen[order] = seen
        while len(self.micros) > self._at_most:
            oldest = next(iter(self.micros))
            del self.micros[oldest], self._seen[oldest]


def select(
    orders: Sequence[str], expected: Mapping[str, int], ping_id: UUID, *, at_most: int, exploration: int
) -> frozenset[str]:
    """The orders to ask, `at_most` so many; of these places about `exploration` millionths are for exploring.

    An order of which nothing is known is expected to be like the others.
    """
    if len(orders) <= at_most:
        return frozenset(orders)
    known = [expected[order] for order in orders if order in expected]
    usual = sum(known) // len(known) if known else 0
    hashes = {order: tie_break(ping_id, order) for order in orders}
    best = sorted(orders, key=lambda order: (-expected.get(order, usual), hashes[order]))
    sure = at_most - explored_places(ping_id, at_most, exploration)
    others = sorted(best[sure:], key=hashes.__getitem__)
    return frozenset([*best[:sure], *others[: at_most - sure]])


def explored_places(ping_id: UUID, places: int, exploration: int) -> int:
    """How many of the places explore: the usual number, rounded up or down by a hash of the ping id."""
    whole, rest = divmod(places * exploration, MILLION)
    drawn = int.from_bytes(hashlib.blake2b(ping_id.bytes, digest_size=8).digest(), "big") % MILLION
    return whole + (drawn < rest)
