"""The native dialect: the exchange's own wire to buyers (contract, section 2)."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from exchange.buyers.dialects.said import (
    BIDS_MAX,
    NO_BID,
    NOT_ASKED,
    as_shared,
    best_of,
    is_bid_id,
    kept_text,
    redirect_url,
    unasked_status,
)
from exchange.buyers.dialects.wire import PLAIN_METHOD, Ping, Post, Read, Request
from exchange.buyers.exact_json import InexactJsonError, loads
from exchange.values.bid import Accepted, Bid, Delivery, NotSent, Refusal, Rejected, Reply, Unknown
from exchange.values.market import Sale
from exchange.values.money import MICROS_PER_CENT, floor_to_cent, format_amount, parse_amount
from exchange.values.reason import Reason
from exchange.values.vertical import Lead

CONTENT_TYPE = "application/json"
TIMEOUT_HEADER = "Exchange-Timeout-Ms"
"""Tells a buyer how many milliseconds he has."""

_USUAL_BID = re.compile(
    rb'\{"bid": ?("?)(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,6}))?\1(?:, ?"bid_id": ?"([ !#-\[\]-~]{1,255}+)")?\}'
)
"""What nearly every bid looks like: a plain price, as text or number, and perhaps a plain `bid_id`. Whatever differs
from it in the least is read by the exact parser, with the same meaning where it is only written differently.
"""
_new = tuple.__new__
"""Makes a named tuple in half the time that its name takes."""


def ping_body(
    *,
    ping_id: UUID,
    campaign: str,
    vertical: str,
    test: bool,
    currency: str,
    floor_micros: int,
    sale: Sale,
    lead: Lead,
) -> bytes:
    """The ping's bytes: the same for every order with the same visible fields and the same `sale`."""
    return orjson.dumps(
        {
            "ping_id": ping_id,
            "campaign": campaign,
            "vertical": vertical,
            "test": test,
            "currency": currency,
            "floor": format_amount(floor_micros),
            "sale": sale.value,
            "lead": dict(lead),
        }
    )


def ping_headers(order: str) -> dict[str, str]:
    """What differs from order to order, besides `TIMEOUT_HEADER`, which differs from ping to ping."""
    return {"Content-Type": CONTENT_TYPE, "Exchange-Order": order}


def read_bid(status: int, body: bytes, *, sale: Sale, currency: str) -> Reply:
    """What a buyer's answer to a ping means. `sale` and `currency` are what was asked for."""
    if status != 200:
        return unasked_status(status)
    usual = _USUAL_BID.fullmatch(body) if sale is not Sale.SHARED else None
    return _read_exactly(body, sale=sale, currency=currency) if usual is None else _read_usual(usual)


def bid_reader(*, sale: Sale, currency: str) -> Callable[[int, bytes], Reply]:
    """`read_bid` for all the answers to one ping. What is usual is a bid without `sale`, which is mostly exclusive."""
    if sale is Sale.SHARED:
        return partial(read_bid, sale=sale, currency=currency)
    match = _USUAL_BID.fullmatch

    def read(status: int, body: bytes) -> Reply:
        if status == 200 and (usual := match(body)) is not None:
            return _read_usual(usual)
        return read_bid(status, body, sale=sale, currency=currency)

    return read


def _read_usual(usual: re.Match[bytes]) -> Reply:
    _, whole, fraction, bid_id = usual.groups(b"")
    if len(fraction) == 2:
        micros = gross_micros = int(whole + fraction) * MICROS_PER_CENT
    else:
        micros = int(whole + fraction.ljust(6, b"0"))
        gross_micros = floor_to_cent(micros)
    return _new(Bid, (gross_micros, bid_id.decode() or None, Sale.EXCLUSIVE, None, ())) if micros else NO_BID


def _read_exactly(body: bytes, *, sale: Sale, currency: str) -> Reply:
    try:
        document = loads(body)
    except InexactJsonError as error:
        return Refusal(Reason.INVALID_RESPONSE, f"not JSON: {error}")
    if not isinstance(document, dict):
        return Refusal(Reason.INVALID_RESPONSE, "not a JSON object")
    if "bids" not in document:
        return _one_bid(document, document.get("currency"), sale=sale, currency=currency)
    bids = document["bids"]
    if not isinstance(bids, list) or len(bids) > BIDS_MAX or not all(isinstance(item, dict) for item in bids):
        return Refusal(Reason.INVALID_RESPONSE, f"`bids` is not a list of at most {BIDS_MAX} objects")
    replies = [
        _one_bid(item, item.get("currency", document.get("currency")), sale=sale, currency=currency) for item in bids
    ]
    return best_of(replies)


def post_body(
    *,
    attempt_id: UUID,
    ping_id: UUID,
    bid_id: str | None,
    order: str,
    campaign: str,
    test: bool,
    gross_micros: int,
    currency: str,
    sale: Sale,
    lead: Lead,
) -> bytes:
    """The post's bytes: the full lead for the order that may have it, at the price of its own bid."""
    return orjson.dumps(
        {
            "attempt_id": str(attempt_id),
            "ping_id": str(ping_id),
            "bid_id": bid_id,
            "order": order,
            "campaign": campaign,
            "test": test,
            "price": format_amount(gross_micros),
            "currency": currency,
            "sale": sale.value,
            "lead": dict(lead),
        }
    )


