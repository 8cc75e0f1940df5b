"""Who is turned away before anything is made of his request is told what he is told otherwise, in whatever packets."""

import asyncio
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from exchange.api.door import Arrival, Comer, Door
from exchange.api.places import Places
from exchange.api.problems import Prepared, prepared
from exchange.api.protocol import DoorProtocol, door_protocol
from exchange.errors import Problem
from exchange.observe import metrics

FULL = Problem(503, "overloaded", "There is no room.", retry_after_s=1)
LIMITED = Problem(429, "rate_limited", "You send too much.", retry_after_s=1)
BODIES = [b"", b"{}", b'{"lead": 1}', b"\r\n\r\n", b"POST /v1/ping HTTP/1.1\r\n\r\n"]
WAYS = ["usual", "usual", "usual", "chunked", "expect", "health"]
KINDS = st.tuples(st.sampled_from(["full", "limited", "late", "open"]), st.sampled_from(WAYS), st.sampled_from(BODIES))
STREAMS = st.lists(KINDS, min_size=1, max_size=3).flatmap(
    lambda kinds: st.lists(st.sampled_from(kinds), min_size=1, max_size=8)
)
"""Sellers repeat their heads."""
FULL_ONE, OPEN_ONE = ("full", "usual", b"{}"), ("open", "usual", b"{}")


@dataclass
class WayIn:
    """Turns one key away for want of room, another for its rate; a third is refused when there is a request."""

    turned_away: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def turn_away(self, door: str, bearer: str, _now_s: float) -> Prepared | None:
        told = {"full": prepared(FULL), "limited": prepared(LIMITED)}.get(bearer)
        if told is not None:
            self.turned_away.append(f"{door} {bearer}")
            self.codes.append(told.code)
        return told

    def enter(self, comer: Comer) -> Prepared | None:
        if comer.bearer == "late":
            return prepared(FULL)
        comer.go()
        return None


