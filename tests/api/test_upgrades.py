"""A request that asks for another protocol: it costs no place, and its body is not taken for a request."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.buyer import Buyer, bids
from support.market import LEAD, market
from support.world import World, open_world
from test_ways_in import tell

from exchange.embedded.lease import Services

WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: c2FtcGxl")
HTTP2 = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
PROBE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def request(first: str, *lines: str) -> bytes:
    return "\r\n".join([first, "Host: x", *lines, "", ""]).encode()


async def test_asking_for_a_web_socket_takes_nobodys_place(services: Services, tmp_path: Path) -> None:
    async with open_world(services, tmp_path, connections_max=5) as world:
        for _ in range(10):
            [told], _ = await tell(world, request("GET /livez HTTP/1.1", *WEBSOCKET))
            assert (told.status, told.document) == (200, {"status": "alive"})
        assert (await world.client.get("/livez")).status_code == 200


@pytest.mark.parametrize("asked", [WEBSOCKET, HTTP2])
async def test_without_a_body_it_is_a_request_like_others(world: World, asked: tuple[str, ...]) -> None:
    told, rest = await tell(world, request("GET /livez HTTP/1.1", *asked), PROBE, answers=2)
    assert ([answer.status for answer in told], rest) == ([200, 200], b"")


def cut(sent: bytes, way: str) -> list[bytes]:
    """The packets in which something is sent."""
    end = sent.index(b"\r\n\r\n") + 4
    pieces = {
        "together": [sent],
        "head, body": [sent[:end], sent[end:]],
        "bytes": [sent[: end - 3], sent[end - 3 : end + 1]],
    }
    found = pieces[way]
    return found if len(b"".join(found)) == len(sent) else [*found, sent[end + 1 :]]


WAYS = ("together", "head, body", "bytes")


@pytest.mark.parametrize("asked", [WEBSOCKET, HTTP2])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_a_body_is_the_request_s_own_and_the_next_request_comes_after_it(
    world: World, asked: tuple[str, ...], chunked: bool, way: str
) -> None:
    """The body is a request in itself: taken for one, it would be one that no balancer has seen."""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(PROBE)}"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(PROBE), PROBE) if chunked else PROBE
    usual = ("Content-Type: application/json", f"Authorization: Bearer {world.keys['acme']}")
    sent = request("POST /v1/ping HTTP/1.1", *asked, *usual, length) + body + PROBE
    told, rest = await tell(world, *cut(sent, way), answers=2)
    assert [answer.status for answer in told] == [400, 200]
    assert (told[0].document["code"], told[1].document, rest) == ("malformed_json", {"status": "alive"}, b"")


@pytest.mark.parametrize(
    ("first", "lines"),
    [
        ("CONNECT /v1/ping HTTP/1.1", ("Content-Length: 33",)),
        ("CONNECT /v1/ping HTTP/1.1", (*HTTP2, "Content-Length: 33")),
        ("POST /v1/ping HTTP/1.1", (*HTTP2, "Content-Length: 33", "Transfer-Encoding: chunked")),
        ("POST /v1/ping HTTP/1.1", (*HTTP2, "Content-Length: 33", "Content-Length: 3")),
        ("POST /v1/ping HTTP/1.1", (*HTTP2, "Transfer-Encoding: chunked, gzip")),
        ("POST /v1/ping HTTP/1.1", (*HTTP2, "Content-Length: 33", "Host: y")),
    ],
)
@pytest.mark.parametrize("way", WAYS[:2])
async def test_what_has_no_sure_end_is_not_gone_on_with(
    world: World, first: str, lines: tuple[str, ...], way: str
) -> None:
    [told], rest = await tell(world, *cut(request(first, *lines) + PROBE + PROBE, way)[:1])
    assert (told.status, told.document["code"], told.headers["connection"]) == (400, "malformed_http", "close")
    assert rest == b""


async def test_a_client_that_would_rather_have_http_2_is_served(world: World) -> None:
    """As Java's and curl's do, with each request until they have been told that it is to be had."""
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        body = json.dumps({"campaign": "auto-us", "lead": LEAD}).encode()
        usual = ("Content-Type: application/json", f"Authorization: Bearer {world.keys['acme']}")
        sent = request("POST /v1/ping HTTP/1.1", *HTTP2, *usual, f"Content-Length: {len(body)}") + body
        told, rest = await tell(world, sent, sent + sent, *cut(sent, "bytes"), sent, answers=5)
        assert {answer.document["status"] for answer in told} == {"offered"}
        assert (len(buyer.pings), rest) == (5, b"")


@pytest.mark.parametrize("hosts", [(), ("Host: x", "Host: x")])
async def test_who_does_not_say_or_says_twice_whom_he_asks_is_told_so(world: World, hosts: tuple[str, ...]) -> None:
    for first in ("GET /livez HTTP/1.1", "POST /v1/ping HTTP/1.1"):
        [told], rest = await tell(world, "\r\n".join([first, *hosts, "Content-Length: 0", "", ""]).encode())
        assert (told.status, told.document["code"], told.headers["connection"]) == (400, "malformed_http", "close")
        assert rest == b""


async def test_a_client_of_1_0_need_not_say_it(world: World) -> None:
    [told], _ = await tell(world, b"GET /livez HTTP/1.0\r\n\r\n")
    assert told.status == 200


def test_what_strangers_send_makes_no_lines() -> None:
    program = (
        "import logging\n"
        "from exchange.observe import logs\n"
        "logs.configure()\n"
        "logging.getLogger('uvicorn.error').warning('Invalid HTTP request received.')\n"
        "logging.getLogger('uvicorn.error').error('Exception in ASGI application')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "ERROR uvicorn.error Exception in ASGI application\n"
