"""The ping tree: tiers of orders are asked one after another, until one of them yields a bid that can win."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from exchange.rules.book import OrderEntry
from exchange.values.bid import Asked, Refusal
from exchange.values.deadline import Deadline
from exchange.values.reason import Reason

Ask = Callable[[Sequence[OrderEntry], Deadline], Awaitable[Sequence[Asked]]]
"""Asks orders at once; the replies are in their order."""

IsEnough = Callable[[Sequence[OrderEntry], Sequence[Asked]], bool]
"""Whether one of these replies can win, so that nobody else need be asked."""

_NOT_REACHED = Refusal(Reason.TIER_NOT_REACHED)


@dataclass(frozen=True, slots=True)
class TierTimes:
    """How long a tier may take: `share_percent` of the time that is left, None for an equal share of it.

    It is at least `least_ms`, as long as there is that much; the last tier has all that is left.
    """

    share_percent: int | None
    least_ms: int

    def tier_ms(self, left_ms: int, tiers_left: int) -> int:
        """The milliseconds of the next of `tiers_left` tiers."""
        if tiers_left <= 1:
            return left_ms
        share_ms = left_ms // tiers_left if self.share_percent is None else left_ms * self.share_percent // 100
        return min(left_ms, max(share_ms, self.least_ms))


async def ask_in_tiers(
    entries: Sequence[OrderEntry], ask: Ask, is_enough: IsEnough, decide_by: Deadline, times: TierTimes
) -> Sequence[Asked]:
    """The replies in the order of `entries`; the orders of tiers that were not reached are told apart."""
    tiers, found = tiers_of(entries), {}
    for done, tier in enumerate(tiers):
        tier_ms = times.tier_ms(decide_by.remaining_ms(), len(tiers) - done)
        replies = await ask(tier, Deadline.after_ms(tier_ms).sooner(decide_by))
        found.update({reply.order: reply for reply in replies})
        if is_enough(tier, replies):
            break
    return [found.get(entry.key) or Asked(entry.key, _NOT_REACHED) for entry in entries]


def tiers_of(entries: Sequence[OrderEntry]) -> list[list[OrderEntry]]:
    """Orders of equal priority, those with the lowest number first."""
    tiers: dict[int, list[OrderEntry]] = {}
    for entry in entries:
        tiers.setdefault(entry.order.priority, []).append(entry)
    return [tiers[priority] for priority in sorted(tiers)]