class Wire(asyncio.Transport):
    """A connection whose packets are what the test says they are."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_paused = self.is_over = False

    def write(self, data: Any) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        self.is_over = True

    abort = close


class Forgetful(dict[bytes, Any]):
    """Heads that are not remembered: every request is parsed."""

    def __setitem__(self, _: bytes, __: Any) -> None:
        """Keeps nothing."""


def stream(requests: list[tuple[str, str, bytes]], *, ends: bool) -> bytes:
    """The requests' bytes; where the stream ends, the last one asks for that."""
    whole = b""
    for place, (key, way, body) in enumerate(requests, 1):
        lines = [f"Authorization: Bearer {key}"]
        if way == "health":
            whole += b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
            continue
        lines += [{"expect": "Expect: 100-continue"}.get(way, "Accept: */*")]
        lines += ["Connection: close"] if ends and place == len(requests) else []
        lines += ["Transfer-Encoding: chunked" if way == "chunked" else f"Content-Length: {len(body)}"]
        whole += "\r\n".join(["POST /v1/ping HTTP/1.1", "Host: x", *lines, "", ""]).encode()
        whole += body if way != "chunked" else (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    return whole


@dataclass
class Told:
    """What came back, and what was counted: by who turns away, or else as problems."""

    answers: list[bytes]
    is_over: bool
    turned_away: list[str]
    problems: list[float]


async def ping(arrival: Arrival) -> bytes:
    """Says what was sent. Who comes the long way is refused here."""
    key = (arrival.header(b"authorization") or "").removeprefix("Bearer ")
    refused = {"full": FULL, "late": FULL, "limited": LIMITED}.get(key)
    if refused is not None and not arrival.is_whole:
        raise refused
    body = await arrival.body(1_000)
    await asyncio.sleep(0)
    return b'"%s"' % (body or b"").hex().encode()


async def tell(packets: list[bytes], expected: int, *, remembers: bool, patient: bool) -> Told:
    """Has a connection receive the packets; before each of them a patient client lets the gateway do what it can."""
    way_in = WayIn()
    door = Door(ping, way_in)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/v1/ping":
            await door(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 204, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    kind = door_protocol(5.0, {"/v1/ping": door}, Places(10, None))
    if not remembers:
        kind.heads = Forgetful()
    config = uvicorn.Config(cast("Any", app), http=kind, loop="none", lifespan="off", log_config=None)
    config.load()
    before = counted()
    wire, protocol = Wire(), kind(config=config, server_state=ServerState(), app_state={})
    protocol.connection_made(wire)
    await give(wire, protocol, packets, patient=patient)
    async with asyncio.timeout(10):
        while len(answers(wire.written)) < expected:
            await asyncio.sleep(0)
    told = Told(answers(wire.written), wire.is_over, way_in.turned_away, counted())
    protocol.connection_lost(None)
    for place, code in enumerate((FULL.code, LIMITED.code)):
        told.problems[place] += way_in.codes.count(code) - before[place]
    return told


async def give(wire: Wire, protocol: DoorProtocol, packets: list[bytes], *, patient: bool) -> None:
    for packet in packets:
        for _ in range(20 if patient else 0):
            await asyncio.sleep(0)
        while wire.is_paused:
            await asyncio.sleep(0)
        if packet:
            protocol.data_received(packet)


def answers(written: bytes) -> list[bytes]:
    """The answers that are whole, without what differs from one second to the next."""
    found = re.findall(rb"HTTP/1\.1 [0-9]+.*?\r\n\r\n(?:\"[0-9a-f]*\"|\{[^}]*\})?", written, re.DOTALL)
    return [answer for answer in found if not answer.startswith(b"HTTP/1.1 100")]


def counted() -> list[float]:
    values = [
        metrics.REGISTRY.get("exchange_problems_total", {"door": "ping", "code": c.code}) for c in (FULL, LIMITED)
    ]
    return [value or 0.0 for value in values]


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(min(place, len(whole)) for place in places), len(whole)]
    return [whole[a:b] for a, b in pairwise(bounds)]


def ends_of(requests: list[tuple[str, str, bytes]]) -> list[int]:
    """Where one request ends and the next begins."""
    return [len(stream(requests[:count], ends=False)) for count in range(1, len(requests))]


def by_words(told: Told) -> list[list[bytes]]:
    """The answers, whatever the order of their headers, which is not the same on the long way."""
    return [sorted(answer.split(b"\r\n")) for answer in told.answers]


@given(STREAMS, st.lists(st.integers(0, 900), max_size=4), st.sets(st.integers(0, 7)), st.booleans(), st.booleans())
@example([FULL_ONE, FULL_ONE, FULL_ONE, OPEN_ONE], [], {0, 1, 2}, True, False)
@example([FULL_ONE, FULL_ONE, FULL_ONE, OPEN_ONE], [], {0}, True, False)
@example([OPEN_ONE, OPEN_ONE, ("open", "usual", b""), ("open", "usual", b"")], [], {0, 1, 2}, True, False)
@example([FULL_ONE, OPEN_ONE, FULL_ONE, FULL_ONE], [], {0, 1, 2}, False, True)
def test_the_short_way_says_what_the_parser_says(
    requests: list[tuple[str, str, bytes]], places: list[int], apart: set[int], patient: bool, ends: bool
) -> None:
    ends = ends and requests[-1][1] != "health"
    sent = stream(requests, ends=ends)
    packets = cut(sent, [*places, *(end for place, end in enumerate(ends_of(requests)) if place in apart)])
    small = cut(sent, list(range(0, len(sent), 7)))
    exact = asyncio.run(tell(small, len(requests), remembers=False, patient=True))
    told = asyncio.run(tell(packets, len(requests), remembers=True, patient=patient))
    assert by_words(told) == by_words(exact)
    assert told.problems == exact.problems
    assert told.is_over == exact.is_over == ends


def test_who_is_turned_away_again_is_not_parsed_again() -> None:
    requests = [("full", "usual", b"{}")] * 3
    packets = cut(stream(requests, ends=False), ends_of(requests))
    told = asyncio.run(tell(packets, 3, remembers=True, patient=True))
    assert told.turned_away == ["ping full"] * 3
    assert len(set(told.answers)) == 1
    assert told.answers[0].startswith(b"HTTP/1.1 503")
