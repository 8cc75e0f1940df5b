"""The shape of sellers' requests, checked by hand: it is on the way of every ping, and all errors are told at once."""

import json
import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from exchange.errors import FieldError, Problem
from exchange.values.money import parse_amount

TEXT_LENGTH_MAX = 255
TIMEOUT_MS_MIN = 50
UNKNOWN_KEYS_MAX = 50
"""Unknown keys that are named in an answer: it would be many times as large as its request."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)

Check = Callable[[Any], str | None]
"""Says what is wrong with a value, or None."""


class LeadOffer(NamedTuple):
    """The body of `/v1/ping` or `/v1/leads`, as sent but for the amount; `lead` is not looked into yet."""

    campaign: str
    lead: Mapping[str, Any]
    source: str | None
    ref: str | None
    min_price_micros: int | None
    timeout_ms: int | None
    test: bool
    identity_hashes: Mapping[str, str]


class PostBody(NamedTuple):
    """The body of `/v1/post`."""

    ping_id: str
    lead: Mapping[str, Any]


def read_ping(document: dict[str, Any], body: bytes) -> LeadOffer:
    """The body of a ping. Raises Problem 422 with every error."""
    return _lead_offer(document, body, _PING)


def read_lead(document: dict[str, Any], body: bytes) -> LeadOffer:
    """The body of `/v1/leads`. Raises Problem 422 with every error."""
    return _lead_offer(document, body, _LEAD)


def read_post(document: dict[str, Any]) -> PostBody:
    """The body of a post. Raises Problem 422 with every error."""
    _check(document, _POST)
    return PostBody(document["ping_id"], document["lead"])


def _lead_offer(document: dict[str, Any], body: bytes, checks: Mapping[str, Check]) -> LeadOffer:
    if isinstance(document.get("min_price"), float):
        document["min_price"] = _number_text(body)  # never through a binary float
    _check(document, checks)
    min_price = document.get("min_price")
    return LeadOffer(
        campaign=document["campaign"],
        lead=document["lead"],
        source=document.get("source"),
        ref=document.get("ref"),
        min_price_micros=None if min_price is None else parse_amount(str(min_price)),
        timeout_ms=document.get("timeout_ms"),
        test=document.get("test") or False,
        identity_hashes=document.get("identity_hashes") or {},
    )


def _number_text(body: bytes) -> str:
    """The text of the amount in a body that has been read before: of a key that is repeated the last one holds."""
    return str(json.loads(body, parse_float=str, parse_int=str)["min_price"])


def _check(document: dict[str, Any], checks: Mapping[str, Check]) -> None:
    errors = []
    for name, check in checks.items():
        value = document.get(name)
        if value is None and name not in _REQUIRED:
            continue
        if name not in document:
            errors.append(FieldError(name, "required", f"`{name}` is missing."))
        elif (wrong := check(value)) is not None:
            errors.append(FieldError(name, "wrong_type", wrong))
    if not document.keys() <= checks.keys():
        known = f"Known here: {', '.join(checks)}."
        unknown = (name for name in document if name not in checks)
        errors.extend(FieldError(name[:64], "unknown_key", known) for name in islice(unknown, UNKNOWN_KEYS_MAX))
    if errors:
        raise Problem(422, "invalid_request", "The request has another shape.", errors=errors)


def _name(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "A text is needed."


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= TEXT_LENGTH_MAX):
        return None
    return f"A text of at most {TEXT_LENGTH_MAX} characters is needed."


def _flag(value: Any) -> str | None:
    return None if value is None or isinstance(value, bool) else "true or false is needed."


def _object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "An object is needed."


def _amount(value: Any) -> str | None:
    is_amount = isinstance(value, str | int) and not isinstance(value, bool) and parse_amount(str(value)) is not None
    if value is None or is_amount:
        return None
    return 'An amount such as "5.00" is needed: up to 12 digits before the point and 6 after it.'


def _timeout(value: Any) -> str | None:
    if value is None:
        return None
    whole = isinstance(value, int) and not isinstance(value, bool)
    return None if whole and value >= TIMEOUT_MS_MIN else f"A whole number from {TIMEOUT_MS_MIN}."


def _hashes(value: Any) -> str | None:
    if value is None:
        return None
    good = isinstance(value, dict) and all(isinstance(item, str) and _SHA256.fullmatch(item) for item in value.values())
    return None if good else "An object of SHA-256 hashes in hexadecimal is needed."


_REQUIRED = frozenset({"campaign", "lead", "ping_id"})
_LEAD: Mapping[str, Check] = {
    "campaign": _name, "source": _text, "ref": _text, "min_price": _amount, "test": _flag, "lead": _object,
}  # fmt: skip
_PING: Mapping[str, Check] = {**_LEAD, "timeout_ms": _timeout, "identity_hashes": _hashes}
_POST: Mapping[str, Check] = {"ping_id": _name, "lead": _object}
