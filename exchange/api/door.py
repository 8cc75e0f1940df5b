"""A door: a plain ASGI endpoint between the socket and a function from a request to an answer.

Pings are too many for dependency injection and response models: a door reads two headers, one body, and writes bytes.
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from starlette.types import Receive, Scope, Send

from exchange.api.problems import Prepared, internal_error, problem_parts, unavailable
from exchange.errors import NothingKnown, Problem, StorageUnavailable

ARRIVED_S = "exchange.arrived_s"
"""Where the server's protocol leaves the moment of a request's first byte, in the ASGI scope."""

SAY_EVERY_S = 1.0
"""How often the log says of a door that Postgres is away."""

_JSON_HEADERS = ((b"content-type", b"application/json"),)

log = structlog.get_logger(__name__)


class ClientGone(Exception):
    """The client hung up in the middle of its request: there is nobody to answer."""


class Arrival:
    """A request as it came in. `arrived_s` is the monotonic moment of its first byte, as near as is known.

    Its body is `content`, or is still to be received. `inside` says as whose request it was let
    in, where its door has an entrance, and `has_waited` whether it had to wait there.
    """

    __slots__ = ("_content", "_headers", "_receive", "arrived_s", "has_waited", "inside", "parameters", "path")

    def __init__(
        self,
        path: str,
        headers: Sequence[tuple[bytes, bytes]],
        arrived_s: float,
        *,
        content: bytes = b"",
        receive: Receive | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.arrived_s = arrived_s
        self.inside: str | None = None
        self.has_waited = False
        self.parameters = parameters or {}
        self._headers = headers
        self._content = content
        self._receive = receive

    @property
    def is_whole(self) -> bool:
        """Whether it came with its body: whoever brought it here holds its connection, and can hang up."""
        return self._receive is None

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
        if self._receive is None:
            return self._content if len(self._content) <= bytes_max else None
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


class Comer(Protocol):
    """A request at the entrance of a door. `since_s` is when it began to wait there, 0 where it did not.

    `seller` is whom the entrance takes it for.
    """

    bearer: str
    seller: str
    since_s: float

    def go(self) -> bool:
        """Goes in; false where its client is gone."""

    def refuse(self, refusal: Prepared) -> None:
        """Is refused after it has waited."""


class WayIn(Protocol):
    """Where requests come in that go straight to their door."""

    def turn_away(self, door: str, bearer: str, now_s: float) -> Prepared | None:
        """What refuses a request with this key, where that is sure before anything is made of it; it is counted."""

    def enter(self, comer: Comer) -> Prepared | None:
        """Lets a request in or has it wait, and returns nothing; or returns what refuses it."""


Handler = Callable[[Arrival], Awaitable[bytes]]
Headers = tuple[tuple[bytes, bytes], ...]
Answer = tuple[int, Headers, bytes]
"""Status, headers without the content's length, and content."""


class Door:
    """An ASGI endpoint that answers with its handler's JSON, or with the problem that the handler raised.

    The log has its name and never the path of a request: whoever mistakes an address for an id writes it there.
    """

    def __init__(self, handler: Handler, entrance: WayIn | None = None) -> None:
        """`entrance` is asked for requests that come straight here; the handler has to ask for the others."""
        self._handler = handler
        self.name = handler.__name__
        self.entrance = entrance
        self._unavailable_said_s = -math.inf
        self._unavailable = 0
        """How many were told so since it was last said in the log."""

    async def answer(self, arrival: Arrival) -> Answer | None:
        """The answer to a request; None where its client is gone, or nothing can be said: then it is hung up."""
        try:
            return 200, _JSON_HEADERS, await self._handler(arrival)
        except ClientGone:
            return None
        except Problem as problem:
            return problem_parts(problem, self.name)
        except NothingKnown as error:
            log.warning("not_answered", name=self.name, error=str(error))
            return None if arrival.is_whole else problem_parts(unavailable(), self.name)
        except StorageUnavailable as error:
            self._say_unavailable(error)
            return problem_parts(unavailable(), self.name)
        except Exception:
            log.exception("request_failed", name=self.name)
            return problem_parts(internal_error(), self.name)

    def _say_unavailable(self, error: StorageUnavailable) -> None:
        """Logs it, but not for each of the thousands of requests a second that may come meanwhile."""
        self._unavailable += 1
        now_s = time.monotonic()
        if now_s - self._unavailable_said_s >= SAY_EVERY_S:
            log.warning("storage_unavailable", name=self.name, count=self._unavailable, error=str(error))
            self._unavailable_said_s, self._unavailable = now_s, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived_s = scope.get(ARRIVED_S) or time.monotonic()
        parameters = scope.get("path_params")
        arrival = Arrival(scope["path"], scope["headers"], arrived_s, receive=receive, parameters=parameters)
        answer = await self.answer(arrival)
        if answer is not None:
            status, headers, content = answer
            length = (b"content-length", b"%d" % len(content))
            await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
            await send({"type": "http.response.body", "body": content})
