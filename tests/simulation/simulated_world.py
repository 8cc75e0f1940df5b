"""Builds worlds in which all witnesses agree, lead by lead, so that a test can then plant one lie."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from exchange.simulation.books import AttemptRow, Books, PingRow, PostRow, TransferRow
from exchange.simulation.conduct import Decision, PingMove, PostMove
from exchange.simulation.reconcile import Report, reconcile
from exchange.simulation.tally import Fault, PingTold, PostTold, Tally, TurnedAway
from exchange.simulation.witness import Answered, BuyerLog, Entry, PingSeen, PostAnswered, PostSeen
from exchange.values.reason import Reason

SELLER, FIRST, SECOND = "acme", "northwind", "harborline"
GROSS, PAYOUT = 21_000_000, 17_850_000


class Fate(Enum):
    """What became of a lead. All of these are right, however unlucky."""

    UNSOLD = auto()
    REFUSED = auto()
    NEVER_POSTED = auto()
    SOLD = auto()
    SOLD_AT_BREAK_EVEN = auto()
    SOLD_AFTER_A_NO = auto()
    SOLD_AFTER_NOTHING_WAS_SENT = auto()
    REJECTED = auto()
    WITHDRAWN = auto()
    UNKNOWN_AND_TAKEN = auto()
    UNKNOWN_AND_REFUSED = auto()
    UNKNOWN_AND_NEVER_SEEN = auto()
    PENDING_THEN_SOLD = auto()
    PENDING_THEN_REJECTED = auto()
    PING_ANSWER_LOST = auto()
    POST_ANSWER_LOST = auto()
    POST_CRASHED_AFTER_SALE = auto()


@dataclass
class World:
    """Everything that the three witnesses hold, open to be changed."""

    tally: Tally = field(default_factory=Tally)
    logs: dict[str, list[Entry]] = field(default_factory=lambda: {FIRST: [], SECOND: []})
    pings: list[PingRow] = field(default_factory=list)
    posts: list[PostRow] = field(default_factory=list)
    attempts: list[AttemptRow] = field(default_factory=list)
    transfers: list[TransferRow] = field(default_factory=list)

    def report(self) -> Report:
        logs = [BuyerLog(buyer, tuple(entries)) for buyer, entries in self.logs.items()]
        books = Books(tuple(self.pings), tuple(self.posts), tuple(self.attempts), tuple(self.transfers))
        return reconcile(self.tally, logs, books)

    # Steps of a lead's life

    def unoffered(self, ping_id: str, status: str, reason: Reason) -> None:
        self.tally.add(PingTold(SELLER, "auto-us", ping_id, status, None, reason))
        self.pings.append(PingRow(ping_id, SELLER, status, int(reason), None))

    def offered(self, ping_id: str, payout: int = PAYOUT, *, told: bool = True) -> None:
        if told:
            self.tally.add(PingTold(SELLER, "auto-us", ping_id, "offered", payout, None, min_price_micros=5_000_000))
        else:
            self.tally.add(Fault(SELLER, "/v1/ping", "no answer: ReadTimeout", answered=False))
        self.pings.append(PingRow(ping_id, SELLER, "offered", None, payout))

    def posted(self, ping_id: str, state: str, told: str | None, payout: int = PAYOUT) -> None:
        self.posts.append(PostRow(f"post-{ping_id}", ping_id, state))
        reason = {"rejected": Reason.REJECTED_BY_BUYER, "pending": Reason.UNKNOWN}
        if told is not None:
            price = payout if told == "accepted" else None
            self.tally.add(PostTold(SELLER, f"post-{ping_id}", ping_id, told, price, reason.get(told)))

    def tried(self, ping_id: str, buyer: str, state: str, taken: bool | None, gross: int = GROSS) -> None:
        """An attempt as recorded, and what the buyer has of it: None where it never reached him."""
        attempt_id, order, bid_id = f"{buyer}-{ping_id}", f"{buyer}-order", f"bid-{ping_id}"
        self.attempts.append(AttemptRow(attempt_id, f"post-{ping_id}", ping_id, order, buyer, state, gross, PAYOUT))
        log = self.logs[buyer]
        log.append(PingSeen(ping_id, order, PingMove.BID, gross, bid_id))
        if taken is not None:
            move, decision = (PostMove.ACCEPT, Decision.ACCEPTED) if taken else (PostMove.REJECT, Decision.REJECTED)
            log.append(PostSeen(attempt_id, ping_id, order, gross, bid_id, test=False, move=move, decision=decision))
            log.append(PostAnswered(attempt_id, Answered.DROPPED if state == "unknown" else Answered.REPLY))
        if state == "accepted":
            self.paid(attempt_id, buyer, gross)

    def paid(self, attempt_id: str, buyer: str, gross: int) -> None:
        self.transfers.append(TransferRow(attempt_id, "charge", gross, f"buyer:{buyer}", "exchange:clearing"))
        self.transfers.append(TransferRow(attempt_id, "payout", PAYOUT, "exchange:clearing", f"seller:{SELLER}"))
        if gross > PAYOUT:
            margin = gross - PAYOUT
            self.transfers.append(TransferRow(attempt_id, "margin", margin, "exchange:clearing", "exchange:margin"))

    # Whole lives

    def live(self, fate: Fate, ping_id: str) -> None:
        match fate:
            case Fate.UNSOLD:
                self.unoffered(ping_id, "unsold", Reason.NO_BIDS)
            case Fate.REFUSED:
                self.unoffered(ping_id, "refused", Reason.DUPLICATE)
            case _:
                self.offered(ping_id, told=fate is not Fate.PING_ANSWER_LOST)
                self._live_on(fate, ping_id)

    def _live_on(self, fate: Fate, ping_id: str) -> None:
        state, told, tries = LIVES[fate]
        if state is not None:
            self.posted(ping_id, state, told)
        for buyer, result, taken, gross in tries:
            self.tried(ping_id, buyer, result, taken, gross)
        if fate is Fate.POST_ANSWER_LOST:
            self.tally.add(Fault(SELLER, "/v1/post", "no answer: ReadError", answered=False, ping_id=ping_id))
        if fate is Fate.POST_CRASHED_AFTER_SALE:
            self.tally.add(TurnedAway(SELLER, "/v1/post", 503, "unavailable", ping_id))


Try = tuple[str, str, bool | None, int]  # buyer, recorded state, taken by the buyer, gross price
NO, UNSENT, SALE = (
    (FIRST, "rejected", False, GROSS),
    (FIRST, "not_sent", None, GROSS),
    (SECOND, "accepted", True, GROSS),
)
LIVES: dict[Fate, tuple[str | None, str | None, list[Try]]] = {
    Fate.NEVER_POSTED: (None, None, []),
    Fate.PING_ANSWER_LOST: (None, None, []),
    Fate.SOLD: ("accepted", "accepted", [SALE]),
    Fate.SOLD_AT_BREAK_EVEN: ("accepted", "accepted", [NO, (SECOND, "accepted", True, PAYOUT)]),
    Fate.SOLD_AFTER_A_NO: ("accepted", "accepted", [NO, SALE]),
    Fate.SOLD_AFTER_NOTHING_WAS_SENT: ("accepted", "accepted", [UNSENT, SALE]),
    Fate.REJECTED: ("rejected", "rejected", [NO]),
    Fate.WITHDRAWN: ("rejected", "rejected", []),
    Fate.UNKNOWN_AND_TAKEN: ("pending", "pending", [(FIRST, "unknown", True, GROSS)]),
    Fate.UNKNOWN_AND_REFUSED: ("pending", "pending", [(FIRST, "unknown", False, GROSS)]),
    Fate.UNKNOWN_AND_NEVER_SEEN: ("pending", "pending", [(FIRST, "unknown", None, GROSS)]),
    Fate.PENDING_THEN_SOLD: ("accepted", "pending", [(FIRST, "accepted", True, GROSS)]),
    Fate.PENDING_THEN_REJECTED: ("rejected", "pending", [NO]),
    Fate.POST_ANSWER_LOST: ("accepted", None, [SALE]),
    Fate.POST_CRASHED_AFTER_SALE: ("accepted", None, [SALE]),
}


def world_of(fates: Iterable[Fate]) -> World:
    """A world of these leads, numbered from 0: `ping-0`, `post-ping-0`, attempts `northwind-ping-0`."""
    world = World()
    world.transfers.append(TransferRow(None, "deposit", 500_000_000, "exchange:bank", f"buyer:{FIRST}"))
    for number, fate in enumerate(fates):
        world.live(fate, f"ping-{number}")
    return world
