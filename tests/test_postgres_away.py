"""Postgres frozen or dead under a gateway with traffic: pings are refused fast, and taken again without a restart."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio
from support.buyer import Buyer, bids
from support.commands import Serving, embedded_shell, gone
from support.frozen import freeze
from support.market import CONTACT, LEAD, market
from support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEADLINE_S = 10
FAST_S = 1.5
"""Generous for a refusal that waits for nobody, and far from the deadline."""
SELLERS = 4


@dataclass(frozen=True)
class Told:
    """One answer to a ping."""

    sent_s: float
    took_s: float
    answer: httpx.Response

    @property
    def offered(self) -> bool:
        return self.answer.status_code == 200 and self.answer.json()["status"] == "offered"

    @property
    def refused(self) -> bool:
        """Whether it says that nothing can be recorded now, and when to come back."""
        if self.answer.status_code != 503:
            return False
        assert self.answer.headers["content-type"] == "application/problem+json"
        return self.answer.json()["code"] == "unavailable" and int(self.answer.headers["retry-after"]) >= 1


@dataclass
class Place:
    """A gateway with servers of its own, the buyer whom it asks, and sellers who never stop."""

    serving: Serving
    data: Path
    buyer: Buyer
    client: httpx.AsyncClient
    told: list[Told] = field(default_factory=list)

    async def sell(self) -> None:
        """Sends one ping after another, whatever the answers."""
        while True:
            sent_s = time.monotonic()
            answer = await self.client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD})
            self.told.append(Told(sent_s, time.monotonic() - sent_s, answer))
            await asyncio.sleep(0.02)

    async def since(self, moment_s: float) -> list[Told]:
        return [told for told in self.told if told.sent_s >= moment_s]

    def postgres(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int((self.data / "postgres.pid").read_text()))
        return [postmaster, *postmaster.children(recursive=True)]

    async def post(self, told: Told) -> Any:
        sent = {"ping_id": told.answer.json()["ping_id"], "lead": CONTACT}
        return (await self.client.post("/v1/post", json=sent)).json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place() -> AsyncIterator[Place]:
    async with Buyer(bids("21.00")) as buyer:
        with TemporaryDirectory(prefix="exchange-tests-") as name:
            shell = embedded_shell(Path(name))
            file = shell.folder / "market.yaml"
            file.write_text(json.dumps(market({"only": buyer}, ping_timeout_ms=1000 * DEADLINE_S)))
            assert (await shell.run("apply", str(file), "--yes")).status == 0
            key = (await shell.run("keys", "create", "--seller", "acme")).out.strip()
            headers = {"Authorization": f"Bearer {key}"}
            async with (
                shell.serving() as serving,
                httpx.AsyncClient(base_url=serving.url, headers=headers, timeout=30, trust_env=False) as client,
            ):
                opened = Place(serving, shell.folder / "data", buyer, client)
                sellers = [asyncio.create_task(opened.sell()) for _ in range(SELLERS)]
                yield opened
                for seller in sellers:
                    seller.cancel()
                await asyncio.wait(sellers)
                assert await serving.stop() == 0


@asynccontextmanager
async def frozen(place: Place) -> AsyncIterator[None]:
    """Every process of Postgres stands still, and its connections stay open."""
    stopped = place.postgres()
    try:
        for process in stopped:
            freeze(process.pid)
        yield
    finally:
        for process in stopped:
            process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def killed(place: Place) -> AsyncIterator[None]:
    """Every process of Postgres is gone without a word, and for a while nobody starts it again."""
    async with unkept(place):
        for process in (ended := place.postgres()):
            process.kill()
        assert await gone(ended)
        yield


@asynccontextmanager
async def stopped_at_once(place: Place) -> AsyncIterator[None]:
    """Postgres is told to stop without tidying up."""
    async with unkept(place):
        ended = place.postgres()
        ended[0].send_signal(signal.SIGQUIT)
        assert await gone(ended)
        yield


@asynccontextmanager
async def unkept(place: Place) -> AsyncIterator[None]:
    """Keeps the keeper from starting Postgres again meanwhile."""
    keeper = int((place.data / "owner.pid").read_text())
    freeze(keeper)
    try:
        yield
    finally:
        os.kill(keeper, signal.SIGCONT)


Outage = Callable[[Place], AbstractAsyncContextManager[None]]


@pytest.mark.parametrize("outage", [frozen, killed, stopped_at_once])
async def test_pings_are_refused_fast_while_postgres_is_away_and_taken_again_after(
    place: Place, outage: Outage
) -> None:
    began_s = time.monotonic()
    await until(lambda: place.since(began_s), lambda told: sum(one.offered for one in told) >= 20)
    async with outage(place):
        away_s = time.monotonic()
        await until(lambda: place.since(away_s), lambda told: [one.refused for one in told[-20:]] == [True] * 20)
        known_s, asked = time.monotonic(), len(place.buyer.pings)
        refused = await until(lambda: place.since(known_s), lambda told: len(told) >= 100)
        assert all(one.refused and one.took_s < FAST_S for one in refused)
        assert len(place.buyer.pings) == asked  # nobody is asked for a bid that could not be recorded
    back_s = time.monotonic()
    again = await until(
        lambda: place.since(back_s), lambda told: [one.offered for one in told[-20:]] == [True] * 20, within_s=30
    )
    assert place.serving.process.returncode is None
    told = await place.since(began_s)
    assert all((one.offered or one.refused) and one.took_s < DEADLINE_S + FAST_S for one in told)
    before = [one for one in told if one.offered and one.sent_s < away_s]
    for offer in (before[-1], again[-1]):
        assert (await place.post(offer))["status"] == "accepted"
