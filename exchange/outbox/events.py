"""What a seller is told of a post, and a buyer of his bids, as the body of a webhook."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from exchange.carriers.documents import time_text
from exchange.storage.outbox import Item
from exchange.storage.sold import OwnNames, Sold
from exchange.values.money import format_amount
from exchange.values.reason import Reason


def post_event(item: Item, names: OwnNames) -> bytes:
    """The body of a webhook that tells a seller of a post: what was true when it happened, without contact data."""
    facts = item.facts
    micros, code = facts["price_micros"], facts.get("reason")
    reason = None if code in {None, Reason.ACCEPTED} else _reason(Reason(code))
    data = {
        "post_id": str(item.post_id),
        "ping_id": facts["ping_id"],
        "campaign": facts["campaign"],
        "source": names.source,
        "ref": names.ref,
        "test": facts["test"],
        "status": facts["status"],
        "price": None if micros is None else format_amount(micros),
        "currency": facts["currency"],
        "reason": reason,
    }
    if item.event == "post.returned":
        data |= {"reason": facts["reason_text"], "leg": facts["leg"]}
    happened = datetime.fromisoformat(facts["at"])
    return _event(item, happened, data)


def won_event(item: Item, sold: Sold) -> bytes:
    """The body of a notice of a bid that won; it names the attempt by which the buyer knows the lead."""
    post, plan = sold.post, sold.plan
    bid = {
        "attempt_id": str(plan.attempt_id),
        "ping_id": str(post.ping_id),
        "order": plan.order,
        "campaign": post.campaign,
        "test": post.test,
        "bid_id": plan.bid_id,
        "price": format_amount(plan.gross_micros),
        "currency": post.currency,
        "sale": plan.sale,
        "reference": sold.reference,
        "reason": _reason(Reason.PRESUMED_ACCEPTED) if sold.is_presumed else None,
    }
    return _event(item, sold.sold_at, {"bids": [bid]})


def lost_event(item: Item) -> bytes:
    """The body of a notice of bids that lost."""
    bids = [bid | {**_amounts(bid), "reason": _reason(Reason(bid["reason"]))} for bid in item.facts["bids"]]
    return _event(item, item.created_at, {"bids": bids})


def _amounts(bid: Mapping[str, Any]) -> dict[str, str | None]:
    amounts = {key: bid[key] for key in ("bid", "clearing_price")}
    return {key: None if micros is None else format_amount(micros) for key, micros in amounts.items()}


def _reason(reason: Reason) -> dict[str, object]:
    return {"code": int(reason), "name": reason.wire_name, "text": reason.text}


def _event(item: Item, happened: datetime, data: Mapping[str, object]) -> bytes:
    return orjson.dumps({"type": item.event, "timestamp": time_text(happened), "data": data})
