"""The delivery of a post, and the question what became of it: each is one request, and is sent once.

It goes on a new connection, or on one that the buyer is sure to keep open: he has said for how long he does, and half
of that is not over. Either tells for certain what can have reached him: what fails before the request is handed to the
socket was not sent, and whatever fails afterwards is unknown.
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
from exchange.buyers.spares import Spares
from exchange.buyers.tls import trusting_context
from exchange.observe import metrics
from exchange.values.bid import Delivery, NotSent, Refusal, Unknown
from exchange.values.reason import Reason

LIMITS = Limits(connect_s=2.0, handshake_s=2.0)
ORIGINS_MAX = 1_000

TOO_LATE = Refusal(Reason.NO_TIME_LEFT, "the lease was over")
LOST_EARLY = Refusal(Reason.CONNECTION_LOST, "before the request")


class Courier:
    """Delivers leads. It never re-sends."""

    def __init__(self, *, allow_private: bool, tls: ssl.SSLContext | None = None) -> None:
        """`tls` says whom to trust, where it is not the usual authorities."""
        self._allow_private = allow_private
        self._tls = tls or trusting_context()
        self._origins: dict[Origin, _Origin] = {}

    async def close(self) -> None:
        for origin in self._origins.values():
            await origin.close()

    async def deliver(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_ms: int,
        read: Callable[[int, bytes], Delivery],
        send_by_s: float = math.inf,
        method: str | None = None,
        keep_alive_s: float = 0.0,
    ) -> Delivery:
        """Sends a lead once, or asks without a body, and says what is known after at most `timeout_ms`.

        `method` is POST, without a body GET, unless it is given. Nothing is sent after `send_by_s`, a moment of
        `time.monotonic()`: a process that was frozen has lost its lease. `keep_alive_s` is for how long the buyer keeps
        an idle connection open; 0: each request has one of its own.
        """
        try:
            target = read_target(url)
            method = method or ("GET" if body is None else "POST")
            errand = _Errand(request_bytes(target, headers, body, method, keeps=keep_alive_s > 0))
        except ValueError:
            return _not_sent(UNUSABLE)
        connection = None
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                connection = await self._origin(target.origin).connection(keep_alive_s)
                if isinstance(connection, Refusal):
                    return _not_sent(connection)
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
            if isinstance(connection, Connection) and not errand.outcome.done():
                connection.close()

    def _origin(self, origin: Origin) -> "_Origin":
        known = self._origins.get(origin)
        if known is None:
            if len(self._origins) >= ORIGINS_MAX:
                metrics.LIMITS_HIT.add(("addresses_for_posts",))
                self._origins.pop(next(iter(self._origins))).let_go()
            known = _Origin(Dialler(origin, LIMITS, self._tls, allow_private=self._allow_private))
            self._origins[origin] = known
        return known


class _Origin:
    """The way to one origin: how connections are made, and those that are left."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler
        self._spares = Spares()

    async def connection(self, keep_alive_s: float) -> Connection | Refusal:
        """An open connection with nothing on it; it is kept for the next one where `keep_alive_s` allows it."""
        spare = self._spares.take() if keep_alive_s > 0 else None
        if spare is not None:
            return spare
        keeper = _Keeper(self._spares, keep_alive_s)
        connection = Connection(keeper, math.inf)
        try:
            refusal = await self._dialler.dial(connection)
        except BaseException:
            if keeper.is_open:
                connection.close()
            raise
        if refusal is None and keeper.is_open:
            return connection
        return refusal or LOST_EARLY

    def let_go(self) -> None:
        """Closes what is idle; what is under way goes on."""
        self._spares.close()

    async def close(self) -> None:
        self.let_go()
        await self._dialler.close()


class _Keeper:
    """What becomes of one connection when it is free."""

    def __init__(self, spares: Spares, keep_alive_s: float) -> None:
        self._spares = spares
        self._keep_alive_s = keep_alive_s
        self.is_open = False

    def connected(self, connection: Connection) -> None:  # noqa: ARG002  # it is the only one
        self.is_open = True

    def released(self, connection: Connection, now_s: float) -> None:  # noqa: ARG002
        self._spares.keep(connection, self._keep_alive_s)

    def gone(self, connection: Connection) -> None:
        self.is_open = False
        self._spares.forget(connection)

    def retried(self, call: Pending) -> bool:  # noqa: ARG002
        return False


class _Errand:
    """One request, and the one who waits for its answer; `connection` is there once it is sent."""

    may_retry = False

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.connection: Connection | None = None
        self.outcome: asyncio.Future[tuple[int, bytes] | Refusal] = asyncio.get_running_loop().create_future()

    def answered(self, status: int, body: bytes, now_s: float) -> None:  # noqa: ARG002
        self._end((status, body))

    def failed(self, refusal: Refusal) -> None:
        self._end(refusal)

    def asked_to_wait(self, retry_after: bytes) -> None:
        """A lead is sent once: there is nothing to wait for."""

    def _end(self, outcome: tuple[int, bytes] | Refusal) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def request_bytes(
    target: Target, headers: Mapping[str, str], body: bytes | None, method: str, *, keeps: bool = False
) -> bytes:
    """The whole request, as it is sent. Raises ValueError for a header that would break out of its line."""
    framing = [] if body is None else [f"Content-Length: {len(body)}"]
    ending = [] if keeps else ["Connection: close"]
    lines = [*header_lines(method, target.path, target.authority, headers), *framing, *ending, "", ""]
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


def _known(outcome: tuple[int, bytes] | Refusal, read: Callable[[int, bytes], Delivery]) -> Delivery:
    return Unknown(_said(outcome)) if isinstance(outcome, Refusal) else read(*outcome)


def _not_sent(refusal: Refusal) -> NotSent:
    return NotSent(_said(refusal))


def _said(refusal: Refusal) -> str:
    return f"{refusal.reason.wire_name} {refusal.detail}".strip()
