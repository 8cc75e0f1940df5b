"""However a request comes over the wire, the same door answers it: whole, in chunks, in pairs, or as a last one."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from support.buyer import Buyer, bids
from support.market import market
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = json.dumps({"campaign": "auto-us", "lead": {"zip": "60601"}}).encode()


@dataclass(frozen=True)
class Told:
    """One answer."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.content)


async def read_answer(reader: asyncio.StreamReader) -> Told:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Told(int(head[0].split(" ")[1]), headers, content)


async def tell(world: World, *packets: bytes, answers: int = 1) -> tuple[list[Told], bytes]:
    """Sends packets; the answers to them, and what was said after them until the end, if the end came."""
    parts = urlsplit(str(world.client.base_url))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        for packet in packets:
            writer.write(packet)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(60):
            told = [await read_answer(reader) for _ in range(answers)]
        if told[-1].headers.get("connection") != "close":
            writer.write_eof()
        async with asyncio.timeout(60):
            return told, await reader.read()
    finally:
        writer.close()


def head(world: World, *lines: str, first: str = "POST /v1/ping HTTP/1.1", length: int | None = len(BODY)) -> bytes:
    usual = ["Host: x", "Content-Type: application/json", f"Authorization: Bearer {world.keys['acme']}"]
    if length is not None:
        usual.append(f"Content-Length: {length}")
    return "\r\n".join([first, *usual, *lines, "", ""]).encode()


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])


@pytest_asyncio.fixture(loop_scope="module")
async def open_for_pings(shared_world: World) -> Any:
    async with Buyer(bids("10.00")) as buyer:
        await shared_world.apply(market({"one": buyer}))
        yield shared_world


async def test_a_request_in_any_packets(open_for_pings: World) -> None:
    whole = head(open_for_pings) + BODY
    for packets in ([whole], [whole[:-10], whole[-10:]], [head(open_for_pings), BODY], [whole[:3], whole[3:]]):
        [told], rest = await tell(open_for_pings, *packets)
        assert (told.status, told.document["status"], rest) == (200, "offered", b"")
        assert told.headers["content-type"] == "application/json"


async def test_a_body_in_chunks(open_for_pings: World) -> None:
    start = head(open_for_pings, "Transfer-Encoding: chunked", length=None)
    [told], _ = await tell(open_for_pings, start, chunked(BODY))
    assert told.document["status"] == "offered"


async def test_a_client_that_waits_to_be_asked_for_the_body(open_for_pings: World) -> None:
    (go_on, told), _ = await tell(open_for_pings, head(open_for_pings, "Expect: 100-continue"), BODY, answers=2)
    assert go_on.status == 100
    assert told.document["status"] == "offered"


async def test_several_requests_in_one_packet_are_answered_in_order(open_for_pings: World) -> None:
    pings = [BODY, b"{", b'{"campaign": "none", "lead": {}}', BODY]
    packet = b"".join(head(open_for_pings, length=len(body)) + body for body in pings)
    told, _ = await tell(open_for_pings, packet, answers=4)
    assert [answer.status for answer in told] == [200, 400, 404, 200]
    assert told[0].document["ping_id"] != told[3].document["ping_id"]


async def test_one_connection_carries_requests_of_every_kind(open_for_pings: World) -> None:
    usual = head(open_for_pings) + BODY
    health = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    long_way = head(open_for_pings, "Transfer-Encoding: chunked", length=None) + chunked(BODY)
    told, _ = await tell(open_for_pings, usual + health + long_way + usual, answers=4)
    assert [answer.status for answer in told] == [200, 200, 200, 200]


async def test_who_wants_to_close_is_let_go(open_for_pings: World) -> None:
    for start in (head(open_for_pings, "Connection: close"), head(open_for_pings, first="POST /v1/ping HTTP/1.0")):
        [told], rest = await tell(open_for_pings, start + BODY)
        assert (told.document["status"], told.headers["connection"], rest) == ("offered", "close", b"")


async def test_a_query_changes_nothing(open_for_pings: World) -> None:
    [told], _ = await tell(open_for_pings, head(open_for_pings, first="POST /v1/ping?trace=1 HTTP/1.1") + BODY)
    assert told.document["status"] == "offered"


async def test_a_problem_has_its_headers(open_for_pings: World) -> None:
    [told], _ = await tell(open_for_pings, head(open_for_pings, length=1) + b"{")
    assert (told.status, told.document["code"]) == (400, "malformed_json")
    assert told.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_methods_are_refused(open_for_pings: World, method: str) -> None:
    [told], _ = await tell(open_for_pings, head(open_for_pings, first=f"{method} /v1/ping HTTP/1.1") + BODY)
    assert (told.status, told.document["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("way", ["", "Transfer-Encoding: chunked"])
async def test_a_body_that_is_too_large_is_refused_whichever_way_it_comes(open_for_pings: World, way: str) -> None:
    body = b'{"campaign": "' + b"a" * 65_536 + b'"}'
    start = head(open_for_pings, *[way] if way else [], length=None if way else len(body))
    [told], _ = await tell(open_for_pings, start, chunked(body) if way else body)
    assert (told.status, told.document["code"]) == (413, "too_large")


async def test_a_head_that_has_come_before_means_what_it_meant(open_for_pings: World) -> None:
    start, other = head(open_for_pings), BODY.replace(b"60601", b"6060x")
    whole = start + BODY
    await tell(open_for_pings, whole)  # from now on this head is known
    for packets in ([whole], [start, BODY], [whole[:-10], whole[-10:]], [whole[:3], whole[3:]]):
        [told], rest = await tell(open_for_pings, *packets)
        assert (told.status, told.document["status"], rest) == (200, "offered", b"")
    answers, _ = await tell(open_for_pings, start + other, whole, start + BODY[:-1] + b"]", whole + whole, answers=5)
    assert [answer.status for answer in answers] == [422, 200, 400, 200, 200]
    assert len({answer.document["ping_id"] for answer in answers if answer.status == 200}) == 3
