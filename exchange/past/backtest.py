"""Past pings under other rules: their recorded bids, filtered, limited and decided as a new market would have it.

What an order that was not asked would have bid, nobody knows: it counts as unknown, and as no bid. Caps, budgets,
balances, duplicates and time are not lived through again: whom they kept out then stays out. Nor is it known whether a
seller would have posted, or a buyer taken the lead: a ping that ends in an offer counts as sold. Turns are taken
anew, from nothing, as the new rules have it; what each order's acceptance was is known where it was written down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exchange.auction import Decision, Terms, buyers_among
from exchange.past.replay import reply_of, run_again
from exchange.ping import fixed_reply
from exchange.rules.book import CampaignBook, OrderEntry, RuleBook
from exchange.rules.consent import all_given
from exchange.rules.ranking import Ranking, inputs_of
from exchange.rules.routing import route
from exchange.rules.turns import Turns
from exchange.storage.pings import RecordedPing
from exchange.terms import terms_of
from exchange.values.bid import Asked, Bid
from exchange.values.ids import moment_of
from exchange.values.market import Sale, Seller
from exchange.values.reason import Reason
from exchange.values.selling import Method
from exchange.values.trace import Inputs, OrderOutcome, PingStatus, Rung, sold_first
from exchange.values.vertical import Lead

BY_RULE = frozenset(map(Reason, (201, 202, 206, 212, 213, 214, 215)))
"""Reasons of the rules alone: filter, schedule, pause, seller, consent, tier, selection.

