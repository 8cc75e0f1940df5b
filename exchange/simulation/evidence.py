"""The three witnesses of a run, indexed for the rules that compare them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchange.simulation.books import AttemptRow, Books, PingRow, PostRow
from exchange.simulation.tally import Tally
from exchange.simulation.witness import BuyerLog, PingSeen, PostSeen
from exchange.values.money import format_amount

OPEN_STATES = frozenset({"prepared", "unknown"})  # of attempts: the buyer may have taken the lead or not


@dataclass(frozen=True, slots=True)
class Evidence:
    """The three witnesses, indexed."""

    tally: Tally
    logs: Sequence[BuyerLog]
    books: Books
    pings: Mapping[str, PingRow]
    posts: Mapping[str, PostRow]
    attempts: Mapping[str, AttemptRow]
    attempts_of_post: Mapping[str, list[AttemptRow]]
    bids: Mapping[tuple[str, str, str], PingSeen]  # by buyer, ping and order
    deliveries: Mapping[str, list[tuple[str, PostSeen]]]  # by attempt: who saw it

    @classmethod
    def gather(cls, tally: Tally, logs: Sequence[BuyerLog], books: Books) -> "Evidence":
        attempts_of_post: dict[str, list[AttemptRow]] = {}
        for attempt in books.attempts:
            attempts_of_post.setdefault(attempt.post_id, []).append(attempt)
        bids: dict[tuple[str, str, str], PingSeen] = {}
        deliveries: dict[str, list[tuple[str, PostSeen]]] = {}
        for log in logs:
            for entry in log.entries:
                if isinstance(entry, PingSeen):
                    bids[log.buyer, entry.ping_id, entry.order] = entry
                elif isinstance(entry, PostSeen):
                    deliveries.setdefault(entry.attempt_id, []).append((log.buyer, entry))
        return cls(
            tally=tally,
            logs=logs,
            books=books,
            pings={row.ping_id: row for row in books.pings},
            posts={row.post_id: row for row in books.posts},
            attempts={row.attempt_id: row for row in books.attempts},
            attempts_of_post=attempts_of_post,
            bids=bids,
            deliveries=deliveries,
        )


def amount_text(micros: int | None) -> str:
    """An amount for a sentence."""
    return "nothing" if micros is None else format_amount(micros)
