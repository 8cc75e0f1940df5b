"""The auction of a recorded ping once more: the same bids under the rules that held then must give the same result.

What only that moment knew is taken from the record as it is: balances, caps and budgets stand in the reasons 203, 204
and 205, time and health in those of the orders that were not asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exchange.auction import Decision
from exchange.ping import PingRequest, decide_again
from exchange.rules.bitsets import bits
from exchange.rules.book import CampaignBook, OrderEntry, RuleBook
from exchange.rules.estimates import NO_LIMIT
from exchange.storage.pings import RecordedPing
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.deadline import Deadline
from exchange.values.ids import moment_of
from exchange.values.market import Seller
from exchange.values.money import format_amount
from exchange.values.reason import Reason
from exchange.values.trace import Inputs, OrderOutcome, PingStatus

JUDGED = frozenset({Reason.WON, Reason.OUTBID, Reason.ABOVE_MAX_BID, Reason.BELOW_FLOOR, Reason.BELOW_MIN_PRICE})
"""Reasons that an auction gives to a bid by its rules alone: such a bid is bid again."""

OF_THAT_MOMENT = frozenset({Reason.CAPPED, Reason.OUT_OF_BUDGET, Reason.INSUFFICIENT_BALANCE})
"""What it gives to one by what was left at that moment."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that came out otherwise: what, as recorded, and as run again."""

    what: str
    recorded: str
    again: str

    def __str__(self) -> str:
        return f"{self.what}: recorded {self.recorded}, now {self.again}"


@dataclass(frozen=True, slots=True)
class Replay:
    """An auction run again: who wins, what the seller would be promised, and what differs from the record."""

    winners: tuple[str, ...]
    payout_micros: int | None
    differences: tuple[Difference, ...]

    @property
    def is_same(self) -> bool:
        return not self.differences


def replay(ping: RecordedPing, rules: RuleBook) -> Replay | None:
    """Runs the auction of a ping again; None where there was none, because the ping was refused.

    `rules` are those of the ping's market version.
    """
    if ping.status is PingStatus.REFUSED:
        return None
    book = rules.campaigns.get(ping.campaign)
    seller = rules.market.sellers.get(ping.seller)
    if book is None or seller is None:
        lost = Difference("the market version", f"{ping.campaign} and {ping.seller}", "without them")
        return Replay((), None, (lost,))
    replies = [(entry, reply_of(outcome)) for outcome in ping.outcomes if (entry := book.by_key.get(outcome.order))]
    shares_left = NO_LIMIT if ping.sums is None else ping.sums.shares_max
    decision = run_again(ping, book, seller, replies, inputs=ping.inputs, shares_left=shares_left)
    differences = (*_unlike(ping, decision), *_strangers(ping, book))
    return Replay(_winners(decision.outcomes), decision.payout_micros, tuple(differences))


def run_again(
    ping: RecordedPing,
    book: CampaignBook,
    seller: Seller,
    replies: Sequence[tuple[OrderEntry, Asked]],
    *,
    inputs: Inputs | None,
    shares_left: int = NO_LIMIT,
) -> Decision:
    """The decision on these replies under the rules of `book`.

    `inputs` is what its method goes by, `shares_left` how many legs there is room for.
    """
    request = PingRequest(
        seller=seller,
        book=book,
        market_version=ping.market_version,
        currency=ping.currency,
        lead=ping.lead,
        deadline=Deadline.after_ms(0),
        min_price_micros=ping.min_price_micros,
        test=ping.test,
    )
    return decide_again(request, ping.ping_id, replies, inputs, shares_left)


def reply_of(outcome: OrderOutcome) -> Asked:
    """What an order had replied, from what became of it: a bid that was judged, or a refusal as it stands."""
    bids = [
        Bid(bid.gross_micros, bid.bid_id, bid.sale, bid.shares_max)
        for bid in outcome.bids
        if bid.reason not in OF_THAT_MOMENT and outcome.reason not in OF_THAT_MOMENT
    ]
    if not outcome.bids and outcome.reason in JUDGED and outcome.gross_micros is not None:
        bids = [Bid(outcome.gross_micros, outcome.bid_id)]
    if bids:
        return Asked(outcome.order, bids[0]._replace(others=tuple(bids[1:])), outcome.elapsed_ms)
    return Asked(outcome.order, Refusal(outcome.reason, outcome.detail, outcome.gross_micros), outcome.elapsed_ms)


def _winners(outcomes: Sequence[OrderOutcome]) -> tuple[str, ...]:
    return tuple(sorted(outcome.order for outcome in outcomes if outcome.reason is Reason.WON))


def _unlike(ping: RecordedPing, decision: Decision) -> Iterator[Difference]:
    """How a decision differs from the record: result, winners, payout, ladder, then order by order."""
    pairs = (
        ("the result", _reason(ping.reason), _reason(decision.reason)),
        ("the winner", ", ".join(_winners(ping.outcomes)), ", ".join(_winners(decision.outcomes))),
        ("the payout", _amount(ping.payout_micros), _amount(decision.payout_micros)),
        (
            "the ladder",
            " > ".join(f"{rung.order} {_amount(rung.gross_micros)}" for rung in ping.ladder),
            " > ".join(f"{rung.order} {_amount(rung.gross_micros)}" for rung in decision.ladder),
        ),
    )
    for what, recorded, again in pairs:
        if recorded != again:
            yield Difference(what, recorded or "none", again or "none")
    decided = {outcome.order: outcome.reason for outcome in decision.outcomes}
    for outcome in ping.outcomes:
        reason = decided.get(outcome.order)
        if reason is None:
            yield Difference(f"order {outcome.order}", _reason(outcome.reason), "not in the market version")
        elif reason is not outcome.reason:
            yield Difference(f"order {outcome.order}", _reason(outcome.reason), _reason(reason))


def _strangers(ping: RecordedPing, book: CampaignBook) -> Iterator[Difference]:
    """Orders that the filters let through now, though not then, and the other way round."""
    lead = book.with_ages(ping.lead, moment_of(ping.ping_id))
    askable = book.testable if ping.test else book.askable
    suited = {book.entries[index].key for index in bits(book.matcher.matching(lead) & askable)}
    recorded = {outcome.order for outcome in ping.outcomes}
    for order in sorted(suited - recorded):
        yield Difference(f"order {order}", "kept out by its filter", "let through by it")
    for order in sorted((recorded & book.by_key.keys()) - suited):
        yield Difference(f"order {order}", "let through by its filter", "kept out by it")


def _reason(reason: Reason | None) -> str:
    return "offered" if reason is None else f"{int(reason)} {reason.wire_name}"


def _amount(micros: int | None) -> str:
    return "" if micros is None else format_amount(micros)
