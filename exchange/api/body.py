"""A request's body: bounded, of the right type, and strict JSON; each failure is its own problem."""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from exchange.api.door import Arrival
from exchange.errors import FieldError, Problem

BODY_BYTES_MAX = 65_536
JSON_TYPE = "application/json"


async def read_json_object(arrival: Arrival) -> tuple[dict[str, Any], bytes]:
    """The JSON object of a request and its bytes. Raises Problem 413, 415, 400 or 422, checked in this order."""
    body = await arrival.body(BODY_BYTES_MAX)
    if body is None:
        raise Problem(413, "too_large", f"The body may have at most {BODY_BYTES_MAX} bytes.")
    content_type = arrival.header(b"content-type")
    if content_type != JSON_TYPE:
        _check_media_type(content_type or "")
    return parse_object(body), body


def parse_object(body: bytes) -> dict[str, Any]:
    """Reads one JSON object of texts that can be kept: NUL and lone surrogates are 422, all else wrong is 400."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _loads_surrogates(body)
        _refuse_bad_text(document)
        raise malformed() from None
    if b"\\u0000" in body:
        _refuse_bad_text(document)
    if not isinstance(document, dict):
        raise Problem(422, "invalid_request", "The body must be a JSON object.")
    return document


def _check_media_type(content_type: str) -> None:
    media_type, _, parameters = content_type.partition(";")
    charset = parameters.replace(" ", "").lower()
    if media_type.strip().lower() != JSON_TYPE or charset not in {"", "charset=utf-8", 'charset="utf-8"'}:
        raise Problem(415, "unsupported_media_type", f"Send the body as {JSON_TYPE}.")


def _loads_surrogates(body: bytes) -> Any:
    """A second, looser look at what orjson refused: only to tell a lone surrogate from malformed JSON."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise malformed() from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


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
    """Every text in a document, keys included, with where it stands. Depth is bounded by the JSON readers."""
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
