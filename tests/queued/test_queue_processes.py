"""Workers that are killed or frozen while they offer a queued lead: it is neither lost nor sold twice."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from support.buyer import Buyer, bids
from support.commands import PATIENCE_S, Shell, shell_on
from support.market import Document
from support.queue import WHOLE, queueing
from support.unknowns import one_after_another
from support.waiting import Held, until

from exchange.embedded.lease import Services
from exchange.storage import invariants
from exchange.storage.database import Database


class Exchange:
    """A gateway process without a worker, its seller, and the database behind it."""

    def __init__(self, shell: Shell, client: httpx.AsyncClient, database: Database) -> None:
        self.shell = shell
        self.client = client
        self.database = database

    async def apply(self, document: Document) -> None:
        await apply(self.shell, document)

    async def rows(self, query: str, *arguments: object) -> list[Any]:
        return await self.database.run(lambda connection: connection.fetch(query, *arguments))

    async def queued(self) -> str:
        """A lead that waits; its post's id."""

        async def send() -> httpx.Response:
            return await self.client.post("/v1/leads", json={"campaign": "auto-us", "lead": WHOLE})

        answer = await until(send, lambda found: found.status_code == 200, PATIENCE_S)
        assert answer.json()["status"] == "queued", answer.text
        return str(answer.json()["post_id"])

    async def state(self, post_id: str) -> Document:
        found: Document = (await self.client.get(f"/v1/posts/{post_id}")).json()
        return found

    async def make_due(self) -> None:
        """Lets what waits be due, and leases run out, as time would."""
        await self.rows("update queued_leads set due_at = now(), lease_until = now() where state = 'waiting'")

    async def becomes(self, post_id: str, status: str) -> Document:
        return await until(lambda: self.state(post_id), lambda found: found["status"] == status, PATIENCE_S)


async def apply(shell: Shell, document: Document) -> None:
    path = shell.folder / "market.yaml"
    path.write_text(json.dumps(document))
    applied = await shell.run("apply", str(path), "--yes")
    assert applied.status == 0, applied.err


@asynccontextmanager
async def exchange(services: Services, folder: Path, document: Document) -> AsyncIterator[Exchange]:
    shell = shell_on(services, folder)
    database = await Database.connect(services.postgres_url, connections_max=2, timeout_s=10, name="test")
    await apply(shell, document)
    made = (await shell.run("keys", "create", "--seller", "acme")).out.strip()
    async with (
        shell.serving("--no-worker") as serving,
        httpx.AsyncClient(
            base_url=serving.url, trust_env=False, headers={"Authorization": f"Bearer {made}"}, timeout=PATIENCE_S
        ) as client,
    ):
        yield Exchange(shell, client, database)
        assert not [finding for finding in await invariants.check(database) if finding.broken]
    await database.close()


async def end(process: asyncio.subprocess.Process, how: signal.Signals) -> None:
    """Ends a worker, which may have ended before."""
    with suppress(ProcessLookupError):
        process.send_signal(how)
    await process.communicate()


def market_of(buyer: Buyer, *, paused: bool) -> Document:
    return queueing({"only": buyer}, orders={"only": {"paused": paused}})


async def test_a_lead_waits_until_a_worker_process_sells_it(services: Services, tmp_path: Path) -> None:
    async with Buyer(bids("21.00")) as buyer, exchange(services, tmp_path, market_of(buyer, paused=True)) as running:
        post_id = await running.queued()
        worker = await running.shell.start("worker")
        await running.apply(market_of(buyer, paused=False))  # and that alone brings it forward
        assert (await running.becomes(post_id, "accepted"))["price"] == "17.85"
        await end(worker, signal.SIGTERM)
        assert worker.returncode == 0
        assert (len(buyer.pings), len(buyer.posts)) == (1, 1)

        shown = await running.shell.run("queue", "show", post_id, "--json")
        facts = json.loads(shown.out)
        assert (facts["state"], [run["reason"] for run in facts["past_runs"]]) == ("posted", ["no_eligible_orders"])
        explained = await running.shell.run("explain", facts["past_runs"][0]["ping_id"])
        assert "paused" in explained.out


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_worker_that_is_lost_while_it_asks(services: Services, tmp_path: Path, how: signal.Signals) -> None:
    bid = Held({"bid": "21.00"})
    async with (
        Buyer(one_after_another(bid, bids("19.00"))) as buyer,
        exchange(services, tmp_path, market_of(buyer, paused=True)) as running,
    ):
        post_id = await running.queued()
        await running.apply(market_of(buyer, paused=False))
        await running.make_due()
        lost = await running.shell.start("worker")
        async with asyncio.timeout(PATIENCE_S):
            await bid.asked.wait()
        os.kill(lost.pid, how)
        bid.release.set()
        assert (await running.state(post_id))["status"] == "queued"
        await running.make_due()
        second = await running.shell.start("worker")
        assert (await running.becomes(post_id, "accepted"))["price"] == "16.15"
        if how is signal.SIGSTOP:
            os.kill(lost.pid, signal.SIGCONT)  # it goes on where it was: with an offer of 21.00 in hand
            await asyncio.sleep(1)
        await end(lost, signal.SIGKILL)
        await end(second, signal.SIGTERM)
        assert [post.json["price"] for post in buyer.posts] == ["19.00"]


async def test_a_worker_that_is_killed_while_it_posts_leaves_a_pending_post(services: Services, tmp_path: Path) -> None:
    word = Held({"status": "accepted"})
    async with (
        Buyer(bids("21.00"), word) as buyer,
        exchange(services, tmp_path, market_of(buyer, paused=True)) as running,
    ):
        post_id = await running.queued()
        await running.apply(market_of(buyer, paused=False))
        await running.make_due()
        lost = await running.shell.start("worker")
        async with asyncio.timeout(PATIENCE_S):
            await word.asked.wait()
        await end(lost, signal.SIGKILL)
        assert (await running.state(post_id))["status"] == "in_progress"
        await running.rows("update attempts set lease_until = now()")
        second = await running.shell.start("worker")
        assert (await running.becomes(post_id, "pending"))["reason"]["code"] == 505
        await end(second, signal.SIGTERM)
        assert len(buyer.posts) == 1
        [row] = await running.rows("select answer from posts where post_id = $1", UUID(post_id))
        assert json.loads(row["answer"])["status"] == "queued"


async def test_an_operator_drops_what_waits(services: Services, tmp_path: Path) -> None:
    async with Buyer(bids("21.00")) as buyer, exchange(services, tmp_path, market_of(buyer, paused=True)) as running:
        kept, dropped = await running.queued(), await running.queued()
        listed = json.loads((await running.shell.run("queue", "list", "--json")).out)
        assert {item["post_id"] for item in listed} == {kept, dropped}
        table = await running.shell.run("queue", "list", "--campaign", "auto-us")
        assert (kept in table.out, dropped in table.out) == (True, True)
        done = await running.shell.run("queue", "drop", dropped, "--note", "asked to")
        assert (done.status, done.out) == (0, "1 dropped.\n")
        again = await running.shell.run("queue", "drop", dropped)
        assert (again.status, "none of these waits" in again.err) == (1, True)
        shown = await running.shell.run("queue", "show", dropped)
        assert "asked to" in shown.out
        assert (await running.state(dropped))["reason"]["name"] == "queue_ended"
        assert (await running.state(kept))["status"] == "queued"
        erased = await running.shell.run("erase", kept)
        assert erased.status == 0
        assert (await running.state(kept))["status"] == "rejected"
        assert "queue_ended" in (await running.shell.run("queue", "list", "--state", "ended")).out
