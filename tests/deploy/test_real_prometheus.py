"""A real Prometheus scrapes a gateway: every query of every dashboard can be asked, and shows what happened."""

import asyncio
import itertools
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from shipped import RULES, panels, read_yaml
from support.buyer import Buyer, bids, reply
from support.market import market
from support.world import World

from exchange import worker
from exchange.observe.metrics import REGISTRY
from exchange.observe.pulse import Pulse
from exchange.observe.sheet import Sheet
from exchange.ports import free_port

EMPTY = {
    "buyers: Access tokens",
    "buyers: Operators' verdicts, in an hour",
    "engine: Taking up a market, p99 of an hour",
    "sellers: Age of the oldest, and the most overdue run",
    "sellers: Leads that wait",
    "sellers: Queued leads: what became of their runs",
    "sellers: Waits that ended without a buyer",
    "buyers: Breakers that are not closed",
    "buyers: Changes of breakers",
    "buyers: Skipped by cause",
    "buyers: Unknown attempts resolved",
    "buyers: Questions what became of an attempt",
    "buyers: Not made",
    "buyers: Waiting for a connection, by address",
    "engine: Outbox: sent, failed, given up",
    "engine: Requests shed",
    "engine: Answers given without Postgres, or again",
    "sellers: Orders that could not have the lead",
    "sellers: Requests shed",
}
"""Panels that show nothing while nothing is wrong."""
SETTLED = (
    "sum(rate(exchange_sales_total[30s])) > 0",
    "sum(rate(exchange_process_cpu_seconds_total[30s])) > 0",
    "job:exchange_pings_slow:ratio_rate5m",
    "job:exchange_pings:rate5m > 0",
    "job_campaign_part:exchange_sales_micros:rate1h > 0",
    "job_buyer:exchange_buyer_failures:ratio_rate15m",
)
"""What has something to show once everything has been scraped and worked out."""
VARIABLES = {"$__rate_interval": "30s", "$job": "exchange", "$campaign": ".*", "$buyer": ".*"}


@asynccontextmanager
async def prometheus(target: str, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Prometheus with the rules that are shipped, looking once a second."""
    config = read_yaml(RULES / "prometheus.yml")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            yield client
    finally:
        process.kill()
        await process.wait()


async def asked(client: httpx.AsyncClient, query: str) -> list[Any]:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    answer = (await client.get("/api/v1/query", params={"query": query})).json()
    assert answer["status"] == "success", f"{query}: {answer}"
    found: list[Any] = answer["data"]["result"]
    return found


async def up(client: httpx.AsyncClient) -> None:
    while True:
        try:
            if (await client.get("/-/ready")).is_success:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)


async def seen(client: httpx.AsyncClient, query: str) -> None:
    """Waits until there is something to see."""
    while not await asked(client, query):
        await asyncio.sleep(0.2)


async def trade_on(world: World) -> None:
    """Sells leads, offers some to nobody, and makes a mistake or two."""
    for number in itertools.count():
        offer = await world.ping()
        if number % 3:
            await world.post(offer["ping_id"])
        await world.ping({"zip": "60601", "age": 17})
        await world.send("/v1/ping", {"campaign": "nowhere", "lead": {}})
        await asyncio.sleep(0.2)


async def test_every_query_of_the_dashboards_shows_what_happened(world: World, tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian's package prometheus): the dashboards' queries were not asked")
    REGISTRY.share([Sheet.private(REGISTRY.making)], own=0)  # what other tests have counted is not seen here
    answers = iter([reply({"status": "rejected"})])
    async with Buyer(bids("21.00"), lambda _: next(answers, reply({"status": "accepted"}))) as buyer:
        await world.apply(market({"only": buyer}, orders={"only": {"filter": {"age": {"min": 18}}}}))
        chores = Pulse("worker")
        await worker._check(world.database, asyncio.Event())
        await worker._recover(world.database)
        chores.measure()
        async with prometheus(world.client.base_url.netloc.decode(), tmp_path) as client:
            await up(client)
            trading = asyncio.create_task(trade_on(world))
            for query in SETTLED:
                await seen(client, query)
            trading.cancel()
            blank = set()
            for board, title, queries in panels():
                found = [await asked(client, query) for query in queries]
                if not any(found):
                    blank.add(f"{board}: {title}")
            assert blank - EMPTY == set()
            [gross] = await asked(client, 'exchange_sales_micros_total{part="gross"}')
            [sales] = await asked(client, "sum(exchange_sales_total)")
            assert float(gross["value"][1]) == 21_000_000 * float(sales["value"][1]) > 0
            rules = (await client.get("/api/v1/rules")).json()["data"]["groups"]
            broken = [rule for group in rules for rule in group["rules"] if rule["health"] != "ok"]
            assert not broken
            names = {rule["name"] for group in rules for rule in group["rules"] if rule.get("state") == "firing"}
            assert not re.search("Invariant|Down|NotRecorded|UnknownAttemptOld", " ".join(names))
