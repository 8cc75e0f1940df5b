"""A request's body: bounded, of the right type, and strict JSON; each failure is its own problem."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from exchange.api.door import Arrival
from exchange.errors import FieldError, Problem
from exchange.observe import metrics

BODY_BYTES_MAX = 65_536
JSON_TYPE = "application/json"
DEPTH_MAX = 64
INTEGER_DIGITS_MAX = 18


async def read_json_object(arrival: Arrival) -> tuple[dict[str, Any], bytes]:
    """The JSON object of a request and its bytes. Raises Problem 413, 415, 400 or 422, checked in this order."""
    body = await arrival.body(BODY_BYTES_MAX)
    if body is None:
        metrics.LIMITS_HIT.add(("body_bytes",))
        raise Problem(413, "too_large", f"The body may have at most {BODY_BYTES_MAX} bytes.")
    content_type = arrival.header(b"content-type")
    if content_type != JSON_TYPE:
        check_media_type(content_type or "")
    if arrival.header(b"content-encoding") not in {None, "identity"}:
        raise Problem(415, "unsupported_media_type", "Send the body as it is, without a Content-Encoding.")
    return parse_object(body), body


def parse_object(body: bytes) -> dict[str, Any]:
    """Reads one JSON object. Raises Problem 400 for what is not JSON, 422 for what cannot be kept or is no object."""
    try:
        document, is_odd = orjson.loads(body), b"\\u0000" in body
    except orjson.JSONDecodeError:
        document, is_odd = _loads_loosely(body), True
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX:
        _refuse_depth(document)
    if is_odd:
        _refuse_bad_text(document)
    if not isinstance(document, dict):
        raise Problem(422, "invalid_request", "The body must be a JSON object.")
    return document


def check_media_type(content_type: str, *known: str) -> str:
    """The type of a body, one of the known ones. Raises Problem 415 for another than these, and JSON, in UTF-8."""
    media_type, _, parameters = content_type.partition(";")
    found, charset = media_type.strip().lower(), parameters.replace(" ", "").lower()
    if found not in {JSON_TYPE, *known} or charset not in {"", "charset=utf-8", 'charset="utf-8"'}:
        raise Problem(415, "unsupported_media_type", f"Send the body as {' or '.join([JSON_TYPE, *known])}, in UTF-8.")
    return found


def _loads_loosely(body: bytes) -> Any:
    """A second look at what orjson refused: lone surrogates and numbers beyond a double are JSON all the same."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant, parse_int=_integer)
    except (ValueError, RecursionError):
        raise malformed() from None


def _integer(text: str) -> int | float:
    """As orjson reads it: what is longer than any field's value is no integer."""
    return int(text) if len(text) <= INTEGER_DIGITS_MAX else float(text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _refuse_depth(document: Any) -> None:
    """Raises Problem 422 where lists and objects stand deeper in one another than any lead needs."""
    level = [document]
    for _ in range(DEPTH_MAX):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise Problem(422, "invalid_request", f"The body is nested deeper than {DEPTH_MAX} levels.")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse_bad_text(document: Any) -> None:
    """Raises Problem 422 where any key or text holds NUL or half of a surrogate pair."""
    for path, text in _texts(document, ()):
        if "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text):
            continue
        in_lead = len(path) > 1 and path[0] == "lead"
        name = (path[1] if in_lead else path[0]) if path else ""
        error = FieldError(_shown(name), "invalid_text", "The text holds a NUL or half of a surrogate pair.")
        code = "invalid_lead" if in_lead else "invalid_request"
        raise Problem(422, code, "A text cannot be kept.", errors=[error])


def _texts(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in a document of bounded depth, keys included, with where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key
            yield from _texts(item, (*path, key))


def _shown(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name[:64])


def malformed() -> Problem:
    return Problem(400, "malformed_json", "The body is not valid JSON in UTF-8.")
