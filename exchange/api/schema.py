"""The OpenAPI document of the hot doors, which read their bodies by hand: written here, checked by the tests."""

from typing import Any

Schema = dict[str, Any]

_AMOUNT: Schema = {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,6})?$", "examples": ["17.85"]}
_TEXT: Schema = {"type": ["string", "null"], "maxLength": 255}
_ID: Schema = {"type": "string", "format": "uuid"}
_LEAD: Schema = {
    "type": "object",
    "description": "Field values by field name, as the campaign's vertical defines them.",
}
_REASON: Schema = {
    "type": "object",
    "properties": {"code": {"type": "integer"}, "name": {"type": "string"}, "text": {"type": "string"}},
    "required": ["code", "name", "text"],
}
_OFFERED_LEGS: Schema = {
    "type": "array",
    "description": "Of a shared offer: what each leg is promised; `price` is their sum.",
    "items": {
        "type": "object",
        "required": ["leg", "price"],
        "properties": {"leg": {"type": "integer", "minimum": 1}, "price": _AMOUNT},
    },
}
_POSTED_LEGS: Schema = {
    "type": "array",
    "description": "Of a shared post: what each leg has come to; `price` is the sum of the accepted ones.",
    "items": {
        "type": "object",
        "required": ["leg", "price", "status", "reason"],
        "properties": {
            "leg": {"type": "integer", "minimum": 1},
            "price": _AMOUNT,
            "status": {"enum": ["accepted", "rejected", "pending"]},
            "reason": {"oneOf": [_REASON, {"type": "null"}]},
        },
    },
}
_QUEUED_UNTIL: Schema = {
    "type": "string",
    "format": "date-time",
    "description": "Of a lead that waits for a buyer: when it is rejected at the latest.",
}
_OFFERED: Schema = {
    "campaign": {"type": "string"},
    "source": _TEXT | {"description": "The seller's own sub-id."},
    "ref": _TEXT | {"description": "The seller's own reference."},
    "min_price": {"oneOf": [_AMOUNT, {"type": "number", "minimum": 0}, {"type": "null"}]},
    "test": {"type": ["boolean", "null"]},
    "lead": _LEAD,
}

SCHEMAS: dict[str, Schema] = {
    "Ping": {
        "type": "object",
        "additionalProperties": False,
        "required": ["campaign", "lead"],
        "properties": _OFFERED
        | {
            "timeout_ms": {"type": ["integer", "null"], "minimum": 50},
            "identity_hashes": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
            },
        },
    },
    "PingAnswer": {
        "type": "object",
        "required": ["ping_id", "status", "ignored"],
        "properties": {
            "ping_id": _ID,
            "status": {"enum": ["offered", "unsold", "refused"]},
            "price": _AMOUNT,
            "currency": {"type": "string"},
            "sale": {"enum": ["exclusive", "shared"]},
            "shares": {"type": "integer"},
            "legs": _OFFERED_LEGS,
            "expires_in": {"type": "integer", "description": "Seconds."},
            "expires_at": {"type": "string", "format": "date-time"},
            "reason": _REASON,
            "ignored": {"type": "array", "items": {"type": "string"}},
        },
    },
    "Post": {
        "type": "object",
        "additionalProperties": False,
        "required": ["ping_id", "lead"],
        "properties": {"ping_id": _ID, "lead": _LEAD},
    },
    "Lead": {
        "type": "object",
        "additionalProperties": False,
        "required": ["campaign", "lead"],
        "properties": _OFFERED,
    },
    "PostAnswer": {
        "type": "object",
        "required": ["post_id", "ping_id", "status"],
        "properties": {
            "post_id": {"oneOf": [_ID, {"type": "null"}]},
            "ping_id": _ID,
            "status": {"enum": ["accepted", "rejected", "pending", "queued"]},
            "price": _AMOUNT,
            "currency": {"type": "string"},
            "shares": {"type": "integer"},
            "legs": _POSTED_LEGS,
            "redirect_url": {"type": ["string", "null"]},
            "reason": _REASON,
            "queued_until": _QUEUED_UNTIL,
            "changed_fields": {"type": "array", "items": {"type": "string"}},
        },
    },
    "PingState": {
        "type": "object",
        "required": ["ping_id", "status", "campaign"],
        "properties": {
            "ping_id": _ID,
            "status": {"enum": ["offered", "expired", "posted", "unsold", "refused"]},
            "campaign": {"type": "string"},
            "post_id": _ID,
            "price": _AMOUNT,
            "currency": {"type": "string"},
            "sale": {"enum": ["exclusive", "shared"]},
            "shares": {"type": "integer"},
            "legs": _OFFERED_LEGS,
            "expires_at": {"type": "string", "format": "date-time"},
            "reason": _REASON,
        },
    },
    "PostState": {
        "type": "object",
        "required": ["post_id", "ping_id", "status"],
        "properties": {
            "post_id": _ID,
            "ping_id": _ID,
            "status": {"enum": ["in_progress", "accepted", "rejected", "pending", "queued"]},
            "price": _AMOUNT,
            "currency": {"type": "string"},
            "shares": {"type": "integer"},
            "legs": _POSTED_LEGS,
            "redirect_url": {"type": ["string", "null"]},
            "reason": _REASON,
            "queued_until": _QUEUED_UNTIL,
            "returned": {
                "type": "object",
                "required": ["at", "price"],
                "properties": {"at": {"type": "string", "format": "date-time"}, "price": _AMOUNT},
            },
        },
    },
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "code", "detail"],
                    "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
                },
            },
        },
    },
}