def post_headers(attempt_id: UUID) -> dict[str, str]:
    return {"Content-Type": CONTENT_TYPE, "Idempotency-Key": str(attempt_id)}


def read_delivery(status: int, body: bytes) -> Delivery:
    """What a buyer's answer to a post means: one of the three clear words in a 2xx, or unknown."""
    document = _document(status, body)
    if isinstance(document, Unknown):
        return document
    if not isinstance(document, dict):
        return Unknown("not a JSON object")
    match document.get("status"):
        case "accepted":
            return Accepted(kept_text(document.get("reference")), redirect_url(document.get("redirect_url")))
        case "rejected":
            return Rejected(Reason.REJECTED_BY_BUYER)
        case "duplicate":
            return Rejected(Reason.DUPLICATE_AT_BUYER)
    return Unknown("no status that the wire knows")


def status_query(attempt_id: UUID) -> str:
    """What is added to the URL where it is asked what became of an attempt."""
    return f"attempt_id={attempt_id}"


def read_status(status: int, body: bytes) -> Delivery:
    """What a buyer's answer to a status query means; `NotSent` is his word that he knows no such attempt."""
    document = _document(status, body)
    if isinstance(document, Unknown):
        return document
    match document.get("status") if isinstance(document, dict) else None:
        case "accepted":
            return Accepted(kept_text(document.get("reference")), redirect_url(document.get("redirect_url")))
        case "rejected":
            return Rejected(Reason.REJECTED_BY_BUYER)
        case "not_found":
            return NotSent("the buyer knows no such attempt")
    return Unknown("no status that the wire knows")


def _document(status: int, body: bytes) -> Any:
    """The JSON of a 2xx that is not an answer to a ping; `Unknown` for everything else."""
    if not 200 <= status < 300:
        return Unknown(f"HTTP {status}")
    try:
        return loads(body)
    except InexactJsonError as error:
        return Unknown(f"not JSON: {error}")


def _one_bid(document: Mapping[str, Any], quoted: Any, *, sale: Sale, currency: str) -> Reply:
    if "bid" not in document:
        return Refusal(Reason.INVALID_RESPONSE, "no `bid`")
    price = document["bid"]
    if price is None:
        return NO_BID
    micros = parse_amount(price) if isinstance(price, str) else None
    if micros is None:
        return Refusal(Reason.INVALID_PRICE, "`bid` is not an amount")
    if micros == 0:
        return NO_BID
    offered = document.get("sale", Sale.EXCLUSIVE if sale is Sale.EITHER else sale)
    if offered not in ((Sale.EXCLUSIVE, Sale.SHARED) if sale is Sale.EITHER else (sale,)):
        return Refusal(Reason.INVALID_RESPONSE, NOT_ASKED)
    gross_micros = floor_to_cent(micros)
    if quoted is not None and quoted != currency:
        return Refusal(Reason.WRONG_CURRENCY, gross_micros=gross_micros)
    bid_id = document.get("bid_id")
    if bid_id is not None and not is_bid_id(bid_id):
        return Refusal(Reason.INVALID_RESPONSE, "`bid_id` is not a text that can be kept")
    bid = Bid(gross_micros, None if bid_id is None else str(bid_id))
    return bid if offered == Sale.EXCLUSIVE else as_shared(bid, document.get("max_shares"))


class Native:
    """The native dialect as an endpoint speaks it; it has no terms of its own."""

    ping_method = post_method = PLAIN_METHOD
    status_method = "GET"

    def standing_headers(self, order: str) -> Mapping[str, str]:
        return ping_headers(order)

    def ping(self, ping: Ping) -> Request:
        return Request(
            ping_body(
                ping_id=ping.ping_id,
                campaign=ping.campaign,
                vertical=ping.vertical,
                test=ping.test,
                currency=ping.currency,
                floor_micros=ping.floor_micros,
                sale=ping.sale,
                lead=ping.lead,
            )
        )

    def bid_reader(self, *, sale: Sale, currency: str) -> Read:
        return bid_reader(sale=sale, currency=currency)

    def post(self, post: Post) -> Request:
        body = post_body(
            attempt_id=post.attempt_id,
            ping_id=post.ping_id,
            bid_id=post.bid_id,
            order=post.order,
            campaign=post.campaign,
            test=post.test,
            gross_micros=post.gross_micros,
            currency=post.currency,
            sale=post.sale,
            lead=post.lead,
        )
        return Request(body, headers=post_headers(post.attempt_id))

    def read_delivery(self, status: int, body: bytes, gross_micros: int) -> Delivery:  # noqa: ARG002  # none is repeated
        return read_delivery(status, body)

    def status(self, post: Post) -> Request:
        return Request(b"", status_query(post.attempt_id))

    def read_status(self, status: int, body: bytes, gross_micros: int) -> Delivery:  # noqa: ARG002  # none is repeated
        return read_status(status, body)


NATIVE = Native()
