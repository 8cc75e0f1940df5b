"""Leads shared by weight over two gateway processes, however unevenly the pings come to them."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
from support.commands import Serving, Shell, shell_on
from support.market import LEAD, market
from support.waiting import until

from exchange.embedded.lease import Services

WEIGHTS = {"ann": 60, "bob": 20, "cid": 20}
LEADS = 1_000
PER_MILLE_TO_THE_FIRST = 637
"""No whole number of rounds, so that both processes stop in the middle of one."""


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    return shell_on(services, tmp_path)


async def both(serving: Serving) -> list[psutil.Process]:
    """The two gateways, as soon as both of them serve."""
    async with httpx.AsyncClient(base_url=serving.url, timeout=30, trust_env=False) as client:

        async def serve() -> bool:
            return 'exchange_processes{role="gateway"} 2' in (await client.get("/metrics")).text

        await until(serve, lambda found: found)
    return [process for process in serving.family() if "gateway" in process.cmdline()]


async def offered(client: httpx.AsyncClient, count: int) -> None:
    for _ in range(count):
        answer = await client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD})
        assert answer.json()["status"] == "offered", answer.text


async def test_each_order_gets_its_part_to_within_a_lead_a_process(shell: Shell, services: Services) -> None:
    """So of 10,000 leads its part is right to far less than one percent (decision 11)."""
    document = market(
        dict.fromkeys(WEIGHTS, "http://127.0.0.1:9"),
        orders={name: {"price": "9.00"} for name in WEIGHTS},
        method="weighted",
    )
    for name, weight in WEIGHTS.items():
        document["orders"][name]["weight"] = weight
    path = shell.folder / "market.yaml"
    path.write_text(json.dumps(document))
    assert (await shell.run("apply", str(path), "--yes")).status == 0
    headers = {"Authorization": "Bearer " + (await shell.run("keys", "create", "--seller", "acme")).out.strip()}
    async with shell.serving("--workers", "2") as serving, AsyncExitStack() as stack:
        clients = []
        for other in await both(serving):  # while one is frozen the other takes the connection, and keeps it
            other.suspend()
            limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
            client = httpx.AsyncClient(
                base_url=serving.url, timeout=30, trust_env=False, headers=headers, limits=limits
            )
            clients.append(await stack.enter_async_context(client))
            await offered(client, 1)
            other.resume()
        assert len(clients) == 2
        first = LEADS * PER_MILLE_TO_THE_FIRST // 1_000
        await asyncio.gather(offered(clients[0], first - 1), offered(clients[1], LEADS - first - 1))
    connection = await asyncpg.connect(services.postgres_url)
    try:
        rows = await connection.fetch("select ladder -> 0 ->> 0 as winner, count(*) as leads from pings group by 1")
        begun = await connection.fetch("select trace -> 'inputs' -> 1 as credits from pings order by ping_id limit 2")
    finally:
        await connection.close()
    assert all(set(json.loads(row["credits"]).values()) == {0} for row in begun)  # each began to count for itself
    wins = {row["winner"]: row["leads"] for row in rows}
    assert sum(wins.values()) == LEADS
    assert all(abs(wins[name] - LEADS * weight // 100) <= len(clients) for name, weight in WEIGHTS.items()), wins
