"""Sending what may be wrong, and reading the problem documents that come back."""

import json

import httpx

from support.market import Document
from support.world import World


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def send(
    world: World, path: str, content: object, media_type: str | None = "application/json", seller: str = "acme"
) -> httpx.Response:
    """Sends bytes as they are, and anything else as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = bearer(world.keys[seller]) | ({} if media_type is None else {"Content-Type": media_type})
    return await world.client.post(path, content=body, headers=headers)


def problem(answer: httpx.Response, status: int, code: str) -> Document:
    """The problem document, once it is certain that it is one."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: Document = answer.json()
    assert found.keys() - {"errors"} == {"type", "title", "status", "code", "detail"}
    assert found["status"] == status
    assert all(isinstance(found[name], str) for name in ("type", "title", "code", "detail"))
    for error in found.get("errors", [{"field": "", "code": "", "detail": ""}]):
        assert error.keys() == {"field", "code", "detail"}
        assert all(isinstance(value, str) for value in error.values())
    return found


def fields(found: Document) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in found["errors"]]
