"""How the admin API's endpoints stand in the OpenAPI document: summaries, statuses, and bodies read by hand."""

from typing import Any

from fastapi import Response

Options = dict[str, Any]

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_MEANINGS = {
    400: "The body is not JSON.",
    401: "No key that holds.",
    403: "The key is no operator's.",
    404: "There is no such ping, version or entry, buyer or endpoint, or no market yet.",
    412: "Another version is in force than the one in If-Match.",
    413: "The body is larger than 16 MiB.",
    415: "The body is not application/json; of a whole market neither application/yaml.",
    422: "The request or the market has errors, all of them listed.",
    500: "The exchange failed.",
    503: "Postgres does not answer.",
}
_ANY = (401, 403, 404, 422, 500, 503)
_BODY = (400, 413, 415)
_MARKET: Options = {"type": "object", "description": "A market file as JSON."}
_MARKET_TEXT: Options = {"type": "string", "description": "A market file as it is."}
_ENTRY: Options = {"type": "object", "description": "One entry, as it stands in the market file."}
_ROLLBACK: Options = {
    "type": "object",
    "additionalProperties": False,
    "required": ["to"],
    "properties": {"to": {"type": "integer", "minimum": 1}, "note": {"type": "string", "maxLength": 500}},
}


def reading(summary: str) -> Options:
    """A route that changes nothing."""
    return _route("GET", summary, _ANY)


def reading_market(summary: str) -> Options:
    """The route that shows the market, as JSON or YAML."""
    found = _route("GET", summary, _ANY)
    content = {"application/json": {"schema": _MARKET}, "application/yaml": {"schema": _MARKET_TEXT}}
    found["responses"] = {200: {"description": "The market.", "content": content}} | found["responses"]
    return found | {"response_class": Response}


def replacing(summary: str) -> Options:
    """A route that takes a whole market, as JSON or YAML."""
    found = _route("PUT", summary, (*_ANY, *_BODY, 412), _MARKET)
    found["openapi_extra"]["requestBody"]["content"]["application/yaml"] = {"schema": _MARKET_TEXT}
    return found


def putting(summary: str) -> Options:
    """A route that takes one entry."""
    return _route("PUT", summary, (*_ANY, *_BODY, 412), _ENTRY)


def deleting(summary: str) -> Options:
    """A route that takes an entry away."""
    return _route("DELETE", summary, (*_ANY, 412))


def returning(summary: str) -> Options:
    """The route that goes back to an old version."""
    return _route("POST", summary, (*_ANY, *_BODY, 412), _ROLLBACK)


def resetting(summary: str) -> Options:
    """A route that does something, without a body."""
    return _route("POST", summary, _ANY)


def _route(method: str, summary: str, statuses: tuple[int, ...], body: Options | None = None) -> Options:
    responses = {status: {"description": _MEANINGS[status], "content": _PROBLEM} for status in sorted(statuses)}
    found: Options = {"methods": [method], "summary": summary, "responses": responses}
    if body is not None:
        content = {"application/json": {"schema": body}}
        found["openapi_extra"] = {"requestBody": {"required": True, "content": content}}
    return found
