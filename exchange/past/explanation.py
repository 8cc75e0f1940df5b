"""Why a ping sold to whom it did, or to nobody: one value with every order of its campaign and exactly one reason each.

It is made of the record and of the market version that held then: what the record does not keep, the orders that the
filters let nobody ask, is worked out again (contract, section 5).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from exchange.marketfile.tree import described_condition
from exchange.past.replay import Replay
from exchange.rules.book import CampaignBook, OrderEntry
from exchange.rules.filters import Failing
from exchange.rules.ranking import Candidate, Ranking, order_of
from exchange.rules.routing import failing_fields
from exchange.storage.history import AttemptHistory
from exchange.storage.pings import RecordedPing
from exchange.storage.posts import RecordedPost
from exchange.values.ids import moment_of
from exchange.values.reason import Reason
from exchange.values.trace import OrderOutcome, PingStatus, sold_first
from exchange.values.vertical import Lead, Value

RANKED = frozenset({Reason.WON, Reason.OUTBID, Reason.BELOW_MIN_PRICE})
"""Reasons of bids that were valid: these have a rank."""

WANTS_CHARS_MAX = 200


class Failed(NamedTuple):
    """A condition that the lead failed: the field it is about, where in the filter (`or[1].age`), what that `wants`.

    `value` is the lead's, None for none.
    """

    field: str
    path: str
    wants: str
    value: Value | None


@dataclass(frozen=True, slots=True)
class OrderStory:
    """What became of one order. `rank` counts valid bids from 1, `rung` the steps of the ladder; None: it has none."""

    outcome: OrderOutcome
    rank: int | None = None
    rung: int | None = None
    priority: int | None = None
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """A ping's story. The sums are those of an offer: `gross_micros` = `payout_micros` + `margin_micros`.

    `notes` say in a sentence each what could not be told.
    """

    ping: RecordedPing
    pinged_at: datetime
    applied_at: datetime | None
    orders: tuple[OrderStory, ...]
    gross_micros: int | None
    payout_micros: int | None
    post: RecordedPost | None
    attempts: tuple[AttemptHistory, ...]
    notes: tuple[str, ...]
    replay: Replay | None = None

    @property
    def margin_micros(self) -> int | None:
        if self.gross_micros is None or self.payout_micros is None:
            return None
        return self.gross_micros - self.payout_micros


def explain(
    ping: RecordedPing,
    applied_at: datetime | None,
    book: CampaignBook | None,
    post: RecordedPost | None = None,
    attempts: Sequence[AttemptHistory] = (),
    replay: Replay | None = None,
) -> Explanation:
    """Explains a ping. `book` is the market that it was decided under, `applied_at` its time; None where it is gone."""
    gross = [rung.gross_micros for rung in sold_first(ping.ladder)]
    return Explanation(
        ping=ping,
        pinged_at=moment_of(ping.ping_id),
        applied_at=applied_at,
        orders=(*_recorded(ping, book), *_filtered(ping, book)),
        gross_micros=sum(gross) if gross and ping.payout_micros is not None else None,
        payout_micros=ping.payout_micros,
        post=post,
        attempts=tuple(attempts),
        notes=tuple(_notes(ping, book)),
        replay=replay,
    )


def _recorded(ping: RecordedPing, book: CampaignBook | None) -> list[OrderStory]:
    """The orders that the filters let through: valid bids by rank, then other bids, then the rest by reason."""
    entries: Mapping[str, OrderEntry] = {} if book is None else book.by_key
    rungs = {rung.order: number for number, rung in reversed(list(enumerate(ping.ladder, 1)))}
    ranks = _ranks(ping, book, rungs)
    stories = []
    for outcome in ping.outcomes:
        entry = entries.get(outcome.order)
        priority = None if entry is None else entry.order.priority
        stories.append(OrderStory(outcome, ranks.get(outcome.order), rungs.get(outcome.order), priority))
    return sorted(stories, key=_place)


def _place(story: OrderStory) -> tuple[bool, int, int, int, str]:
    outcome = story.outcome
    return story.rank is None, story.rank or 0, -(outcome.gross_micros or 0), int(outcome.reason), outcome.order


def _ranks(ping: RecordedPing, book: CampaignBook | None, rungs: Mapping[str, int]) -> dict[str, int]:
    """The ranks of valid bids: the ladder is best first; bids that it left out come after, as the method ranks."""
    valid = [outcome for outcome in ping.outcomes if outcome.reason in RANKED]
    on_ladder = sorted((outcome for outcome in valid if outcome.order in rungs), key=lambda item: rungs[item.order])
    rest = [outcome for outcome in valid if outcome.order not in rungs]
    rest = [] if book is None else _ranked(ping, book, rest)
    return {outcome.order: number for number, outcome in enumerate([*on_ladder, *rest], 1)}


def _ranked(ping: RecordedPing, book: CampaignBook, bids: Sequence[OrderOutcome]) -> list[OrderOutcome]:
    """Bids that come after the ladder, or of a ping without one, as the method ranks them, by what it went by then."""
    ranking = ((book.selling and book.selling.ranking) or Ranking()).as_then(ping.inputs)
    if ping.ladder:
        ranking = ranking.second
    priorities = {entry.key: entry.order.priority for entry in book.entries}
    candidates = [Candidate(item.order, item.gross_micros or 0, priorities.get(item.order, 0)) for item in bids]
    return [bids[number] for number in order_of(candidates, ranking, ping.ping_id)]


def _filtered(ping: RecordedPing, book: CampaignBook | None) -> list[OrderStory]:
    """The orders that the filters kept out, found again from the market version that held then."""
    if book is None or ping.status is PingStatus.REFUSED:
        return []
    known = {outcome.order for outcome in ping.outcomes}
    lead = book.with_ages(ping.lead, moment_of(ping.ping_id))
    return [_kept_out(book, entry, lead, test=ping.test) for entry in book.entries if entry.key not in known]


def _kept_out(book: CampaignBook, entry: OrderEntry, lead: Lead, *, test: bool) -> OrderStory:
    failed = tuple(
        Failed(found.field, found.path, _wants(found), lead.get(found.field))
        for found in failing_fields(book, entry, lead)
    )
    outcome = OrderOutcome(entry.key, entry.buyer.key, Reason.FILTERED)
    if entry.sale is None:
        why = f"takes {entry.order.sale} leads only, which {book.campaign.key} does not sell"
        outcome = outcome._replace(detail=why)
    elif test and not entry.endpoint.marks_tests:
        outcome = outcome._replace(detail="its buyer could not tell a test from a lead")
    return OrderStory(outcome, priority=entry.order.priority, failed=failed)


def _wants(found: Failing) -> str:
    """What a condition asks; it may list thousands of values, of which the beginning tells which one it is."""
    text = ("not " if found.turned else "") + described_condition(found.condition)
    return text if len(text) <= WANTS_CHARS_MAX else f"{text[:WANTS_CHARS_MAX]}…"


def _notes(ping: RecordedPing, book: CampaignBook | None) -> Iterable[str]:
    if ping.status is PingStatus.REFUSED:
        yield "It was refused before any order was looked at."
    if book is None:
        yield (
            f"Market version {ping.market_version} cannot be read: the orders that its filters kept out, and the ranks "
            "below the ladder, cannot be told."
        )
