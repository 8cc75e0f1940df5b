"""An explanation as a document: what the admin API answers, and what `exchange explain --json` prints."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from exchange.answers import rfc3339
from exchange.past.explanation import Explanation, OrderStory
from exchange.past.replay import Replay
from exchange.storage.history import AttemptHistory
from exchange.storage.posts import RecordedPost
from exchange.values.money import format_amount
from exchange.values.reason import Reason
from exchange.values.trace import BidOutcome, Inputs, Rung, Sums

Document = dict[str, Any]


def told(explanation: Explanation) -> Document:
    """The document; amounts are decimal strings, times RFC 3339 in UTC, ids texts."""
    ping = explanation.ping
    return {
        "ping_id": str(ping.ping_id),
        "pinged_at": _moment(explanation.pinged_at),
        "campaign": ping.campaign,
        "seller": ping.seller,
        "source": ping.source,
        "ref": ping.ref,
        "test": ping.test,
        "market_version": ping.market_version,
        "market_applied_at": _moment(explanation.applied_at),
        "status": ping.status.value,
        "reason": _reason(ping.reason),
        "currency": ping.currency,
        "min_price": _amount(ping.min_price_micros),
        "gross": _amount(explanation.gross_micros),
        "payout": _amount(explanation.payout_micros),
        "margin": _amount(explanation.margin_micros),
        "expires_at": _moment(ping.expires_at),
        "phases_ms": ping.phases_ms,
        "lead": dict(ping.lead),
        "orders": [_order(story) for story in explanation.orders],
        "methods": list(_methods(ping.inputs)),
        "ladder": [_rung(rung) for rung in ping.ladder],
        "legs": [{"leg": number, "price": format_amount(micros)} for number, micros in enumerate(ping.legs, 1)],
        "sums": _sums(ping.sums),
        "post": _post(explanation.post, explanation.attempts),
        "replay": _replay(explanation.replay),
        "notes": list(explanation.notes),
    }


def _rung(rung: Rung) -> Document:
    return {"order": rung.order, "buyer": rung.buyer, "gross": _amount(rung.gross_micros)}


def _methods(inputs: Inputs | None) -> Iterator[Document]:
    """The method that decided with what it went by, then the one that ranked the rest; none where bids say it all."""
    while inputs is not None:
        yield {"method": inputs.method.value, "measured": dict(inputs.values)}
        inputs = inputs.after


def _sums(sums: Sums | None) -> Document | None:
    """What both ways of selling would have brought; null for nobody."""
    if sums is None:
        return None
    return {"exclusive": _amount(sums.exclusive_micros), "shared": _amount(sums.shared_micros)}


def _bid(bid: BidOutcome) -> Document:
    facts = {"sale": bid.sale.value, "bid": _amount(bid.gross_micros), "bid_id": bid.bid_id}
    return facts | {"max_shares": bid.shares_max, "reason": _reason(bid.reason)}


def _order(story: OrderStory) -> Document:
    outcome = story.outcome
    return {
        "order": outcome.order,
        "buyer": outcome.buyer,
        "reason": _reason(outcome.reason),
        "detail": outcome.detail,
        "bid": _amount(outcome.gross_micros),
        "bid_id": outcome.bid_id,
        "elapsed_ms": outcome.elapsed_ms,
        "bids": [_bid(bid) for bid in outcome.bids],
        "rank": story.rank,
        "rung": story.rung,
        "priority": story.priority,
        "failed": [item._asdict() for item in story.failed],
    }


def _post(post: RecordedPost | None, attempts: tuple[AttemptHistory, ...]) -> Document | None:
    if post is None:
        return None
    returned = post.returned
    return {
        "post_id": str(post.post_id),
        "status": post.state.value,
        "reason": _reason(post.reason),
        "posted_at": _moment(post.created_at),
        "finished_at": _moment(post.finished_at),
        "returned": None
        if returned is None
        else {"at": _moment(returned.at), "price": _amount(returned.payout_micros)},
        "attempts": [_attempt(item) for item in attempts],
    }


def _attempt(item: AttemptHistory) -> Document:
    return {
        "attempt_id": str(item.attempt_id),
        "leg": item.leg or None,
        "order": item.order,
        "buyer": item.buyer,
        "state": item.state.value,
        "reason": _reason(item.reason),
        "detail": item.detail,
        "gross": _amount(item.gross_micros),
        "payout": _amount(item.payout_micros),
        "margin": _amount(item.gross_micros - item.payout_micros),
        "made_at": _moment(item.made_at),
        "resolved_at": _moment(item.resolved_at),
        "events": [{"at": _moment(event.at), "what": event.what, "note": event.note} for event in item.events],
    }


def _replay(found: Replay | None) -> Document | None:
    if found is None:
        return None
    return {
        "same": found.is_same,
        "winners": list(found.winners),
        "payout": _amount(found.payout_micros),
        "differences": [
            {"what": item.what, "recorded": item.recorded, "again": item.again} for item in found.differences
        ],
    }


def _reason(reason: Reason | None) -> Document | None:
    return None if reason is None else {"code": int(reason), "name": reason.wire_name, "text": reason.text}


def _amount(micros: int | None) -> str | None:
    return None if micros is None else format_amount(micros)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
