"""What sellers are told: the JSON of pings and posts, made from records by pure functions (contract, section 1)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from exchange.rules.legs import Leg, LegStatus
from exchange.storage.pings import RecordedPing
from exchange.storage.posts import PostState, RecordedPost, Result, Returned
from exchange.storage.queue_list import Listed
from exchange.values.money import format_amount
from exchange.values.reason import Reason
from exchange.values.trace import PingStatus, PingTrace, legs_of

Document = dict[str, Any]

QUEUED = "queued"


def ping_answer(trace: PingTrace, offer_ttl_s: int, ignored: Sequence[str]) -> bytes:
    """The answer to a ping. `ignored` names the lead fields that were dropped at the door."""
    document: Document = {"ping_id": trace.ping_id, "status": trace.status.value}
    if trace.offer is not None:
        document |= _price(trace.offer.payout_micros, trace.currency)
        if legs := legs_of(trace.offer.ladder):
            document |= _offered_legs(legs)
        document["expires_in"], document["expires_at"] = offer_ttl_s, rfc3339(trace.offer.expires_at)
    if trace.reason is not None:
        document |= _reason(trace.reason)
    document["ignored"] = ignored
    return orjson.dumps(document)


def ping_state(ping: RecordedPing, now: datetime) -> Document:
    """What is true of a ping now."""
    document: Document = {"ping_id": str(ping.ping_id), "status": ping.status.value, "campaign": ping.campaign}
    if ping.payout_micros is None or ping.expires_at is None:
        return document | _reason(ping.reason)
    document |= _price(ping.payout_micros, ping.currency) | {"expires_at": rfc3339(ping.expires_at)}
    if ping.legs:
        document |= _offered_legs(ping.legs)
    if ping.post_id is not None:
        return document | {"status": "posted", "post_id": str(ping.post_id)}
    return document | {"status": "expired" if ping.expires_at <= now else PingStatus.OFFERED.value}


def post_answer(
    post_id: UUID | None, ping_id: UUID, result: Result, payout_micros: int, currency: str, changed: Sequence[str]
) -> bytes:
    """The answer to a post, also to `/v1/leads`, where `post_id` is None if its ping found no buyer."""
    document: Document = _ids(post_id, ping_id) | {"status": result.state.value}
    if result.legs:
        document |= _shared(result, currency)
    elif result.state is PostState.ACCEPTED:
        document |= {"price": format_amount(payout_micros), "currency": currency, "shares": 1}
        document |= {"redirect_url": result.redirect_url}
    else:
        document |= _reason(result.reason)
    return orjson.dumps(document | {"changed_fields": list(changed)})


def queued_answer(post_id: UUID, ping_id: UUID, reason: Reason, until: datetime) -> bytes:
    """The answer to a lead that waits for a buyer: why it was not sold at once, and how long it waits at most."""
    document = _ids(post_id, ping_id) | {"status": QUEUED} | _reason(reason) | {"queued_until": rfc3339(until)}
    return orjson.dumps(document | {"changed_fields": []})


def queued_state(lead: Listed) -> Document:
    """What is true now of a lead that waits for a buyer, or waited in vain."""
    document = _ids(lead.post_id, lead.ping_id)
    if lead.is_over:
        return document | {"status": PostState.REJECTED.value} | _reason(lead.reason)
    return document | {"status": QUEUED} | _reason(lead.reason) | {"queued_until": rfc3339(lead.ends_at)}


def post_state(post: RecordedPost) -> Document:
    """What is true of a post now."""
    document: Document = _ids(post.post_id, post.ping_id) | {"status": post.state.value}
    if post.legs and post.state is not PostState.IN_PROGRESS:
        result = Result(post.state, post.reason or Reason.UNKNOWN, post.redirect_url, post.legs)
        return document | _shared(result, post.currency) | _returned(post.returned)
    match post.state:
        case PostState.ACCEPTED:
            document |= {"price": format_amount(post.payout_micros), "currency": post.currency, "shares": 1}
            document |= {"redirect_url": post.redirect_url}
            if post.reason is Reason.PRESUMED_ACCEPTED:
                document |= _reason(post.reason)  # a buyer's clear word may still correct it
            return document | _returned(post.returned)
        case PostState.IN_PROGRESS:
            return document
        case _:
            return document | _reason(post.reason)


def _shared(result: Result, currency: str) -> Document:
    """What a post of several legs has come to: its price is the sum of those that were accepted."""
    document: Document = {}
    sold = [leg for leg in result.legs if leg.status is LegStatus.ACCEPTED]
    if sold or result.state is PostState.PENDING:
        price = format_amount(sum(leg.payout_micros for leg in sold))
        document |= {"price": price, "currency": currency, "shares": len(sold)}
    if result.state is PostState.ACCEPTED:
        document |= {"redirect_url": result.redirect_url}
    if result.reason is not Reason.ACCEPTED:
        document |= _reason(result.reason)
    return document | {"legs": [_leg(leg) for leg in result.legs]}


def _leg(leg: Leg) -> Document:
    reason = None if leg.reason is Reason.ACCEPTED else reason_document(leg.reason)
    price = format_amount(leg.payout_micros)
    return {"leg": leg.number, "price": price, "status": leg.status.value, "reason": reason}


def _offered_legs(promised: Sequence[int]) -> Document:
    """How a shared offer differs from an exclusive one."""
    legs = [{"leg": number, "price": format_amount(micros)} for number, micros in enumerate(promised, 1)]
    return {"sale": "shared", "shares": len(legs), "legs": legs}


def rfc3339(moment: datetime) -> str:
    """A time in UTC to the millisecond, as `2026-11-22T19:45:54.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def reason_document(reason: Reason) -> Document:
    return {"code": int(reason), "name": reason.wire_name, "text": reason.text}


def _reason(reason: Reason | None) -> Document:
    return {} if reason is None else {"reason": reason_document(reason)}


def _returned(returned: Returned | None) -> Document:
    if returned is None:
        return {}
    return {"returned": {"at": rfc3339(returned.at), "price": format_amount(returned.payout_micros)}}


def _price(payout_micros: int, currency: str) -> Document:
    return {"price": format_amount(payout_micros), "currency": currency, "sale": "exclusive", "shares": 1}


def _ids(post_id: UUID | None, ping_id: UUID) -> Document:
    return {"post_id": None if post_id is None else str(post_id), "ping_id": str(ping_id)}
