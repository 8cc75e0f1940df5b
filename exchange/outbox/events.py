"""What a seller is told of a post, as the body of a webhook."""

from datetime import datetime

import orjson

from exchange.carriers.documents import time_text
from exchange.storage.outbox import Item
from exchange.storage.sold import OwnNames
from exchange.values.money import format_amount
from exchange.values.reason import Reason


def post_event(item: Item, names: OwnNames) -> bytes:
    """The body of a webhook that tells a seller of a post: what was true when it happened, without contact data."""
    facts = item.facts
    micros, code = facts["price_micros"], facts.get("reason")
    reason = None if code in {None, Reason.ACCEPTED} else Reason(code)
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
        "reason": None if reason is None else {"code": int(reason), "name": reason.wire_name, "text": reason.text},
    }
    if item.event == "post.returned":
        data |= {"reason": facts["reason_text"], "leg": facts["leg"]}
    happened = datetime.fromisoformat(facts["at"])
    return orjson.dumps({"type": item.event, "timestamp": time_text(happened), "data": data})
