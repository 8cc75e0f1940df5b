"""What a post plans before it is claimed: the attempts that could be made, and how its answer will be made."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from exchange.answers import post_answer
from exchange.buyers.dialects.wire import Post
from exchange.rules.book import CampaignBook, OrderEntry
from exchange.rules.caps import AnyCap, caps_of_order
from exchange.rules.duplicates import window_days
from exchange.rules.ladder import open_rungs
from exchange.rules.legs import Leg, LegStatus
from exchange.storage.pings import RecordedPing
from exchange.storage.posts import NewPost, Plan, Result
from exchange.values.ids import moment_of, uuid7
from exchange.values.market import Seller
from exchange.values.reason import Reason
from exchange.values.trace import Rung
from exchange.values.vertical import Lead

LEASE_MARGIN_S = 30.0

Ladder = tuple[tuple[Plan, ...], dict[str, OrderEntry]]
"""The attempts that could be made, best first, and the order of each."""


def plans_of(
    ping: RecordedPing, book: CampaignBook, seller: Seller, now_s: float, is_shut: Callable[[OrderEntry], bool]
) -> Ladder:
    """The rungs of an offer that can still be taken at an instant (Unix time), as attempts.

    Those whose endpoint `is_shut` for posts cannot.

    Those of an exclusive one are numbered from 1. Those of a shared one keep the places that they were offered: the
    first are the winners of the legs, the others the reserve.
    """
    promised = ping.legs
    rungs = open_rungs(ping.ladder, 0 if promised else ping.payout_micros or 0, book, seller, now_s, is_shut)
    caps = _caps_by_order(ping, book, [entry for _, entry in rungs])
    if not promised:
        plans = tuple(_plan(rung, entry, caps[entry.key], ordinal) for ordinal, (rung, entry) in enumerate(rungs, 1))
    else:
        places = {rung.order: place for place, rung in enumerate(ping.ladder, 1)}
        plans = tuple(
            _plan(rung, entry, caps[entry.key], place, place if place <= len(promised) else 0)
            for place, rung, entry in [(places[rung.order], rung, entry) for rung, entry in rungs]
        )
    return plans, {rung.order: entry for rung, entry in rungs}


def render(post: NewPost, result: Result) -> bytes:
    """The seller's answer. Without a word about the legs of a shared post, each of them may still be bought."""
    if post.legs and not result.legs:
        waiting = [Leg(*leg, LegStatus.PENDING, Reason.UNKNOWN) for leg in enumerate(post.legs, 1)]
        result = replace(result, legs=tuple(waiting))
    return post_answer(post.post_id, post.ping_id, result, post.payout_micros, post.currency, post.changed)


def _caps_by_order(
    ping: RecordedPing, book: CampaignBook, entries: Sequence[OrderEntry]
) -> dict[str, tuple[AnyCap, ...]]:
    """What limits each order: of its sub-caps, those whose filters accept what the ping said of the lead."""
    sub_caps = book.sub_caps
    lead = ping.lead if sub_caps is None else book.with_ages(ping.lead, moment_of(ping.ping_id))
    return {
        entry.key: caps_of_order(
            entry.order,
            entry.buyer,
            () if sub_caps is None or not entry.order.sub_caps else sub_caps.names(lead, entry.key),
        )
        for entry in entries
    }


def _plan(rung: Rung, entry: OrderEntry, caps: tuple[AnyCap, ...], ordinal: int, leg: int = 0) -> Plan:
    return Plan(
        attempt_id=uuid7(),
        ordinal=ordinal,
        order=rung.order,
        buyer=rung.buyer,
        gross_micros=rung.gross_micros,
        bid_id=rung.bid_id,
        lease_s=entry.endpoint.post_timeout_ms / 1000 + LEASE_MARGIN_S,
        caps=caps,
        duplicate_days=window_days(entry.buyer),
        leg=leg,
    )


def delivered_post(post: NewPost, plan: Plan, lead: Lead) -> Post:
    """What a buyer is told of a lead that is delivered to him, whenever that is."""
    return Post(
        attempt_id=plan.attempt_id,
        ping_id=post.ping_id,
        bid_id=plan.bid_id,
        order=plan.order,
        campaign=post.campaign,
        test=post.test,
        gross_micros=plan.gross_micros,
        currency=post.currency,
        sale=plan.sale,
        lead=lead,
    )
