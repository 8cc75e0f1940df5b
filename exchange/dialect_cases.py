"""Recorded cases of a dialect: what must be sent for a lead, byte for byte, and what recorded answers must mean.

A case is pure: it opens no socket. It tells whether the mapping of an endpoint still says and hears what it should.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from exchange.buyers.dialects.wire import Ping, Post, Request, Unsendable
from exchange.values.bid import Accepted, Bid, Delivery, NotSent, Refusal, Rejected, Reply, Unknown
from exchange.values.market import Endpoint, Sale
from exchange.values.money import format_amount, parse_amount
from exchange.wires import Wire

PING_ID = UUID("01a204e4-74b3-72d5-9e75-1e91bc3eef55")
ATTEMPT_ID = UUID("01a204e4-75fc-72b0-8a11-5f0c7a2f7d10")
SIGNED_AT_S = 1_800_000_000.0
ORDER, CAMPAIGN, VERTICAL, CURRENCY = "north", "auto-us", "auto", "USD"

_KEYS = frozenset({"why", "ping", "post", "sends", "answers", "endpoint", "secrets"})
_GIVEN = {
    "ping": frozenset({"lead", "test", "sale", "floor"}),
    "post": frozenset({"lead", "test", "sale", "price", "bid_id"}),
}
_SENDS = frozenset({"method", "url", "headers", "body", "body_hex", "refused"})
_ANSWER = frozenset({"status", "body", "body_hex", "padding", "means"})


class CaseError(ValueError):
    """A case that cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case: `message` is ping or post, `given` what is told, `sends` and `answers` what must come of it."""

    why: str
    message: str
    given: Mapping[str, Any]
    sends: Mapping[str, Any] | None
    answers: tuple[Mapping[str, Any], ...]


def read_case(document: Mapping[str, Any]) -> Case:
    """A case as written. Raises CaseError."""
    _check_keys("", document, _KEYS)
    messages = [message for message in ("ping", "post") if message in document]
    if len(messages) != 1 or not isinstance(document.get("why"), str):
        raise CaseError("a case says why, and is either a ping or a post")
    [message] = messages
    given, sends, answers = document[message] or {}, document.get("sends"), document.get("answers") or []
    _check_keys(message, given, _GIVEN[message])
    if sends is not None:
        _check_keys("sends", sends, _SENDS)
    for answer in answers:
        _check_keys("answers", answer, _ANSWER)
        if "means" not in answer:
            raise CaseError("an answer without what it means")
    if sends is None and not answers:
        raise CaseError("a case that expects nothing")
    return Case(document["why"], message, given, sends, tuple(answers))


def differences(case: Case, endpoint: Endpoint, wire: Wire) -> list[str]:
    """Everything that is not as the case says; nothing where all is well."""
    return [*_sent(case, endpoint, wire), *_meant(case, wire)]


def meaning(found: Reply | Delivery) -> dict[str, Any]:
    """What an answer means, as cases write it."""
    match found:
        case Bid():
            return _present(
                {"bid": format_amount(found.gross_micros), "bid_id": found.bid_id, "sale": _sale(found.sale)}
            )
        case Refusal():
            return _present({"refused": found.reason.wire_name, "detail": found.detail})
        case Accepted():
            return {"accepted": True} | _present({"reference": found.reference, "redirect_url": found.redirect_url})
        case Rejected():
            return _present({"rejected": found.reason.wire_name, "detail": found.detail})
        case Unknown():
            return _present({"unknown": True, "detail": found.detail})
        case NotSent():
            return _present({"not_sent": True, "detail": found.detail})


def _sent(case: Case, endpoint: Endpoint, wire: Wire) -> Iterator[str]:
    expected = case.sends
    if expected is None:
        return
    dialect = wire.dialect
    try:
        request = dialect.ping(_ping(case.given)) if case.message == "ping" else dialect.post(_post(case.given))
    except Unsendable as error:
        if expected.get("refused") != str(error):
            yield f"nothing is sent: {error}"
        return
    if "refused" in expected:
        yield "sends what it should not"
    if case.message == "ping":
        method, url, standing = dialect.ping_method, endpoint.ping_url or "", dialect.standing_headers(ORDER)
    else:
        method, url, standing = dialect.post_method, endpoint.post_url, {}
    called = wire.url(url, request)
    headers = {**standing, **request.headers, **wire.headers_of(method, called, request.body, SIGNED_AT_S)}
    yield from _compared(expected, method, called, headers, request)


def _compared(
    expected: Mapping[str, Any], method: str, url: str, headers: Mapping[str, str], request: Request
) -> Iterator[str]:
    wanted = _bytes(expected)
    if wanted is not None and request.body != wanted:
        yield f"sends the body {request.body!r}, not {wanted!r}"
    if "method" in expected and expected["method"] != method:
        yield f"sends by {method}, not {expected['method']}"
    if "url" in expected and expected["url"] != url:
        yield f"calls {url}, not {expected['url']}"
    for name, text in (expected.get("headers") or {}).items():
        if headers.get(name) != text:
            yield f"sends the header {name}: {headers.get(name)}, not {text}"


def _meant(case: Case, wire: Wire) -> Iterator[str]:
    for number, answer in enumerate(case.answers, 1):
        status, body = answer.get("status", 200), (_bytes(answer) or b"") + b" " * answer.get("padding", 0)
        found: Reply | Delivery
        if case.message == "ping":
            found = wire.dialect.bid_reader(sale=Sale(case.given.get("sale", "exclusive")), currency=CURRENCY)(
                status, body
            )
        else:
            found = wire.dialect.read_delivery(status, body)
        told, wanted = meaning(found), _wanted(answer["means"])
        if {key: told.get(key) for key in wanted} != wanted or not set(told) - {"detail"} <= set(wanted) | {"sale"}:
            yield f"answer {number} means {told}, not {wanted}"


def _wanted(means: object) -> dict[str, Any]:
    """`accepted` and `unknown` in a word; amounts as they are written anywhere."""
    found = {means: True} if isinstance(means, str) else dict(means) if isinstance(means, Mapping) else {}
    if "bid" in found:
        found["bid"] = format_amount(_amount(found["bid"]))
    return found


def _ping(given: Mapping[str, Any]) -> Ping:
    return Ping(
        ping_id=PING_ID,
        order=ORDER,
        campaign=CAMPAIGN,
        vertical=VERTICAL,
        test=given.get("test", False),
        currency=CURRENCY,
        floor_micros=_amount(given.get("floor", "5.00")),
        sale=Sale(given.get("sale", "exclusive")),
        lead=given.get("lead") or {},
    )


def _post(given: Mapping[str, Any]) -> Post:
    return Post(
        attempt_id=ATTEMPT_ID,
        ping_id=PING_ID,
        bid_id=given.get("bid_id"),
        order=ORDER,
        campaign=CAMPAIGN,
        test=given.get("test", False),
        gross_micros=_amount(given.get("price", "21.00")),
        currency=CURRENCY,
        sale=Sale(given.get("sale", "exclusive")),
        lead=given.get("lead") or {},
    )


def _amount(value: object) -> int:
    micros = parse_amount(str(value))
    if micros is None:
        raise CaseError(f"{value!r} is not an amount")
    return micros


def _bytes(said: Mapping[str, Any]) -> bytes | None:
    """A body by its characters, or by its bytes in hexadecimal."""
    if "body_hex" in said:
        return bytes.fromhex(said["body_hex"])
    return said["body"].encode() if "body" in said else None


def _sale(sale: Sale) -> str | None:
    return None if sale is Sale.EXCLUSIVE else sale.value


def _present(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value not in (None, "")}


def _check_keys(where: str, found: object, known: frozenset[str]) -> None:
    if not isinstance(found, Mapping):
        raise CaseError(f"{where or 'a case'} is no mapping")
    if unknown := set(found) - known:
        raise CaseError(f"unknown key {min(unknown)!r}{' in ' + where if where else ''}")
