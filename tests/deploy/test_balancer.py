"""The balancer that is shipped: sellers come through to a gateway, and nobody to its figures and its admin API."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from shipped import DEPLOY
from support.buyer import Buyer, bids
from support.market import LEAD, market
from support.world import World

from exchange.ports import HOST, free_port

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed: Debian has it")


@asynccontextmanager
async def balancer(world: World) -> AsyncIterator[str]:
    """HAProxy before the gateway; where it listens, once the gateway can be reached through it."""
    gateway, bind = f"{world.client.base_url.host}:{world.client.base_url.port}", f"{HOST}:{free_port()}"
    environment = {"PATH": os.environ["PATH"], "EXCHANGE_BIND": bind}
    environment |= {"EXCHANGE_GATEWAY_1": gateway, "EXCHANGE_GATEWAY_2": gateway}
    process = await asyncio.create_subprocess_exec(
        "haproxy", "-db", "-f", str(DEPLOY / "haproxy/haproxy.cfg"), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield bind
    finally:
        process.terminate()
        await process.wait()


async def status(bind: str, target: str, *lines: str) -> int:
    """What a request for exactly this target is answered."""
    host, _, port = bind.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write("\r\n".join([f"GET {target} HTTP/1.1", "Host: x", "Connection: close", *lines, "", ""]).encode())
        async with asyncio.timeout(60):
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()


async def test_sellers_come_through_and_nobody_comes_to_what_is_the_operators(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer, balancer(world) as bind:
        await world.apply(market({"only": buyer}))
        async with httpx.AsyncClient(base_url=f"http://{bind}", trust_env=False) as client:
            headers = {"Authorization": f"Bearer {world.keys['acme']}"}
            async with asyncio.timeout(60):
                while True:
                    try:
                        told = await client.post(
                            "/v1/ping", json={"campaign": "auto-us", "lead": LEAD}, headers=headers
                        )
                    except httpx.ConnectError:
                        await asyncio.sleep(0.05)
                        continue
                    if told.status_code == 200:
                        break
                    await asyncio.sleep(0.05)
        assert told.json()["status"] == "offered"
        assert await status(bind, "/livez") == 200
        for target in ("/metrics", "/metrics?a=b", "/%6detrics", "/metric%73", "http://x/metrics"):
            assert await status(bind, target) == 404, target
        for target in ("/admin/v1/market", "/%61dmin/v1/market", "/admin%2Fv1/market", "http://x/admin/v1/market"):
            assert await status(bind, target) == 404, target
