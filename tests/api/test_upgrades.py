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


@pytest.mark.parametrize("asked", [WEBSOCKET, HTTP2])
@pytest.mark.parametrize("length", [f"Content-Length: {len(PROBE)}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("together", [True, False])
async def test_a_body_is_not_taken_for_a_request_that_no_balancer_has_seen(
    world: World, asked: tuple[str, ...], length: str, together: bool
) -> None:
    head = request("POST /v1/ping HTTP/1.1", *asked, length)
    packets = [head + PROBE] if together else [head, PROBE]
    [told], rest = await tell(world, *packets)
    assert (told.status, told.document["code"], told.headers["connection"]) == (400, "malformed_http", "close")
    assert rest == b""


async def test_who_is_told_that_may_ask_without_it(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        body = json.dumps({"campaign": "auto-us", "lead": LEAD}).encode()
        usual = ("Content-Type: application/json", f"Authorization: Bearer {world.keys['acme']}")
        head = request("POST /v1/ping HTTP/1.1", *usual, f"Content-Length: {len(body)}")
        [told], _ = await tell(world, head + body)
        assert told.document["status"] == "offered"


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
