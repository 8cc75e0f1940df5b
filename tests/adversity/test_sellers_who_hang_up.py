"""Sellers who hang up while their pings are under way: whoever comes after them finds every place free."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from ping_engine import eventually
from support.buyer import Buyer, bids, silent
from support.market import LEAD, market
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services

PINGS = 500
LONG_MS = 30_000
"""No ping ends by itself before the last has come, and his silence is not the point either."""
OFFER = {"campaign": "auto-us", "lead": LEAD}


async def test_500_sellers_who_hang_up_give_every_place_back(services: Services, tmp_path: Path) -> None:
    async with open_world(services, tmp_path, pings_in_flight_max=PINGS) as world:
        async with Buyer(bids("21.00")) as buyer:
            document = market({"only": buyer})
            document["campaigns"]["auto-us"]["ping_timeout_ms"] = LONG_MS
            document["buyers"]["only"]["endpoint"] |= {"ping_timeout_ms": LONG_MS, "breaker": {"enabled": False}}
            await world.apply(document)
            assert (await world.ping())["status"] == "offered"
            sockets = tcp_connections()
            buyer.on_ping = silent
            sellers = [await ping(world) for _ in range(PINGS)]
            await eventually(lambda: len(buyer.pings) > PINGS)
            assert (await world.send("/v1/ping", OFFER)).json()["code"] == "overloaded"
            for _, writer in sellers:
                writer.transport.abort()
            await until(lambda: recorded(world), lambda count: count > PINGS)
            buyer.on_ping = bids("21.00")
            sellers = [await ping(world) for _ in range(PINGS)]
            answers = [await reader.readuntil(b"}") for reader, _ in sellers]
            assert [b'"offered"' in answer for answer in answers] == [True] * PINGS
            for _, writer in sellers:
                writer.close()
        await eventually(lambda: tcp_connections() <= sockets)  # the buyer has gone, and so have all connections to him


async def ping(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Sends a ping on a connection of its own, and does not wait for the answer."""
    parts = urlsplit(str(world.client.base_url))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    body = json.dumps(OFFER)
    head = ["POST /v1/ping HTTP/1.1", "Host: x", f"Authorization: Bearer {world.keys['acme']}"]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", body]
    writer.write("\r\n".join(head).encode())
    return reader, writer


async def recorded(world: World) -> int:
    [row] = await world.rows("select count(*) from pings")
    return int(row["count"])


def tcp_connections() -> int:
    """Those of this process to buyers and sellers; Postgres and Valkey are reached by sockets of another kind."""
    return len(psutil.Process().net_connections("tcp"))
