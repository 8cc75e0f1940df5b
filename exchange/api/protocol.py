"""The server's side of a connection: uvicorn's protocol, with a clock that starts at a request's first byte.

An ASGI application sees a request when its head is whole; by then a slow client may have used up the seller's time, or
hold a connection for ever. Here the first byte is noted for the deadline, and whoever does not finish is cut off.

The busiest doors are opened right here: a request of the usual kind goes to its door when it is whole, and its answer
is written at once. ASGI between them costs more than a tenth of a ping. Whatever is less usual (an `Expect`, a body
without a length, a request sent before the last was answered) goes the long way to the same door.

Sellers repeat their heads. What the parser made of one is remembered, and a request that comes whole in one packet with
the same head is not parsed again: the same bytes mean the same.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from exchange.api.auth import bearer
from exchange.api.body import BODY_BYTES_MAX
from exchange.api.door import ARRIVED_S, Answer, Arrival, Door
from exchange.api.places import Places
from exchange.api.problems import Prepared, prepared
from exchange.api.straight import Head, Straight
from exchange.errors import Problem
from exchange.observe import metrics

HEAD_BYTES_MAX = 32_768
HEAD_KEPT_BYTES_MAX = 1_024
HEADS_KEPT_MAX = 1_024
TIMER_GRAIN_S = 0.002
"""Event loops round: a timer may be this early."""

MALFORMED = prepared(Problem(400, "malformed_http", "The request is not HTTP as it should be."))
TOO_SLOW = prepared(Problem(408, "request_timeout", "The request did not come to its end in time."))
HEAD_TOO_LARGE = prepared(Problem(431, "head_too_large", f"The head may have at most {HEAD_BYTES_MAX} bytes."))

_UNUSUAL = frozenset({b"expect", b"transfer-encoding", b"upgrade"})


class NotHttpError(Exception):
    """Ends the parsing of a head that is not as it should be: the request is answered 400, the connection closed."""


class DoorProtocol(HttpToolsProtocol):
    """A connection on which a request must be received within `receive_timeout_s`, its head within 32 KiB."""

    __slots__ = (
        "_address", "_arrived_s", "_cut", "_head_bytes", "_head_is_whole", "_idle_since_s", "_receiving",
        "cycle", "flow", "server_state", "timeout_keep_alive_task", "transport",
    )  # fmt: skip
    """What a refusal looks at lies together, uvicorn's own among it: in a dictionary of fifty names each is a look into
    memory that nobody has used for long."""

    receive_timeout_s = 5.0
    places: ClassVar[Places]
    doors: Mapping[str, Door] = {}
    heads: ClassVar[dict[bytes, Head]] = {}
    """Heads of requests that went straight to a door, on whichever connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._receiving = False
        self._head_is_whole = False
        self._head_bytes = 0
        self._arrived_s = 0.0
        self._cut: asyncio.TimerHandle | None = None
        self._idle_since_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        if (limit := self.places.taken(self._address)) is not None:
            self._refuse_connection(limit)
            return
        self._cut = self.loop.call_later(self.timeout_keep_alive, self._cut_off)  # for a first request to begin

    def connection_lost(self, exc: Exception | None) -> None:
        self.places.given_back(self._address)
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        begins = not self._receiving
        if begins:
            end = data.find(b"\r\n\r\n") + 4
            known = self.heads.get(data[:end])
            if known is not None and known.length == len(data) - end and self._begin_known(known, data):
                return
        if not self._head_is_whole and self._head_goes_on(data):
            self._receiving = True
            self._cut_off()
            return
        before: object = self.cycle
        self.parse(data)
        if not self._receiving:
            if begins and self.cycle is not before:
                self._remember(data)
            return
        if self._cut is None:  # most requests come whole, and need no clock
            self._cut = self.loop.call_later(self.receive_timeout_s, self._cut_off)

    def parse(self, data: bytes) -> None:
        """Has the parser go on."""
        super().data_received(data)

    def _head_goes_on(self, data: bytes) -> bool:
        """Counts the bytes of a head; whether it goes on beyond the most that it may have."""
        room = max(0, HEAD_BYTES_MAX - self._head_bytes)
        self._head_bytes += len(data)
        return len(data) > room and data.find(b"\r\n\r\n", 0, room) < 0

    def on_message_begin(self) -> None:
        self._stop_clock()
        self._receiving, self._head_is_whole = True, False
        self._arrived_s = time.monotonic()
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() == "1.1" and [name for name, _ in self.headers].count(b"host") != 1:
            raise NotHttpError  # of 1.0 none has to say it; with two, a balancer may have gone by the other
        self._head_is_whole, self._head_bytes = True, 0
        straight = self._straight()
        if straight is not None:
            self.cycle = cast("Any", straight)
            return
        url, headers, expected = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.scope[ARRIVED_S] = self._arrived_s  # type: ignore[literal-required]  # an extension of ours
        self.headers.extend(headers)
        self.url, self.expect_100_continue = url, expected
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        cycle: object = self.cycle
        if isinstance(cycle, Straight):
            cycle.content += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._receiving = self._head_is_whole = False
        self._stop_clock()
        cycle: object = self.cycle
        if isinstance(cycle, Straight):
            self._open(cycle)
        else:
            super().on_message_complete()

    def _begin_known(self, head: Head, data: bytes) -> bool:
        """Begins a request that is whole and has a known head; false where another is not answered yet."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        if self._cut is not None:
            self._stop_clock()
        now_s = time.monotonic()
        entrance = head.door.entrance
        if entrance is not None and (refusal := entrance.turn_away(head.door.name, head.bearer, now_s)) is not None:
            self._turn_away(refusal, now_s)
            return True
        request = Straight(self, head.door, head.path, head.headers, head.bearer, now_s, keep_alive=True)
        request.content = data[-head.length :] if head.length else b""
        self.cycle = cast("Any", request)
        if entrance is None:
            self.begin(request)
        elif (refusal := entrance.enter(request)) is not None:
            self.refuse(request, refusal)
        return True

    def _remember(self, data: bytes) -> None:
        """Remembers the head of a request that came whole in one packet, went straight to its door, and lives on."""
        cycle: object = self.cycle
        end = data.find(b"\r\n\r\n") + 4
        if not isinstance(cycle, Straight) or not cycle.keep_alive or end > HEAD_KEPT_BYTES_MAX:
            return
        if len(cycle.content) == len(data) - end:
            if len(self.heads) >= HEADS_KEPT_MAX:
                del self.heads[next(iter(self.heads))]
            self.heads[data[:end]] = Head(len(cycle.content), cycle.door, cycle.bearer, cycle.path, cycle.headers)

    def _turn_away(self, refusal: Prepared, now_s: float) -> None:
        """Answers a request of which nothing was made. Who does not read his answers gets no more of them."""
        if self.flow.write_paused:
            self.transport.abort()
            return
        headers = self.server_state.default_headers
        if refusal.sent_with is not headers:  # which change once a second, for the date
            refusal.sent, refusal.sent_with = self._reply(refusal.parts, keep_alive=True), headers
        self.transport.write(refusal.sent)
        if self.timeout_keep_alive_task is None:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
        self._idle_since_s = now_s

    def _open(self, request: Straight) -> None:
        """Has a whole request go to its door: at once, or when its entrance lets it in."""
        entrance, door = request.door.entrance, request.door
        if entrance is None:
            self.begin(request)
        elif (refusal := entrance.turn_away(door.name, request.bearer, time.monotonic())) is not None:
            self._answer_no(request, refusal)
        elif (refusal := entrance.enter(request)) is not None:
            self.refuse(request, refusal)

    def begin(self, request: Straight, *, inside: str | None = None) -> None:
        """Opens the door to a request."""
        task = self.loop.create_task(self._go_straight(request, inside))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def refuse(self, request: Straight, refusal: Prepared) -> None:
        """Answers a request for which the door is not opened after all; it is counted here."""
        metrics.PROBLEMS.add((request.door.name, refusal.code))
        self._answer_no(request, refusal)

    def _answer_no(self, request: Straight, refusal: Prepared) -> None:
        """Answers with a refusal. Who does not read his answers gets no more of them."""
        if self.flow.write_paused:
            self.transport.abort()
        else:
            self._end(request, refusal.parts)

    def _straight(self) -> Straight | None:
        """The request whose head has come, if its door is here and it is of the usual kind."""
        path = self.url.decode("latin-1")
        door = self.doors.get(path)
        if door is None or self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        length, key = -1, None
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"authorization" and key is None:
                key = bearer(value.decode("latin-1"))
            elif name in _UNUSUAL:
                return None
        if not 0 <= length <= BODY_BYTES_MAX:
            return None
        keep_alive = self.parser.should_keep_alive()
        return Straight(self, door, path, self.headers, key or "", self._arrived_s, keep_alive=keep_alive)

    async def _go_straight(self, request: Straight, inside: str | None) -> None:
        """Opens the door, and answers."""
        arrival = Arrival(request.path, request.headers, request.arrived_s, content=request.content)
        arrival.inside, arrival.has_waited = inside, request.since_s > 0
        answer = await request.door.answer(arrival)
        if self.flow.write_paused and not request.disconnected:
            await self.flow.drain()
        self._end(request, answer)

    def _end(self, request: Straight, answer: Answer | None) -> None:
        """Writes the answer in one piece; after that the connection is free for the next request."""
        request.response_complete = True
        if answer is None and not self.transport.is_closing():
            self.transport.abort()
        if answer is None or request.disconnected:
            return
        self.transport.write(self._reply(answer, keep_alive=request.keep_alive))
        if not request.keep_alive:
            self.transport.close()
        self._end_of_answer()

    def _end_of_answer(self) -> None:
        """The connection is free for the next request, and idle."""
        if self.pipeline or self.flow.read_paused or self.timeout_keep_alive_task is None:
            self.on_response_complete()
        else:  # the clock runs from an earlier request: it will see that there was this one
            self.server_state.total_requests += 1
        self._idle_since_s = time.monotonic()

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection on which nothing has come for as long as it may be idle, and else looks again later."""
        self.timeout_keep_alive_task = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            left_s = float(self.timeout_keep_alive)
        else:
            left_s = self._idle_since_s + self.timeout_keep_alive - time.monotonic()
        if left_s <= TIMER_GRAIN_S:
            self.transport.close()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)

    def _reply(self, answer: Answer, *, keep_alive: bool) -> bytes:
        status, headers, content = answer
        parts = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += name, b": ", value, b"\r\n"
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts += b"content-length: %d\r\n\r\n" % len(content), content
        return b"".join(parts)

    def _refuse_connection(self, limit: str) -> None:
        """Hangs up before anything is read: whoever holds too many connections has others."""
        metrics.REQUESTS_SHED.add(("connections",))
        metrics.LIMITS_HIT.add((limit,))
        self.transport.abort()

    def _stop_clock(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def _cut_off(self) -> None:
        """Hangs up. Whoever had begun a request is told why."""
        self._stop_clock()
        if not self._receiving:
            self.transport.abort()
            return
        is_slow = self._head_bytes <= HEAD_BYTES_MAX
        metrics.REQUESTS_SHED.add(("slow_client",))
        metrics.LIMITS_HIT.add(("receive_timeout_s" if is_slow else "head_bytes",))
        self._break_off(TOO_SLOW if is_slow else HEAD_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's words for what is no HTTP
        self._break_off(MALFORMED)

    def _break_off(self, refusal: Prepared) -> None:
        """Answers a request that will never be whole, unless another answer is under way, and hangs up."""
        if self.transport.is_closing():
            return
        if self.pipeline or self.flow.write_paused or not self._leave():
            self.transport.abort()
            return
        metrics.PROBLEMS.add(("other", refusal.code))
        self.transport.write(self._reply(refusal.parts, keep_alive=False))
        self.transport.close()

    def _leave(self) -> bool:
        """Has the application see that its client is gone; false where it is in the middle of an answer."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return True
        if isinstance(cast("object", cycle), Straight):
            return self._head_is_whole  # else it is the request before, and whole
        if cycle.response_started or not self._head_is_whole:
            return False
        cycle.disconnected = True
        cycle.message_event.set()
        return True


def door_protocol(receive_timeout_s: float, doors: Mapping[str, Door], places: Places) -> type[DoorProtocol]:
    """The protocol with its settings; uvicorn makes the instances, so it is a class. `doors` are found by path."""
    settings = {"receive_timeout_s": receive_timeout_s, "doors": doors, "heads": {}, "places": places}
    return type("DoorProtocol", (DoorProtocol,), settings)
