"""Runs an auction again from its record and the market version that it was made under."""

from exchange.auction import Entrant, Terms, decide
from exchange.rules.book import CampaignBook, RuleBook
from exchange.rules.pricing import margin_for
from exchange.storage.pings import RecordedPing
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.market import Seller
from exchange.values.reason import Reason
from exchange.values.trace import OrderOutcome, PingStatus

_DECIDED = frozenset({Reason.WON, Reason.OUTBID, Reason.BELOW_MIN_PRICE, Reason.BELOW_FLOOR, Reason.ABOVE_MAX_BID})
"""What the auction makes of a bid, from the bid and the market alone. Balances and caps are not on record: what they
refused stays refused.
"""


def differences(ping: RecordedPing, rules: RuleBook) -> list[str]:
    """Where the decision that the record leads to differs from the one on record. A refused ping had no auction."""
    if ping.status is PingStatus.REFUSED:
        return []
    book, seller = rules.campaigns[ping.campaign], rules.market.sellers[ping.seller]
    entrants = [_entrant(outcome, book, seller) for outcome in ping.outcomes]
    terms = Terms(book.campaign.floor_micros, book.campaign.fallback, ping.min_price_micros)
    again = decide(entrants, terms, ping.ping_id)
    pairs = {
        "reason": (ping.reason, again.reason),
        "payout": (ping.payout_micros, again.payout_micros),
        "ladder": (ping.ladder, again.ladder),
        "reasons": tuple({item.order: item.reason for item in found} for found in (ping.outcomes, again.outcomes)),
    }
    return [
        f"replayed {name}: {after!r}, recorded {before!r}" for name, (before, after) in pairs.items() if before != after
    ]


def _entrant(outcome: OrderOutcome, book: CampaignBook, seller: Seller) -> Entrant:
    entry = book.by_key[outcome.order]
    if outcome.reason in _DECIDED and outcome.gross_micros is not None:
        reply: Bid | Refusal = Bid(outcome.gross_micros, outcome.bid_id)
    else:
        reply = Refusal(outcome.reason, outcome.detail, outcome.gross_micros)
    return Entrant(
        order=outcome.order,
        buyer=outcome.buyer,
        priority=entry.order.priority,
        max_bid_micros=entry.buyer.max_bid_micros,
        available_micros=None,
        margin=margin_for(book.campaign, seller, entry.buyer),
        asked=Asked(outcome.order, reply, outcome.elapsed_ms),
    )
