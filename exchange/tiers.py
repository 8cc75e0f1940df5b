"""The ping tree: tiers of orders are asked one after another, until one of them yields a bid that can win.

A second method has a round of its own: whom the first one has left out is asked then, if nobody else would buy.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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


class Rounds(NamedTuple):
    """Who is asked in what turn. `first` are the tiers of the first method.

    `then` makes those of the second out of whom the first has left out, None: there is no second; `more` says that
    somebody will be left out, so that a second round needs its part of the time.
    """

    first: Sequence[Sequence[OrderEntry]]
    then: Callable[[Sequence[OrderEntry]], Sequence[Sequence[OrderEntry]]] | None = None
    more: bool = False


class Heard(NamedTuple):
    """What orders have said. `second` says that there was a second round: then the second method decides."""

    replies: Sequence[Asked]
    second: bool = False


async def ask_in_rounds(
    entries: Sequence[OrderEntry], rounds: Rounds, ask: Ask, is_enough: IsEnough, decide_by: Deadline, times: TierTimes
) -> Heard:
    """The replies in the order of `entries`. All that were asked in the first round stay as they are in the second."""
    more = rounds.more and rounds.then is not None
    found, enough = await _ask_in_tiers(rounds.first, ask, is_enough, decide_by, times, more=more)
    left = [entry for entry in entries if _is_left_out(found[entry.key])]
    second = rounds.then is not None and bool(left) and not enough
    if rounds.then is not None and second:
        again, _ = await _ask_in_tiers(rounds.then(left), ask, is_enough, decide_by, times)
        found |= again
    return Heard([found[entry.key] for entry in entries], second)


async def _ask_in_tiers(
    tiers: Sequence[Sequence[OrderEntry]],
    ask: Ask,
    is_enough: IsEnough,
    decide_by: Deadline,
    times: TierTimes,
    *,
    more: bool = False,
) -> tuple[dict[str, Asked], bool]:
    """The replies by order, and whether one can win; the orders of tiers that were not reached are told apart.

    `more` keeps back a part of the time, as if there was one more tier.
    """
    found: dict[str, Asked] = {}
    enough = False
    for done, tier in enumerate(tiers):
        if enough:
            found |= {entry.key: Asked(entry.key, _NOT_REACHED) for entry in tier}
            continue
        tier_ms = times.tier_ms(decide_by.remaining_ms(), len(tiers) - done + more)
        replies = await ask(tier, Deadline.after_ms(tier_ms).sooner(decide_by))
        found |= {reply.order: reply for reply in replies}
        enough = is_enough(tier, replies)
    return found, enough


def _is_left_out(asked: Asked) -> bool:
    return isinstance(asked.reply, Refusal) and asked.reply.reason is Reason.NOT_SELECTED


def tiers_of(entries: Sequence[OrderEntry]) -> list[list[OrderEntry]]:
    """Orders of equal priority, those with the lowest number first."""
    tiers: dict[int, list[OrderEntry]] = {}
    for entry in entries:
        tiers.setdefault(entry.order.priority, []).append(entry)
    return [tiers[priority] for priority in sorted(tiers)]
