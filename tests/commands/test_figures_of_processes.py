"""Metrics of `exchange serve --workers 2`: any process shows the sum, whoever of them is frozen or has been killed."""

import asyncio
import json
import os
import signal
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.buyer import Buyer, bids
from support.commands import Serving, Shell, gone, shell_on
from support.market import CONTACT, LEAD, market

from exchange.embedded.lease import Services

PINGS = 'exchange_pings_total{campaign="auto-us",reason="",status="offered"}'
SALES = 'exchange_sales_total{campaign="auto-us",how="in_time"}'
GATEWAYS = 'exchange_processes{role="gateway"}'


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    return shell_on(services, tmp_path)


async def scraped(serving: Serving) -> dict[str, float]:
    """What a scraper reads on a connection of its own."""
    async with httpx.AsyncClient(base_url=serving.url, timeout=30, trust_env=False) as client:
        text = (await client.get("/metrics")).text
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def scraped_until(serving: Serving, name: str, value: float) -> dict[str, float]:
    for _ in range(1200):
        if (found := await scraped(serving)).get(name) == value:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} is {found.get(name)}, not {value}")


async def sell(serving: Serving, headers: dict[str, str], count: int) -> None:
    """Sells leads, each on connections of its own, so that it comes to any process."""
    for _ in range(count):
        async with httpx.AsyncClient(base_url=serving.url, trust_env=False, headers=headers) as client:
            offer = (await client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD})).json()
            assert offer["status"] == "offered", offer
            posted = await client.post("/v1/post", json={"ping_id": offer["ping_id"], "lead": CONTACT})
            assert posted.json()["status"] == "accepted"


def gateways(serving: Serving) -> list[psutil.Process]:
    return [process for process in serving.family() if "gateway" in process.cmdline()]


async def test_any_process_shows_the_sum_and_a_killed_one_takes_nothing_with_it(shell: Shell) -> None:
    async with Buyer(bids("21.00")) as buyer:
        path = shell.folder / "market.yaml"
        path.write_text(json.dumps(market({"only": buyer})))
        assert (await shell.run("apply", str(path), "--yes")).status == 0
        headers = {"Authorization": "Bearer " + (await shell.run("keys", "create", "--seller", "acme")).out.strip()}
        async with shell.serving("--workers", "2") as serving:
            found = await scraped_until(serving, GATEWAYS, 2)
            assert found['exchange_processes{role="worker"}'] == 1
            await sell(serving, headers, 20)
            first, second = gateways(serving)
            for frozen in (first, second):
                frozen.suspend()
                found = await scraped(serving)  # the other one answers, and waits for nobody
                assert (found[PINGS], found[SALES]) == (20, 20)
                assert found['exchange_ping_seconds_count{campaign="auto-us"}'] == 20
                assert found['exchange_sales_micros_total{campaign="auto-us",part="gross"}'] == 20 * 21_000_000
                frozen.resume()
            os.kill(first.pid, signal.SIGKILL)
            assert await gone([first])
            assert (await scraped(serving))[PINGS] == 20
            await sell(serving, headers, 5)
            found = await scraped_until(serving, GATEWAYS, 2)  # it has a successor
            assert found[PINGS] == 25
            second.suspend()
            await sell(serving, headers, 2)  # by the successor, which counts on
            second.resume()
            assert (await scraped(serving))[PINGS] == 27
            assert await serving.stop() == 0
