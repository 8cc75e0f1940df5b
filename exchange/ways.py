"""The ways out to the orders of a market: a line for each, and for a request that no other is like, one of its own."""

import time
from typing import NamedTuple

from exchange.buyers.dialects.native import TIMEOUT_HEADER
from exchange.buyers.dialects.wire import NO_HEADERS, Ping, Read, Request, Unsendable
from exchange.buyers.fanout import Fanout
from exchange.buyers.line import Line
from exchange.rules.book import OrderEntry
from exchange.values.bid import Refusal
from exchange.values.reason import Reason
from exchange.wires import NO_TOKEN, Wire, Wires

SECRET_MISSING = Refusal(Reason.PAUSED, "a secret is not set")
TOKEN_MISSING = Refusal(Reason.PAUSED, NO_TOKEN)


class Way(NamedTuple):
    """An order's line and wire. With `signs` its requests have heads of their own, or the token of the moment."""

    entry: OrderEntry
    line: Line
    wire: Wire | None
    signs: bool


class Asking(NamedTuple):
    """What all orders are sent that are shown the same, and what reads their answers; or why they are not asked.

    `plain` is a request that says nothing in its URL or head that the last one did not.
    """

    request: Request
    read: Read
    plain: bool
    refusal: Refusal | None = None


class Ways:
    """The ways to the orders of the market in force."""

    def __init__(self, fanout: Fanout, wires: Wires) -> None:
        self._fanout = fanout
        self._wires = wires
        self.known: dict[str, Way] = {}
        """The ways by order, for who asks many: one that has another entry is to be made anew, by `of`."""
        self._with_tokens: dict[str, tuple[OrderEntry, str, Line]] = {}
        self._version = 0

    def of(self, entry: OrderEntry) -> Way:
        """The way to an order: made when it is first asked, and whenever a new market has changed its entry."""
        known = self.known.get(entry.key)
        if known is None or known.entry is not entry:
            wire = self._wires.of(entry.buyer.key, entry.endpoint)
            line = _refused(entry, SECRET_MISSING) if wire is None else self._line(entry, wire, None)
            signs = wire is not None and (wire.signer is not None or wire.access is not None)
            known = self.known[entry.key] = Way(entry, line, wire, signs)
        return known

    def own(self, way: Way, asking: Asking) -> tuple[Line, Read]:
        """The line for this request alone, and what reads its answer. With a token, one as long as that is good."""
        wire = way.wire
        if wire is None or wire.access is None:
            return self.own_line(way, asking), asking.read
        token = wire.access.now()
        if token is None:
            return _refused(way.entry, TOKEN_MISSING), asking.read
        if not asking.plain:
            return self.own_line(way, asking), wire.heeding(asking.read)
        known = self._with_tokens.get(way.entry.key)
        if known is None or known[0] is not way.entry or known[1] != token:
            known = self._with_tokens[way.entry.key] = way.entry, token, self.own_line(way, asking)
        return known[2], wire.heeding(asking.read)

    def own_line(self, way: Way, asking: Asking) -> Line:
        """A line for this request alone."""
        if asking.refusal is not None or way.wire is None:
            return _refused(way.entry, asking.refusal or SECRET_MISSING)
        return self._line(way.entry, way.wire, asking.request)

    def drop_before(self, market_version: int) -> None:
        """Lets go of the lines of older markets, and with them of connections to buyers who have left."""
        if market_version > self._version:
            self._version = market_version
            self.known.clear()
            self._with_tokens.clear()

    def _line(self, entry: OrderEntry, wire: Wire, request: Request | None) -> Line:
        method, url = wire.dialect.ping_method, wire.url(entry.endpoint.ping_url or "", request)
        headers = {**wire.dialect.standing_headers(entry.key), **(entry.auth_headers or {})}
        if request is not None:
            headers |= {**request.headers, **wire.own_headers(method, url, request.body, time.time())}
        return self._fanout.line(entry.key, url, headers, TIMEOUT_HEADER, method)


def asking_for(wire: Wire | None, ping: Ping) -> Asking:
    """What an order is asked, in the words of its wire."""
    if wire is None:
        return _unasked(SECRET_MISSING)
    try:
        request = wire.dialect.ping(ping)
        read = wire.dialect.bid_reader(sale=ping.sale, currency=ping.currency)
    except Unsendable as error:
        return _unasked(Refusal(Reason.INTERNAL_ERROR, f"cannot be sent: {error}"))
    except Exception as error:  # noqa: BLE001  # one buyer's dialect must not end the auction for the others
        return _unasked(Refusal(Reason.INTERNAL_ERROR, type(error).__name__))
    return Asking(request, read, plain=not request.query and request.headers is NO_HEADERS)


def _unasked(refusal: Refusal) -> Asking:
    return Asking(Request(b""), lambda *_: refusal, plain=False, refusal=refusal)


def _refused(entry: OrderEntry, refusal: Refusal) -> Line:
    return Line(entry.key, None, b"", refusal)
