"""Reads the exchange's answers to a seller as the contract words them; anything else is a fault, never an exception."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from exchange.simulation import tally
from exchange.simulation.tally import Fault, PingTold, PostTold, TurnedAway
from exchange.values.money import parse_amount
from exchange.values.reason import Reason

PROBLEM_CODES: Mapping[int, frozenset[str]] = {
    400: frozenset({"malformed_http", "malformed_json"}),
    401: frozenset({"unauthorized"}),
    403: frozenset({"forbidden"}),
    404: frozenset({"not_found", "unknown_campaign", "unknown_ping", "unknown_post"}),
    405: frozenset({"method_not_allowed"}),
    408: frozenset({"request_timeout"}),
    409: frozenset({"already_posted", "in_progress", "not_offered"}),
    410: frozenset({"offer_expired"}),
    413: frozenset({"too_large"}),
    415: frozenset({"unsupported_media_type"}),
    422: frozenset({"invalid_lead", "invalid_request", "idempotency_key_reused"}),
    429: frozenset({"rate_limited"}),
    431: frozenset({"head_too_large"}),
    500: frozenset({"internal_error"}),
    503: frozenset({"unavailable", "overloaded"}),
}
REASONS: Mapping[str, frozenset[Reason]] = {
    tally.UNSOLD: frozenset({Reason.NO_ELIGIBLE_ORDERS, Reason.NO_BIDS, Reason.BELOW_MIN_PRICE}),
    tally.REFUSED: frozenset({Reason.DUPLICATE, Reason.SUPPRESSED, Reason.CONSENT_MISSING, Reason.SELLER_CAPPED}),
    tally.REJECTED: frozenset(
        {
            Reason.REJECTED_BY_BUYER,
            Reason.DUPLICATE_AT_BUYER,
            Reason.NOT_SENT,
            Reason.OFFER_WITHDRAWN,
            Reason.PRESUMED_REJECTED,
        }
    ),
    tally.PENDING: frozenset({Reason.UNKNOWN}),
}
RETRY_AFTER = frozenset({"rate_limited", "overloaded"})  # these say when to come again


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer and what it answers."""

    seller: str
    path: str
    http_status: int
    media_type: str
    retry_after: str | None
    body: bytes
    elapsed_ms: float
    ping_id: str | None = None


class _Malformed(Exception):
    """The answer is not what the contract says; the text says how."""


def read_ping_answer(answer: Answer, campaign: str, min_price_micros: int | None) -> PingTold | TurnedAway | Fault:
    """What `POST /v1/ping` was told."""
    try:
        if answer.http_status != 200:
            return _turned_away(answer)
        document = _document(answer, "application/json")
        status = _one_of(document, "status", (tally.OFFERED, tally.UNSOLD, tally.REFUSED))
        offered = status == tally.OFFERED
        if offered:
            _check_offer(document)
        return PingTold(
            seller=answer.seller,
            campaign=campaign,
            ping_id=_identifier(document, "ping_id"),
            status=status,
            price_micros=_price(document) if offered else None,
            reason=None if offered else _reason(document, status),
            min_price_micros=min_price_micros,
            elapsed_ms=answer.elapsed_ms,
        )
    except _Malformed as malformed:
        return _fault(answer, str(malformed))


def read_post_answer(answer: Answer) -> PostTold | TurnedAway | Fault:
    """What `POST /v1/post` was told."""
    try:
        if answer.http_status != 200:
            return _turned_away(answer)
        document = _document(answer, "application/json")
        status = _one_of(document, "status", (tally.ACCEPTED, tally.REJECTED, tally.PENDING))
        accepted = status == tally.ACCEPTED
        return PostTold(
            seller=answer.seller,
            post_id=_identifier(document, "post_id"),
            ping_id=_one_of(document, "ping_id", (answer.ping_id or "",)),
            status=status,
            price_micros=_price(document) if accepted else None,
            reason=None if accepted else _reason(document, status),
            elapsed_ms=answer.elapsed_ms,
        )
    except _Malformed as malformed:
        return _fault(answer, str(malformed))


def _turned_away(answer: Answer) -> TurnedAway:
    codes = PROBLEM_CODES.get(answer.http_status)
    if codes is None:
        raise _Malformed(f"HTTP {answer.http_status} is not in the contract")
    code = _one_of(_document(answer, "application/problem+json"), "code", tuple(sorted(codes)))
    if code in RETRY_AFTER and not (answer.retry_after or "").isdecimal():
        raise _Malformed(f"{code} without Retry-After")
    return TurnedAway(answer.seller, answer.path, answer.http_status, code, answer.ping_id)


def _fault(answer: Answer, what: str) -> Fault:
    detail = f"HTTP {answer.http_status}: {what}"
    return Fault(answer.seller, answer.path, detail, answered=True, ping_id=answer.ping_id)


def _document(answer: Answer, media_type: str) -> Mapping[str, Any]:
    if answer.media_type.partition(";")[0].strip().lower() != media_type:
        raise _Malformed(f"the media type is not {media_type}")
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise _Malformed("the body is not JSON") from None
    if not isinstance(document, dict):
        raise _Malformed("the body is not an object")
    return document


def _check_offer(document: Mapping[str, Any]) -> None:
    legs = document.get("legs", [])
    if document.get("sale") == "shared" and isinstance(legs, list) and legs:
        _check_legs(legs, document)
    elif legs or document.get("sale") != "exclusive" or document.get("shares") != 1:
        raise _Malformed("sale or shares are not those of an exclusive offer")
    if not isinstance(document.get("expires_in"), int) or not isinstance(document.get("expires_at"), str):
        raise _Malformed("expires_in or expires_at is missing")


def _check_legs(legs: list[Any], document: Mapping[str, Any]) -> None:
    """The legs of a shared offer are numbered, and their prices add up to the offer's."""
    if document.get("shares") != len(legs) or not all(isinstance(leg, dict) for leg in legs):
        raise _Malformed("shares is not the number of legs")
    if [leg.get("leg") for leg in legs] != list(range(1, len(legs) + 1)):
        raise _Malformed("the legs are not numbered from 1")
    if sum(_price({"currency": "USD"} | leg) for leg in legs) != _price(document):
        raise _Malformed("the legs do not add up to the price")


def _one_of(document: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = document.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise _Malformed(f"{name} is not one of {', '.join(allowed)}")
    return value


def _identifier(document: Mapping[str, Any], name: str) -> str:
    """A UUIDv7 in its usual spelling."""
    value = document.get(name)
    try:
        identifier = UUID(value if isinstance(value, str) else "")
    except ValueError:
        raise _Malformed(f"{name} is not a UUID") from None
    if identifier.version != 7 or str(identifier) != value:
        raise _Malformed(f"{name} is not a UUIDv7 in lower case with hyphens")
    return str(identifier)


def _price(document: Mapping[str, Any]) -> int:
    text = document.get("price")
    micros = parse_amount(text) if isinstance(text, str) else None
    if micros is None or document.get("currency") != "USD":
        raise _Malformed("price or currency is not an amount")
    return micros


def _reason(document: Mapping[str, Any], status: str) -> Reason:
    said = document.get("reason")
    if not isinstance(said, dict) or not isinstance(said.get("text"), str):
        raise _Malformed("reason is missing or without text")
    for reason in REASONS[status]:
        if (reason.value, reason.wire_name) == (said.get("code"), said.get("name")):
            return reason
    raise _Malformed(f"reason is none of those for {status}")
