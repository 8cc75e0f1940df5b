"""When a lead that waits is offered again: when an order that could not take it may, else at a pace that slows down."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from exchange.rules.backoff import pause_s
from exchange.rules.book import CampaignBook, OrderEntry
from exchange.rules.caps import window
from exchange.rules.schedule import Timeline
from exchange.values.market import Period, Queue
from exchange.values.reason import Reason
from exchange.values.trace import OrderOutcome

SPREAD_S = 5.0
"""Over how long those are spread that wait for the same moment: not all of them ask the buyers in one instant."""

_FULL = frozenset({Reason.CAPPED, Reason.OUT_OF_BUDGET})


def next_run(
    terms: Queue,
    book: CampaignBook,
    outcomes: Iterable[OrderOutcome],
    *,
    runs: int,
    longest_s: float,
    now: datetime,
    luck: float,
) -> datetime:
    """The moment of the next run of a lead after so many of them, by what the last one came to; `luck` is 0 to 1."""
    paced = now + timedelta(seconds=pause_s(runs, terms.every_s, max(longest_s, terms.every_s), luck))
    spread = timedelta(seconds=SPREAD_S * luck)
    return min((paced, *(moment + spread for moment in openings(book, outcomes, now))))


def openings(book: CampaignBook, outcomes: Iterable[OrderOutcome], now: datetime) -> Iterator[datetime]:
    """The next moment at which each order may open that was closed, paused, full, or out of budget."""
    for outcome in outcomes:
        entry = book.by_key.get(outcome.order)
        if entry is None:
            continue
        if outcome.reason is Reason.OUTSIDE_SCHEDULE and entry.order.schedule is not None:
            until = Timeline(entry.order.schedule, entry.buyer.time_zone).standing(now).until
            if until is not None:
                yield until
        elif outcome.reason is Reason.PAUSED and entry.paused_until_s > now.timestamp():
            yield datetime.fromtimestamp(entry.paused_until_s, now.tzinfo)
        elif outcome.reason in _FULL and (periods := _periods(entry)):
            yield min(window(period, entry.buyer.time_zone, now).ends_at for period in periods)


def _periods(entry: OrderEntry) -> frozenset[Period]:
    """The windows in which an order is limited, and that begin anew some time."""
    order = entry.order
    found = {*order.caps, *order.budget}
    for part in order.sub_caps:
        found |= {*part.caps, *part.budget}
    return frozenset(found - {Period.TOTAL})
