"""The ways out to the orders of a market: a line for each, and for a request that no other is like, one of its own."""

import time
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple

from exchange.brakes import Brakes
from exchange.buyers.calls import Call
from exchange.buyers.dialects.native import TIMEOUT_HEADER
from exchange.buyers.dialects.wire import NO_HEADERS, Ping, Read, Request, Unsendable
from exchange.buyers.fanout import Fanout
from exchange.buyers.line import Line
from exchange.rules.book import OrderEntry
from exchange.rules.brake import Brake
from exchange.values.bid import Asked, Refusal
from exchange.values.deadline import Deadline
from exchange.values.reason import Reason
from exchange.wires import NO_TOKEN, Wire, Wires

PingOf = Callable[[OrderEntry], Ping]
"""What an order is told of the lead."""

SECRET_MISSING = Refusal(Reason.PAUSED, "a secret is not set")
TOKEN_MISSING = Refusal(Reason.PAUSED, NO_TOKEN)

LET_GO_AT_ONCE = 20
"""So many ways of older markets go at each ping: ten thousand at once would keep one waiting for ten milliseconds."""


class Way(NamedTuple):
    """An order's line and wire. With `signs` its requests have heads of their own, or the token of the moment."""

    entry: OrderEntry
    line: Line
    wire: Wire | None
    signs: bool
    brake: Brake


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

    def __init__(self, fanout: Fanout, wires: Wires, brakes: Brakes | None = None) -> None:
        self._fanout = fanout
        self._wires = wires
        self._brakes = brakes or Brakes()
        self.known: dict[str, Way] = {}
        """The ways by order; one that has another entry is to be made anew, by `of`."""
        self._with_tokens: dict[str, tuple[OrderEntry, str, Line]] = {}
        self._version = 0
        self._past: list[object] = []
        """What is to be let go of."""

    async def ask(
        self, entries: Sequence[OrderEntry], ping_of: PingOf, left_ms: int, usual_ms: int, decide_by: Deadline
    ) -> tuple[Asked, ...]:
        """Asks the orders whose brakes let it, each within its own time and what is left; the replies in their order.

        `usual_ms` is the time of a ping whose seller is in no hurry.
        """
        began_s = monotonic()
        brakes: list[Brake] = []
        held: list[Brake] = []
        skipped: list[Asked] = []
        try:
            calls = self._calls(entries, ping_of, left_ms, began_s, brakes, held, skipped)
            asked = await self._fanout.ask(calls, decide_by)
        finally:
            for brake in held:
                brake.ended(began_s)
        self._brakes.heard(brakes, calls, asked, began_s, usual_ms)
        if not skipped:
            return asked
        said = {reply.order: reply for reply in (*asked, *skipped)}
        return tuple([said[entry.key] for entry in entries])

    def of(self, entry: OrderEntry) -> Way:
        """The way to an order: made when it is first asked, and whenever a new market has changed its entry."""
        known = self.known.get(entry.key)
        if known is None or known.entry is not entry:
            wire = self._wires.of(entry.buyer.key, entry.endpoint)
            brake = self._brakes.of(entry.buyer.key, entry.endpoint)
            line = _refused(entry, SECRET_MISSING) if wire is None else self._line(entry, wire, None, brake)
            signs = wire is not None and (wire.signer is not None or wire.access is not None)
            known = self.known[entry.key] = Way(entry, line, wire, signs, brake)
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
        return self._line(way.entry, way.wire, asking.request, way.brake)

    def drop_before(self, market_version: int) -> None:
        """Lets go of the lines of older markets, some at a time; connections to buyers who have left go with them."""
        if market_version > self._version:
            self._version = market_version
            self._past += self.known.values()
            self._past += self._with_tokens.values()
            self.known, self._with_tokens = {}, {}
        if self._past:
            del self._past[-LET_GO_AT_ONCE:]

    def _calls(
        self,
        entries: Sequence[OrderEntry],
        ping_of: PingOf,
        left_ms: int,
        now_s: float,
        brakes: list[Brake],
        held: list[Brake],
        skipped: list[Asked],
    ) -> list[Call]:
        """One call an order; the body is made once for each set of visible fields, and way of selling.

        The calls' `brakes` are added, those of them that count the call as `held`, and whoever is `skipped`.
        """
        known = self.known
        askings: dict[tuple[str, ...], Asking] = {}
        calls, shown = [], None
        for entry in entries:
            way = known.get(entry.order.key)
            if way is None or way.entry is not entry:
                way = self.of(entry)
            brake = way.brake
            if brake.is_looked_at:
                if (refusal := self._brakes.refusal(brake, now_s)) is not None:
                    skipped.append(Asked(entry.key, refusal))
                    continue
                held.append(brake)
            if entry.shown is not shown:  # nearly always it is, and to look it up means to hash many names
                shown = entry.shown
                asking = askings.get(shown) or askings.setdefault(shown, asking_for(way.wire, ping_of(entry)))
            line, read = (way.line, asking.read) if asking.plain and not way.signs else self.own(way, asking)
            calls.append(Call(line, asking.request.body, min(entry.endpoint.ping_timeout_ms, left_ms), read))
            brakes.append(brake)
        return calls

    def _line(self, entry: OrderEntry, wire: Wire, request: Request | None, brake: Brake) -> Line:
        method, url = wire.dialect.ping_method, wire.url(entry.endpoint.ping_url or "", request)
        headers = {**wire.dialect.standing_headers(entry.key), **(entry.auth_headers or {})}
        if request is not None:
            headers |= {**request.headers, **wire.own_headers(method, url, request.body, time.time())}
        return self._fanout.line(entry.key, url, headers, TIMEOUT_HEADER, method, brake)


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
