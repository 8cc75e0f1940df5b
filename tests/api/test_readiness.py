"""Readiness: a market, connections to its buyers, a Postgres that takes writes, and a gateway that is to stay."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from support.buyer import Buyer, bids, slow
from support.commands import Shell, shell_on
from support.databases import execute
from support.frozen import freeze, thawed
from support.market import CONTACT, LEAD, market
from support.world import World, open_world

from exchange.embedded.lease import Services

CUT = "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'"
BACKENDS = "select pid from pg_stat_activity where datname = current_database() and application_name = 'exchange'"
PING = {"campaign": "auto-us", "lead": LEAD}


async def says(world: World) -> tuple[int, str | None]:
    answer = await world.client.get("/readyz")
    return answer.status_code, answer.json().get("detail")


async def until(world: World, wanted: tuple[int, str | None]) -> None:
    async with asyncio.timeout(60):
        while await says(world) != wanted:  # another connection's business
            await asyncio.sleep(0.02)


async def test_a_gateway_is_ready_once_a_market_has_come_and_its_buyers_are_connected(world: World) -> None:
    assert await says(world) == (503, "no market has been applied")
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        await until(world, (200, None))
        assert len(buyer._writers) == 2  # though nobody has pinged


async def test_a_gateway_is_not_ready_while_postgres_takes_no_writes(world: World, servers: Services) -> None:
    [row] = await world.rows("select current_database() as name")
    name = row["name"]

    async def change(statement: str) -> None:
        """Changes the database for connections to come, and ends those that there are."""
        await execute(servers, f"alter database {name} {statement}")
        await execute(servers, CUT.format(name))

    async with Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        await until(world, (200, None))
        await change("set default_transaction_read_only = on")
        await until(world, (503, "Postgres takes no writes"))
        await change("reset default_transaction_read_only")
        await until(world, (200, None))


async def test_a_silent_postgres_is_not_waited_for_as_long_as_by_requests(services: Services, tmp_path: Path) -> None:
    async with (
        Buyer(bids("21.00")) as buyer,
        open_world(services, tmp_path, postgres_timeout_s=3_600) as world,
    ):
        await world.apply(market({"only": buyer}))
        await until(world, (200, None))
        pids = [row["pid"] for row in await world.rows(BACKENDS)]
        async with thawed(pids):
            for pid in pids:
                freeze(pid)
            assert await says(world) == (503, "Postgres does not answer")
        await until(world, (200, None))


async def test_the_first_ping_finds_the_connection_on_which_it_is_recorded(world: World) -> None:
    """Where a buyer has been waited for, there is no time to make one."""
    query = "select query from pg_stat_activity where datname = current_database() and application_name = 'exchange'"
    assert "select 1" in [row["query"] for row in await world.rows(query)]  # with which the journal has tried it


async def test_a_gateway_that_cannot_record_pings_is_not_ready_though_postgres_answers(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        await until(world, (200, None))
        async with world.locked("pings"):
            assert (await world.send("/v1/ping", PING)).status_code == 503
            await until(world, (503, "pings cannot be recorded"))
        await until(world, (200, None))
        assert (await world.ping())["status"] == "offered"


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    shell = shell_on(services, tmp_path)
    shell.environment["EXCHANGE_STOP_NOTICE_S"] = "3"
    return shell


async def test_a_gateway_told_to_stop_is_not_ready_at_once_and_still_answers_until_it_is_noticed(shell: Shell) -> None:
    async with Buyer(bids("21.00"), slow(1.0, {"status": "accepted"})) as buyer:
        path = shell.folder / "market.yaml"
        path.write_text(json.dumps(market({"only": buyer})))
        assert (await shell.run("apply", str(path), "--yes")).status == 0
        headers = {"Authorization": "Bearer " + (await shell.run("keys", "create", "--seller", "acme")).out.strip()}
        async with (
            shell.serving("--workers", "2", "--no-worker") as serving,
            httpx.AsyncClient(base_url=serving.url, timeout=30, trust_env=False, headers=headers) as client,
        ):
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)
            offers = [(await client.post("/v1/ping", json=PING)).json() for _ in range(2)]
            document = {"ping_id": offers[0]["ping_id"], "lead": CONTACT}
            selling = asyncio.create_task(client.post("/v1/post", json=document))
            while not buyer.posts:
                await asyncio.sleep(0.02)
            serving.process.terminate()
            while (answer := await client.get("/readyz")).status_code == 200:
                await asyncio.sleep(0.02)
            assert answer.json()["detail"] == "the gateway is stopping"
            late = await client.post("/v1/post", json={"ping_id": offers[1]["ping_id"], "lead": CONTACT})
            assert (await selling).json()["status"] == late.json()["status"] == "accepted"
            assert await serving.stop() == 0
