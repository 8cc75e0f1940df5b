"""Recorded cases of a dialect: what must be sent for a lead, byte for byte, and what recorded answers must mean.

A case is pure: it opens no socket. It tells whether the mapping of an endpoint still says and hears what it should.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from exchange.buyers.dialects.wire import Ping, Post, Unsendable
from exchange.values.bid import Accepted, Bid, Delivery, NotSent, Refusal, Rejected, Reply, Unknown
from exchange.values.market import Endpoint, Sale
from exchange.values.money import format_amount, parse_amount
from exchange.wires import Wire, Written

PING_ID = UUID("01a204e4-74b3-72d5-9e75-1e91bc3eef55")
ATTEMPT_ID = UUID("01a204e4-75fc-72b0-8a11-5f0c7a2f7d10")
SIGNED_AT_S = 1_800_000_000.0
ORDER, CAMPAIGN, VERTICAL, CURRENCY = "north", "auto-us", "auto", "USD"

PADDING_MAX = 16_777_216
"""The most blanks after an answer: more than any answer that is read."""

_MESSAGES = ("ping", "post", "status")
_KEYS = frozenset({"why", *_MESSAGES, "sends", "answers", "endpoint", "secrets"})
_GIVEN = {
    "ping": frozenset({"lead", "test", "sale", "currency", "floor"}),
    "post": frozenset({"lead", "test", "sale", "currency", "price", "bid_id"}),
    "status": frozenset({"test", "sale", "currency", "price", "bid_id"}),
}
_SENDS = frozenset({"method", "url", "headers", "body", "body_hex", "refused"})
_ANSWER = frozenset({"status", "body", "body_hex", "padding", "means"})


class CaseError(ValueError):
    """A case that cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case: `message` is ping, post or status, `given` what is told, `sends` and `answers` what must come of it."""

    why: str
    message: str
    given: Mapping[str, Any]
    sends: Mapping[str, Any] | None
    answers: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as a case says: `what` it is of, what the case expects there, and what was made."""

    what: str
    expected: str
    made: str

    def __str__(self) -> str:
        return f"{self.what} {self.made}, not {self.expected}"


def read_case(document: Mapping[str, Any]) -> Case:
    """A case as written. Raises CaseError."""
    _check_keys("", document, _KEYS)
    messages = [message for message in _MESSAGES if message in document]
    if len(messages) != 1 or not isinstance(document.get("why"), str):
        raise CaseError("a case says why, and is either a ping or a post, or asks for the status of one")
    [message] = messages
    given, sends, answers = document[message] or {}, document.get("sends"), document.get("answers") or []
    _check_keys(message, given, _GIVEN[message])
    _check_given(message, given)
    if sends is not None:
        _check_keys("sends", sends, _SENDS)
        _check_text("sends", sends)
    if not isinstance(answers, list):
        raise CaseError("answers is no list")
    for answer in answers:
        _check_answer(answer)
    if sends is None and not answers:
        raise CaseError("a case that expects nothing")
    return Case(document["why"], message, given, sends, tuple(answers))


def differences(case: Case, endpoint: Endpoint, wire: Wire) -> list[str]:
    """Everything that is not as the case says, in a line each; nothing where all is well."""
    return [str(item) for item in compared(case, endpoint, wire)]


def compared(case: Case, endpoint: Endpoint, wire: Wire) -> list[Difference]:
    """Everything that is not as the case says. Raises CaseError for an amount that is none."""
    return [*_sent(case, endpoint, wire), *_meant(case, wire)]


def request_of(case: Case, endpoint: Endpoint, wire: Wire) -> Written:
    """What is sent for a case. Raises Unsendable."""
    if case.message == "ping":
        return wire.written_ping(endpoint, _ping(case.given), SIGNED_AT_S)
    if case.message == "status":
        return wire.written_status(endpoint, _post(case.given), SIGNED_AT_S)
    return wire.written_post(endpoint, _post(case.given), SIGNED_AT_S)


def heard(case: Case, wire: Wire, status: int, body: bytes) -> Reply | Delivery:
    """What an answer to a case's request means."""
    if case.message == "post":
        return wire.dialect.read_delivery(status, body, _post(case.given).gross_micros)
    if case.message == "status":
        return wire.dialect.read_status(status, body, _post(case.given).gross_micros)
    sale, currency = Sale(case.given.get("sale", "exclusive")), case.given.get("currency", CURRENCY)
    return wire.dialect.bid_reader(sale=sale, currency=currency)(status, body)


def meaning(found: Reply | Delivery) -> dict[str, Any]:
    """What an answer means, as cases write it."""
    match found:
        case Bid():
            others = [meaning(other) for other in found.others]
            return _bid(found) | ({"others": others} if others else {})
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