_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_MEANINGS = {
    400: "The body is not JSON.",
    401: "No key that holds.",
    403: "The campaign is not open to this seller.",
    404: "Unknown campaign, ping or post.",
    409: "The ping was posted before, is being posted, or had no offer.",
    410: "The offer has expired.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not application/json.",
    422: "The request or the lead has errors, all of them listed.",
    429: "Too many requests.",
    500: "The exchange failed; nothing was sold.",
    503: "The exchange cannot record anything at the moment; nothing was sold.",
}
_KEY_HEADER: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}

PATHS: Schema = {}


def _link(operation: str, description: str, **parameters: str) -> Schema:
    """What may be asked next, with the ids of this answer by their names in the next request."""
    return {"operationId": operation, "description": description, "parameters": parameters}


_PING_ID, _POST_ID = "$response.body#/ping_id", "$response.body#/post_id"
_TO_PING = _link("readPing", "What has become of the ping.", ping_id=_PING_ID)
_TO_POST = _link("readPost", "What has become of the post, where there is one.", post_id=_POST_ID)
_LINKS: dict[str, Schema] = {
    "ping": {
        "post": {
            "operationId": "post",
            "description": "The full lead, against the offer.",
            "requestBody": {"ping_id": _PING_ID},
        },
        "readPing": _TO_PING,
    },
    "post": {"readPost": _TO_POST, "readPing": _TO_PING},
    "postLead": {"readPost": _TO_POST, "readPing": _TO_PING},
    "readPing": {"readPost": _TO_POST},
    "readPost": {"readPing": _TO_PING},
}
"""From each answer to the next requests. A post takes its `ping_id` of the ping's answer; the lead is the seller's."""


def _door(
    path: str, method: str, name: str, summary: str, answer: str, body: str | None, problems: tuple[int, ...]
) -> None:
    """Adds one operation to the document."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer}"}}}
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "tags": ["sellers"],
        "security": [{"key": []}],
        "responses": {"200": {"description": "The answer.", "content": content, "links": _LINKS[name]}}
        | {str(status): {"description": _MEANINGS[status], **_PROBLEM} for status in problems},
    }
    if body is not None:
        schema = {"schema": {"$ref": f"#/components/schemas/{body}"}}
        operation["requestBody"] = {"required": True, "content": {"application/json": schema}}
    if body in {"Post", "Lead"}:
        operation["parameters"] = [_KEY_HEADER]
    if "{" in path:
        parameter = path.partition("{")[2].partition("}")[0]
        operation["parameters"] = [{"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}]
    PATHS[path] = {method: operation}


_WRITING = (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)
_door("/v1/ping", "post", "ping", "Offer a lead without contact data", "PingAnswer", "Ping", _WRITING)
_door("/v1/post", "post", "post", "Post the full lead against an offer", "PostAnswer", "Post", (*_WRITING, 409, 410))
_door("/v1/leads", "post", "postLead", "Ping and post in one call", "PostAnswer", "Lead", (*_WRITING, 409))
_door(
    "/v1/pings/{ping_id}", "get", "readPing", "What is true of a ping now", "PingState", None, (401, 403, 404, 500, 503)
)
_door(
    "/v1/posts/{post_id}", "get", "readPost", "What is true of a post now", "PostState", None, (401, 403, 404, 500, 503)
)


def document(base: Schema) -> Schema:
    """The whole OpenAPI document: what FastAPI knows, and the doors it does not see into."""
    components = base.setdefault("components", {})
    components.setdefault("schemas", {}).update(SCHEMAS)
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    base.setdefault("paths", {}).update(PATHS)
    return base
