"""Recorded pings for tests that look back: auctions among five orders, decided and written down as in the exchange."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from exchange.marketfile.reader import read
from exchange.past.recall import rules_of
from exchange.past.replay import run_again
from exchange.rules.book import RuleBook
from exchange.storage.pings import RecordedPing, just_made, recorded, row_of
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.ids import uuid7
from exchange.values.reason import Reason
from exchange.values.trace import Inputs, Offer, OrderOutcome, PingStatus, PingTrace
from exchange.values.vertical import Lead
from support.market import market

NAMES = ("ann", "bob", "cid", "dan", "eve")
READ_LEAD: Lead = {"zip": "60601", "state": "IL", "age": 41, "credit": "good"}
ORDERS: dict[str, Any] = {
    "bob": {"priority": 2},
    "old": {"buyer": "ann", "campaign": "auto-us", "filter": {"age": {"min": 60}, "credit": "good"}},
    "far": {"buyer": "bob", "campaign": "auto-us", "filter": {"state": ["WI", "MN"]}},
}


def rules(**campaign: Any) -> RuleBook:
    document = market(dict.fromkeys(NAMES, "http://127.0.0.1:9"), orders=ORDERS, **campaign)
    document["buyers"]["cid"]["max_bid"] = "30.00"
    return rules_of(read(document), 1)


def ping_of(
    book: RuleBook,
    replies: Mapping[str, Bid | Refusal],
    min_price_micros: int | None = None,
    inputs: Inputs | None = None,
) -> RecordedPing:
    """The ping that these replies make, as it lies in Postgres; orders without a reply were kept out as capped.

    `inputs` are what the campaign's method goes by.
    """
    campaign, seller, ping_id = book.campaigns["auto-us"], book.market.sellers["acme"], uuid7()
    trace = PingTrace(
        ping_id, "acme", "auto-us", 1, "USD", False, None, None, min_price_micros, READ_LEAD,
        PingStatus.UNSOLD, Reason.NO_BIDS, None, (), {"ask": 1.0, "decide": 0.1}, inputs,
    )  # fmt: skip
    asked = [(campaign.by_key[order], Asked(order, reply, 5.0)) for order, reply in replies.items()]
    decision = run_again(recorded(trace), campaign, seller, asked, inputs=inputs)
    offer = None
    if decision.payout_micros is not None:
        offer = Offer(decision.payout_micros, datetime.now(UTC) + timedelta(minutes=1), decision.ladder)
    kept_out = tuple(OrderOutcome(name, name, Reason.CAPPED) for name in NAMES if name not in replies)
    trace = trace._replace(
        status=PingStatus.OFFERED if offer else PingStatus.UNSOLD,
        reason=decision.reason,
        offer=offer,
        rows=decision.rows + kept_out,
        inputs=decision.inputs,
    )
    return just_made(row_of(trace))