New rules may ask such an order, and then nobody knows its bid."""


@dataclass(slots=True)
class Sum:
    """What was sold: how many leads, and their money in micro-units; gross = payout + margin."""

    sold: int = 0
    gross_micros: int = 0
    payout_micros: int = 0

    @property
    def margin_micros(self) -> int:
        return self.gross_micros - self.payout_micros

    def add(self, gross_micros: int, payout_micros: int) -> None:
        self.sold += 1
        self.gross_micros += gross_micros
        self.payout_micros += payout_micros


@dataclass(slots=True)
class Both:
    """The same under the old rules, as recorded, and under the new ones."""

    old: Sum = field(default_factory=Sum)
    new: Sum = field(default_factory=Sum)


@dataclass(slots=True)
class Tally:
    """What has been counted: pings, sums over all and over those that were posted then, and by buyer and seller.

    `unknown` are orders that the new rules ask and that have no recorded reply, or none for what is sold now (the lead
    alone, or a share of it), on `pings_unknown` pings. `outside`
    are pings that the new market does not take: their campaign or seller is not in it.
    """

    pings: int = 0
    refused: int = 0
    outside: int = 0
    unknown: int = 0
    pings_unknown: int = 0
    all: Both = field(default_factory=Both)
    posted: Both = field(default_factory=Both)
    buyers: dict[str, Both] = field(default_factory=dict)
    sellers: dict[str, Both] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sold:
    """How an auction ended: who pays how much, by buyer, and what the seller is promised."""

    buyers: tuple[tuple[str, int], ...]
    payout_micros: int


class Backtest:
    """Counts pings one by one, under the rules that held and under new ones. Tests are left out."""

    def __init__(self, rules: RuleBook) -> None:
        self.tally = Tally()
        self._rules = rules
        self._turns = Turns()

    def add(self, ping: RecordedPing) -> None:
        """Counts one more ping."""
        if ping.test:
            return
        self.tally.pings += 1
        if ping.status is PingStatus.REFUSED:
            self.tally.refused += 1
            return
        old = _sold(ping.ladder, ping.payout_micros)
        if old is not None:
            self._count(ping, old, is_new=False)
        new = self._again(ping)
        if new is not None:
            self._count(ping, new, is_new=True)

    def _again(self, ping: RecordedPing) -> Sold | None:
        book = self._rules.campaigns.get(ping.campaign)
        seller = self._rules.market.sellers.get(ping.seller)
        if book is None or seller is None or ping.campaign not in seller.campaigns:
            self.tally.outside += 1
            return None
        if not all_given(ping.lead, book.campaign.consent):
            return None
        lead = book.with_ages(ping.lead, moment_of(ping.ping_id))
        terms = terms_of(book, seller, lead, ping.min_price_micros)
        replies = self._replies(ping, book, seller, lead, terms)
        ranking = terms.ranking and terms.ranking.going_by(self._turns.credits, _acceptance(ping.inputs))
        decision = run_again(ping, book, seller, replies, inputs=None if ranking is None else inputs_of(ranking))
        if ranking is not None and ranking.takes_turns:
            self._take_turn(decision, ranking, terms)
        return _sold(decision.ladder, decision.payout_micros)

    def _take_turn(self, decision: Decision, ranking: Ranking, terms: Terms) -> None:
        if decision.ladder:
            could = [entrant.order for entrant in buyers_among(decision.found.entrants, terms)]
            self._turns.offered(could, ranking.weights, decision.ladder[0].order)

    def _replies(
        self, ping: RecordedPing, book: CampaignBook, seller: Seller, lead: Lead, terms: Terms
    ) -> list[tuple[OrderEntry, Asked]]:
        """What is known of the orders that the new rules would ask."""
        recorded = {outcome.order: outcome for outcome in ping.outcomes}
        replies, unknown = [], 0
        now_s = moment_of(ping.ping_id).timestamp()
        prices = {} if book.selling is None else book.selling.prices_for(lead)
        for entry in route(book, lead, seller, {}, floor_micros=terms.floor_micros, now_s=now_s).asked:
            outcome = recorded.get(entry.key)
            if entry.key in prices:
                replies.append((entry, fixed_reply(entry, prices[entry.key])))
            elif outcome is None or outcome.reason in BY_RULE or outcome.buyer != entry.buyer.key:
                unknown += 1
            else:
                said, is_all = _said(outcome, entry.sale or Sale.EXCLUSIVE, asked_alone=ping.sums is None)
                replies += [] if said is None else [(entry, said)]
                unknown += not is_all
        self.tally.unknown += unknown
        self.tally.pings_unknown += unknown > 0
        return replies

    def _count(self, ping: RecordedPing, sold: Sold, *, is_new: bool) -> None:
        gross_micros = sum(gross for _, gross in sold.buyers)
        places = [self.tally.all, self.tally.sellers.setdefault(ping.seller, Both())]
        if ping.post_id is not None:
            places.append(self.tally.posted)
        for place in places:
            (place.new if is_new else place.old).add(gross_micros, sold.payout_micros)
        for buyer, gross in sold.buyers:
            place = self.tally.buyers.setdefault(buyer, Both())
            (place.new if is_new else place.old).add(gross, 0)


_FITTING = {
    Sale.EXCLUSIVE: frozenset({Sale.EXCLUSIVE}),
    Sale.SHARED: frozenset({Sale.SHARED}),
    Sale.EITHER: frozenset({Sale.EXCLUSIVE, Sale.SHARED}),
}
"""The bids that are for what an order is asked for."""


def _said(outcome: OrderOutcome, sale: Sale, *, asked_alone: bool) -> tuple[Asked | None, bool]:
    """What an order has said of the lead as it would be sold now, None for nothing, and whether that is all it would.

    Who was `asked_alone`, for the lead and not for a share of it, may have had another answer to the other question.
    """
    asked = reply_of(outcome)
    is_asked_more = asked_alone and sale is not Sale.EXCLUSIVE
    if not isinstance(asked.reply, Bid):
        return asked, not (is_asked_more and outcome.reason is Reason.NO_BID)
    bids = [bid for bid in (asked.reply, *asked.reply.others) if bid.sale in _FITTING[sale]]
    if not bids:
        return None, False
    return asked._replace(reply=bids[0]._replace(others=tuple(bids[1:]))), not is_asked_more


def _acceptance(inputs: Inputs | None) -> Mapping[str, int]:
    """What the orders' acceptance was, where a method went by it."""
    while inputs is not None:
        if inputs.method is Method.PERFORMANCE:
            return inputs.values
        inputs = inputs.after
    return {}


def _sold(ladder: tuple[Rung, ...], payout_micros: int | None) -> Sold | None:
    if payout_micros is None:
        return None
    return Sold(tuple((rung.buyer, rung.gross_micros) for rung in sold_first(ladder)), payout_micros)