def _bid(found: Bid) -> dict[str, Any]:
    price, sale = format_amount(found.gross_micros), None if found.sale is Sale.EXCLUSIVE else found.sale.value
    return _present({"bid": price, "bid_id": found.bid_id, "sale": sale, "max_shares": found.shares_max})


def _sent(case: Case, endpoint: Endpoint, wire: Wire) -> Iterator[Difference]:
    expected = case.sends
    if expected is None:
        return
    refused = expected.get("refused")
    try:
        written = request_of(case, endpoint, wire)
    except Unsendable as error:
        if refused != str(error):
            yield Difference("nothing is sent:", "a request" if refused is None else str(refused), str(error))
        return
    if refused is not None:
        yield Difference("sends what it should not:", f"nothing, because of {refused}", "a request")
    yield from _differing(expected, written)


def _differing(expected: Mapping[str, Any], written: Written) -> Iterator[Difference]:
    wanted = _bytes(expected)
    if wanted is not None and written.body != wanted:
        yield Difference("sends the body", repr(wanted)[1:], repr(written.body)[1:])
    if "method" in expected and expected["method"] != written.method:
        yield Difference("sends by", expected["method"], written.method)
    if "url" in expected and expected["url"] != written.url:
        yield Difference("calls", expected["url"], written.url)
    for name, text in (expected.get("headers") or {}).items():
        if written.headers.get(name) != text:
            yield Difference(f"sends the header {name}:", str(text), str(written.headers.get(name)))


def _meant(case: Case, wire: Wire) -> Iterator[Difference]:
    for number, answer in enumerate(case.answers, 1):
        status, body = answer.get("status", 200), (_bytes(answer) or b"") + b" " * answer.get("padding", 0)
        told, wanted = meaning(heard(case, wire, status, body)), _wanted(answer["means"])
        if {key: told.get(key) for key in wanted} != wanted or not set(told) - {"detail"} <= set(wanted) | {"sale"}:
            yield Difference(f"answer {number} means", str(wanted), str(told))


def _wanted(means: object) -> dict[str, Any]:
    """`accepted` and `unknown` in a word; amounts as they are written anywhere."""
    if isinstance(means, str):
        return {means: True}
    found = dict(means) if isinstance(means, Mapping) else {}
    if "bid" in found:
        found["bid"] = format_amount(_amount(found["bid"]))
    others = found.get("others")
    if isinstance(others, list):
        found["others"] = [_wanted(other) for other in others]
    return found


def _ping(given: Mapping[str, Any]) -> Ping:
    return Ping(
        ping_id=PING_ID,
        order=ORDER,
        campaign=CAMPAIGN,
        vertical=VERTICAL,
        test=given.get("test", False),
        currency=given.get("currency", CURRENCY),
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
        currency=given.get("currency", CURRENCY),
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


def _present(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value not in (None, "")}


def _check_keys(where: str, found: object, known: frozenset[str]) -> None:
    if not isinstance(found, Mapping):
        raise CaseError(f"{where or 'a case'} is no mapping")
    if unknown := set(found) - known:
        raise CaseError(f"unknown key {min(unknown)!r}{' in ' + where if where else ''}")


def _check_given(message: str, given: Mapping[str, Any]) -> None:
    if not isinstance(given.get("lead") or {}, Mapping):
        raise CaseError(f"lead in {message} is no mapping")
    if given.get("sale", "exclusive") not in ("exclusive", "shared", "either"):
        raise CaseError(f"sale in {message} is exclusive, shared or either")
    for key in ("floor", "price"):
        if key in given:
            _amount(given[key])


def _check_answer(answer: Any) -> None:
    _check_keys("answers", answer, _ANSWER)
    if "means" not in answer:
        raise CaseError("an answer without what it means")
    if not isinstance(answer["means"], str | Mapping):
        raise CaseError("means is neither a word nor a mapping")
    _check_text("answers", answer)
    for key, most in (("status", 999), ("padding", PADDING_MAX)):
        if type(answer.get(key, 0)) is not int or not 0 <= answer.get(key, 0) <= most:
            raise CaseError(f"{key} in answers is a whole number up to {most}")


def _check_text(where: str, found: Mapping[str, Any]) -> None:
    if not isinstance(found.get("headers") or {}, Mapping):
        raise CaseError(f"headers in {where} is no mapping")
    if not isinstance(found.get("body", ""), str):
        raise CaseError(f"body in {where} is no text: put it in quotes")
    try:
        bytes.fromhex(found.get("body_hex", ""))
    except (TypeError, ValueError):
        raise CaseError(f"body_hex in {where} is no text of hexadecimal digits") from None
