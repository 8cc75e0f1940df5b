"""The delivery of a post, and the question what became of it: each one request on a connection of its own.

A new connection is none that the buyer may be about to close, and it tells for certain what can have reached him: what
fails before the request is handed to the socket was not sent, and whatever fails afterwards is unknown.
"""

import asyncio
import math
import ssl
import time
from collections.abc import Callable, Mapping

from exchange.buyers.connection import Connection, Pending
from exchange.buyers.dialling import NOT_IN_TIME, Dialler, Origin
from exchange.buyers.limits import Limits
from exchange.buyers.line import UNUSABLE, Target, header_lines, read_target
from exchange.buyers.tls import trusting_context
from exchange.observe import metrics
from exchange.values.bid import Delivery, NotSent, Refusal, Unknown
from exchange.values.reason import Reason

LIMITS = Limits(connect_s=2.0, handshake_s=2.0)
ORIGINS_MAX = 1_000

TOO_LATE = Refusal(Reason.NO_TIME_LEFT, "the lease was over")
LOST_EARLY = Refusal(Reason.CONNECTION_LOST, "before the request")


class Courier:
    """Delivers leads. It never re-sends, and never re-uses a connection."""

    def __init__(self, *, allow_private: bool, tls: ssl.SSLContext | None = None) -> None:
        """`tls` says whom to trust, where it is not the usual authorities."""
        self._allow_private = allow_private
        self._tls = tls or trusting_context()
        self._diallers: dict[Origin, Dialler] = {}

    async def close(self) -> None:
        for dialler in self._diallers.values():
            await dialler.close()

    async def deliver(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_ms: int,
        read: Callable[[int, bytes], Delivery],
        send_by_s: float = math.inf,
        method: str | None = None,
    ) -> Delivery:
        """Sends a lead once, or asks without a body, and says what is known after at most `timeout_ms`.

        `method` is POST, without a body GET, unless it is given. Nothing is sent after `send_by_s`, a moment of
        `time.monotonic()`: a process that was frozen has lost its lease.
        """
        try:
            target = read_target(url)
            errand = _Errand(request_bytes(target, headers, body, method or ("GET" if body is None else "POST")))
        except ValueError:
            return _not_sent(UNUSABLE)
        connection = Connection(errand, math.inf)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                refusal = await self._dialler(target.origin).dial(connection)
                if refusal is not None or not errand.is_open:
                    return _not_sent(refusal or LOST_EARLY)
                if time.monotonic() >= send_by_s:
                    return _not_sent(TOO_LATE)
                connection.send(errand)
                return _known(await errand.outcome, read)
        except TimeoutError:
            return _not_sent(NOT_IN_TIME) if errand.connection is None else Unknown("silence")
        except Exception as error:  # noqa: BLE001  # whatever broke, what is known of the lead is an outcome
            detail = f"internal: {type(error).__name__}"
            return NotSent(detail) if errand.connection is None else Unknown(detail)
        finally:
            if errand.is_open:
                connection.close()

    def _dialler(self, origin: Origin) -> Dialler:
        known = self._diallers.get(origin)
        if known is None:
            if len(self._diallers) >= ORIGINS_MAX:
                metrics.LIMITS_HIT.add(("addresses_for_posts",))
                del self._diallers[next(iter(self._diallers))]
            known = Dialler(origin, LIMITS, self._tls, allow_private=self._allow_private)
            self._diallers[origin] = known
        return known


class _Errand:
    """One request on its connection, and the one who waits for its answer; `connection` is there once it is sent."""

    may_retry = False

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.connection: Connection | None = None
        self.is_open = False
        self.outcome: asyncio.Future[tuple[int, bytes] | Refusal] = asyncio.get_running_loop().create_future()

    def connected(self, connection: Connection) -> None:  # noqa: ARG002  # it is the only one
        self.is_open = True

    def released(self, connection: Connection, now_s: float) -> None:  # noqa: ARG002
        connection.close()

    def gone(self, connection: Connection) -> None:  # noqa: ARG002
        self.is_open = False

    def retried(self, call: Pending) -> bool:  # noqa: ARG002
        return False

    def answered(self, status: int, body: bytes, now_s: float) -> None:  # noqa: ARG002
        self._end((status, body))

    def failed(self, refusal: Refusal) -> None:
        self._end(refusal)

    def _end(self, outcome: tuple[int, bytes] | Refusal) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def request_bytes(target: Target, headers: Mapping[str, str], body: bytes | None, method: str) -> bytes:
    """The whole request, as it is sent. Raises ValueError for a header that would break out of its line."""
    framing = [] if body is None else [f"Content-Length: {len(body)}"]
    lines = [*header_lines(method, target.path, target.authority, headers), *framing, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


def _known(outcome: tuple[int, bytes] | Refusal, read: Callable[[int, bytes], Delivery]) -> Delivery:
    return Unknown(_said(outcome)) if isinstance(outcome, Refusal) else read(*outcome)


def _not_sent(refusal: Refusal) -> NotSent:
    return NotSent(_said(refusal))


def _said(refusal: Refusal) -> str:
    return f"{refusal.reason.wire_name} {refusal.detail}".strip()
