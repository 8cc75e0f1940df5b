"""A door: a plain ASGI endpoint between the socket and a function from a request to an answer.

Pings are too many for dependency injection and response models: a door reads two headers, one body, and writes bytes.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from exchange.api.problems import internal_error, problem_parts, unavailable
from exchange.errors import Problem, StorageUnavailable

ARRIVED_S = "exchange.arrived_s"
"""Where the server's protocol leaves the moment of a request's first byte, in the ASGI scope."""

_JSON_HEADERS = ((b"content-type", b"application/json"),)

log = structlog.get_logger(__name__)


class ClientGone(Exception):
    """The client hung up in the middle of its request: there is nobody to answer."""


class Arrival:
    """A request as it came in. `arrived_s` is the monotonic moment of its first byte, as near as is known."""

    __slots__ = ("_headers", "_receive", "arrived_s", "parameters", "path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.arrived_s: float = scope.get(ARRIVED_S) or time.monotonic()
        self.path: str = scope["path"]
        self.parameters: Mapping[str, Any] = scope.get("path_params", {})
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._receive = receive

    def header(self, name: bytes) -> str | None:
        """A header's value by its name in lower case; the first one where it stands more than once."""
        for found, value in self._headers:
            if found == name:
                return value.decode("latin-1")
        return None

    async def body(self, bytes_max: int) -> bytes | None:
        """The whole body, or None where it is larger than `bytes_max`; then the rest is not read.

        Raises ClientGone where the client hung up before the end: half a request is none, whatever it reads like.
        """
        declared = self.header(b"content-length") or "0"
        if not declared.isdecimal() or int(declared) > bytes_max:
            return None
        content = b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part: bytes = message.get("body", b"")
            content += part
            if len(content) > bytes_max:
                return None
            if not message.get("more_body", False):
                return content


Handler = Callable[[Arrival], Awaitable[bytes]]


class Door:
    """An ASGI endpoint that answers with its handler's JSON, or with the problem that the handler raised."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            content = await self._handler(Arrival(scope, receive))
        except ClientGone:
            return
        except Problem as problem:
            await _send(send, *problem_parts(problem))
        except StorageUnavailable as error:
            log.warning("storage_unavailable", path=scope["path"], error=str(error))
            await _send(send, *problem_parts(unavailable()))
        except Exception:
            log.exception("request_failed", path=scope["path"])
            await _send(send, *problem_parts(internal_error()))
        else:
            await _send(send, 200, _JSON_HEADERS, content)


class Front:
    """The application with its busiest doors in front: those are found by one look-up, all else goes the usual way."""

    def __init__(self, app: ASGIApp, doors: Mapping[str, Door]) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and (door := self._doors.get(scope["path"])):
            await door(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _send(send: Send, status: int, headers: tuple[tuple[bytes, bytes], ...], content: bytes) -> None:
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": content})
