"""Notices outlive who was to make or send them: gateways and workers that are killed."""

import asyncio
import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
from support.buyer import Buyer, Received, bids, reply
from support.commands import PATIENCE_S, Shell, shell_on
from support.market import CONTACT, LEAD, Document
from support.notices import TERMS, telling, to_tell
from support.outbox import verified
from support.unknowns import KEY
from support.waiting import Held, until
from support.world import open_world

from exchange.embedded.lease import Services
from exchange.storage.database import Database


async def apply(shell: Shell, document: Document) -> None:
    path = shell.folder / "market.yaml"
    path.write_text(json.dumps(document))
    applied = await shell.run("apply", str(path), "--yes")
    assert applied.status == 0, applied.err


async def sell(url: str, key: str) -> Document:
    """A lead that is sold; its post."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, trust_env=False, headers=headers, timeout=PATIENCE_S) as client:

        async def ping() -> httpx.Response:
            return await client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD})

        answer = await until(ping, lambda found: found.status_code == 200, PATIENCE_S)
        sent = {"ping_id": answer.json()["ping_id"], "lead": CONTACT}
        post: Document = (await client.post("/v1/post", json=sent)).json()
    assert post["status"] == "accepted", post
    return post


class Hook:
    """A receiver who says nothing to the first who tells him, until it is released."""

    def __init__(self) -> None:
        self.first = Held({})
        self.got: list[Received] = []

    async def __call__(self, received: Received) -> bytes:
        self.got.append(received)
        return await self.first(received) if len(self.got) == 1 else reply({})

    def told(self) -> dict[str, list[str]]:
        """The kinds of what was told, by its name."""
        found: dict[str, list[str]] = {}
        for received in self.got:
            found.setdefault(received.headers["webhook-id"], []).append(verified(received)["type"])
        return found


async def test_a_gateway_and_a_worker_are_killed_and_everything_is_told(services: Services, tmp_path: Path) -> None:
    hear, shell = Hook(), shell_on(services, tmp_path)
    shell.environment["EXCHANGE_NOTICES_EVERY_S"] = "0.2"
    database = await Database.connect(services.postgres_url, connections_max=2, timeout_s=10, name="test")
    async with Buyer(hear, hear) as hook, Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        both = {"first": first, "second": second}
        await apply(shell, telling(both, dict.fromkeys(both, hook), notices=TERMS | {"delay_min": 0}))
        key = (await shell.run("keys", "create", "--seller", "acme")).out.strip()
        async with shell.serving("--no-worker") as serving:
            await sell(serving.url, key)
            os.killpg(serving.process.pid, signal.SIGKILL)
        lost_worker = await shell.start("worker")
        async with asyncio.timeout(PATIENCE_S):
            await hear.first.asked.wait()
        lost_worker.kill()
        await lost_worker.communicate()
        hear.first.release.set()

        async def rows(query: str) -> list[Any]:
            return await database.run(lambda connection: connection.fetch(query))

        await rows("update outbox set due_at = now() where state = 'waiting'")  # as when its lease is over
        second_worker = await shell.start("worker")
        done = "select event, subject from outbox where state = 'done' order by event"
        found = await until(lambda: rows(done), lambda some: len(some) == 2, PATIENCE_S)
        second_worker.terminate()
        await second_worker.communicate()
    await database.close()
    assert [tuple(row) for row in found] == [("bid.lost", "second"), ("bid.won", "first")]
    told = hear.told()
    assert sorted(kinds[0] for kinds in told.values()) == ["bid.lost", "bid.won"]
    assert max(map(len, told.values())) == 2  # what the first worker had sent came again, under the same name


async def test_what_is_to_be_told_is_written_by_the_commit_that_makes_it_true(
    services: Services, tmp_path: Path
) -> None:
    """Of a ping that of the journal, of a sale the sale's own: no crash can part them."""
    key = base64.b64encode(KEY).decode()
    async with (
        open_world(services, tmp_path, master_key=key) as world,
        Buyer(bids("1.00")) as hook,
        Buyer(bids("21.00")) as first,
        Buyer(bids("20.00")) as second,
    ):
        both = {"first": first, "second": second}
        await world.apply(telling(both, dict.fromkeys(both, hook)))
        ping = await world.ping()
        assert (await world.post(ping["ping_id"]))["status"] == "accepted"
        asked = await world.rows(
            "select p.xmin = t.xmin as together from pings p join pings_to_tell t using (ping_id) where ping_id = $1",
            ping["ping_id"],
        )
        won = await world.rows("select a.xmin = o.xmin as together from attempts a join outbox o using (attempt_id)")
    assert [[row["together"] for row in rows] for rows in (asked, won)] == [[True], [True]]


async def test_a_ping_that_is_written_twice_is_told_once(services: Services, tmp_path: Path) -> None:
    """As after a commit that was cut off: the journal writes its batch again."""
    async with open_world(services, tmp_path) as world, Buyer(bids("1.00")) as hook, Buyer(bids("20.00")) as only:
        await world.apply(telling({"only": only}, {"only": hook}))
        ping = await world.ping()
        again = (
            "with gone as (delete from pings_to_tell) insert into pings select * from pings where ping_id = $1 "
            "on conflict do nothing"
        )
        await world.rows(again, ping["ping_id"])
        assert await to_tell(world) == []
