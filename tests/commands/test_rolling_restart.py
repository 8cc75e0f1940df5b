"""Gateways are replaced one after another while sellers sell: every lead is sold once, and every sale is counted."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.buyer import Buyer, bids, slow
from support.commands import Serving, Shell, gone, shell_on
from support.market import CONTACT, LEAD, market

from exchange.embedded.lease import Services

SELLERS = 4


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    return shell_on(services, tmp_path)


class Seller:
    """Sells until told to stop. Whoever is hung up on sends the same request again, as the contract has it."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.sold: list[str] = []
        self.other: list[Any] = []
        self._url = url
        self._headers = headers

    async def sell(self, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=30, trust_env=False, headers=self._headers) as client:
            while not stop.is_set():
                offer = await self._sent(client, "/v1/ping", {"campaign": "auto-us", "lead": LEAD})
                if offer.get("status") != "offered":
                    self.other.append(offer)
                    continue
                done = await self._sent(client, "/v1/post", {"ping_id": offer["ping_id"], "lead": CONTACT})
                (self.sold if done.get("status") == "accepted" else self.other).append(done.get("post_id", done))

    async def _sent(self, client: httpx.AsyncClient, path: str, document: object) -> dict[str, Any]:
        while True:
            try:
                answer = await client.post(path, json=document)
            except httpx.TransportError:
                continue
            found: dict[str, Any] = answer.json()
            if found.get("code") != "in_progress":
                return found
            await asyncio.sleep(0.05)


@asynccontextmanager
async def selling(serving: Serving, headers: dict[str, str]) -> AsyncIterator[list[Seller]]:
    stop = asyncio.Event()
    sellers = [Seller(serving.url, headers) for _ in range(SELLERS)]
    tasks = [asyncio.create_task(seller.sell(stop)) for seller in sellers]
    try:
        yield sellers
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def scraped(serving: Serving, name: str, **labels: str) -> float:
    async with httpx.AsyncClient(base_url=serving.url, timeout=30, trust_env=False) as client:
        text = (await client.get("/metrics")).text
    found = [item for family in text_string_to_metric_families(text) for item in family.samples if item.name == name]
    return sum(item.value for item in found if labels.items() <= item.labels.items())


async def test_gateways_are_replaced_one_by_one_and_no_sale_is_lost_or_made_twice(shell: Shell) -> None:
    async with Buyer(bids("21.00"), slow(0.2, {"status": "accepted"})) as buyer:
        path = shell.folder / "market.yaml"
        path.write_text(json.dumps(market({"only": buyer})))
        assert (await shell.run("apply", str(path), "--yes")).status == 0
        headers = {"Authorization": "Bearer " + (await shell.run("keys", "create", "--seller", "acme")).out.strip()}
        async with shell.serving("--workers", "2", "--no-worker") as serving:
            while await scraped(serving, "exchange_processes", role="gateway") < 2:
                await asyncio.sleep(0.1)
            async with selling(serving, headers) as sellers:
                for old in [process for process in serving.family() if "gateway" in process.cmdline()]:
                    sold = sum(len(seller.sold) for seller in sellers)
                    while sum(len(seller.sold) for seller in sellers) < sold + SELLERS:
                        await asyncio.sleep(0.05)
                    old.send_signal(signal.SIGTERM)
                    assert await gone([old], within_s=30)
                    while await scraped(serving, "exchange_processes", role="gateway") < 2:
                        await asyncio.sleep(0.1)
            assert [seller.other for seller in sellers] == [[]] * SELLERS
            sold_ids = [post_id for seller in sellers for post_id in seller.sold]
            assert len(set(sold_ids)) == len(sold_ids) == len(buyer.posts)
            assert await scraped(serving, "exchange_sales_total", how="in_time") == len(sold_ids)
            assert await serving.stop() == 0
