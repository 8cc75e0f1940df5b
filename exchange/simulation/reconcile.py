"""Compares three witnesses of a run: what sellers were told, what buyers wrote down, what the exchange recorded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exchange.simulation.books import Books
from exchange.simulation.conduct import Decision, PingMove
from exchange.simulation.evidence import OPEN_STATES, Evidence
from exchange.simulation.reconcile_buyers import buyer_disagreements
from exchange.simulation.reconcile_money import money_disagreements
from exchange.simulation.reconcile_sellers import seller_disagreements
from exchange.simulation.tally import ACCEPTED, OFFERED, PENDING, REFUSED, REJECTED, UNSOLD, Tally
from exchange.simulation.witness import Answered, BuyerLog, PingSeen, PostAnswered


@dataclass(frozen=True, slots=True)
class Figures:
    """A run in numbers. Pings and posts are the exchange's records, money is what was transferred."""

    pings: int = 0
    offers: int = 0
    unsold: int = 0
    refused: int = 0
    posts: int = 0
    accepted: int = 0
    rejected: int = 0
    pending: int = 0
    taken_unknown: int = 0  # leads a buyer took and the exchange does not know of yet
    turned_away: int = 0
    unanswered: int = 0
    buyer_failures: Mapping[str, int] = field(default_factory=dict)
    gross_micros: int = 0
    payout_micros: int = 0
    margin_micros: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a run, and each thing that two witnesses tell differently, in a sentence."""

    figures: Figures
    disagreements: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        return not self.disagreements


def reconcile(tally: Tally, logs: Sequence[BuyerLog], books: Books) -> Report:
    """Judges a run that has come to rest: traffic stopped, the records read at least a second later, then the logs.

    A buyer may have taken an attempt that is recorded as unknown, never one that is rejected or was not sent.
    """
    evidence = Evidence.gather(tally, logs, books)
    found = [*seller_disagreements(evidence), *buyer_disagreements(evidence), *money_disagreements(books)]
    return Report(_figures(evidence), tuple(found))


def _figures(evidence: Evidence) -> Figures:
    books, tally = evidence.books, evidence.tally
    statuses = Counter(row.status for row in books.pings)
    states = Counter(row.state for row in books.posts)
    moved = Counter[str]()
    for transfer in books.transfers:
        moved[transfer.kind] += transfer.amount_micros
    return Figures(
        pings=len(books.pings),
        offers=statuses[OFFERED],
        unsold=statuses[UNSOLD],
        refused=statuses[REFUSED],
        posts=len(books.posts),
        accepted=states[ACCEPTED],
        rejected=states[REJECTED],
        pending=states[PENDING] + states["in_progress"],
        taken_unknown=_taken_unknown(evidence),
        turned_away=len(tally.turned_away),
        unanswered=sum(not fault.answered for fault in tally.faults),
        buyer_failures=_buyer_failures(evidence.logs),
        gross_micros=moved["charge"],
        payout_micros=moved["payout"],
        margin_micros=moved["margin"],
    )


def _taken_unknown(evidence: Evidence) -> int:
    return sum(
        entry.decision is Decision.ACCEPTED
        for row in evidence.books.attempts
        if row.state in OPEN_STATES
        for _, entry in evidence.deliveries.get(row.attempt_id, ())
    )


def _buyer_failures(logs: Sequence[BuyerLog]) -> Mapping[str, int]:
    """How often buyers failed, by what they did. Calls to a closed door are in nobody's log."""
    failures = Counter[str]()
    for log in logs:
        for entry in log.entries:
            if isinstance(entry, PingSeen) and entry.move not in {PingMove.BID, PingMove.NO_BID}:
                failures[f"{entry.move} at ping"] += 1
            elif isinstance(entry, PostAnswered) and entry.how is not Answered.REPLY:
                failures[f"{entry.how} at post"] += 1
    return dict(failures.most_common())
