"""A gateway that is frozen past its lease: a worker takes its post over, and what it writes when it thaws is void."""

import asyncio
import json
import os
import signal
from pathlib import Path

import httpx
from support.buyer import Buyer, bids
from support.commands import PATIENCE_S, Shell, shell_on
from support.market import CONTACT, LEAD, Document, market
from support.waiting import Held, until

from exchange.embedded.lease import Services
from exchange.storage import invariants
from exchange.storage.database import Database


async def open_market(shell: Shell, document: Document) -> dict[str, str]:
    """Applies a market; the headers of its seller."""
    path = shell.folder / "market.yaml"
    path.write_text(json.dumps(document))
    assert (await shell.run("apply", str(path), "--yes")).status == 0
    return {"Authorization": "Bearer " + (await shell.run("keys", "create", "--seller", "acme")).out.strip()}


async def test_the_late_write_of_a_thawed_gateway_changes_nothing(services: Services, tmp_path: Path) -> None:
    shell, held = shell_on(services, tmp_path), Held({"status": "accepted"})
    database = await Database.connect(services.postgres_url, connections_max=2, timeout_s=10, name="test")

    async def attempts() -> list[tuple[str, int]]:
        rows = await database.run(lambda connection: connection.fetch("select state, epoch from attempts"))
        return [(row["state"], row["epoch"]) for row in rows]

    async with Buyer(bids("21.00"), held) as buyer:
        document = market({"only": buyer}, post_timeout_ms=60_000)  # far longer than a worker takes to start
        document["buyers"]["only"]["endpoint"]["post_timeout_ms"] = 60_000
        headers = await open_market(shell, document)
        async with (
            shell.serving("--no-worker") as serving,
            httpx.AsyncClient(base_url=serving.url, trust_env=False, headers=headers, timeout=PATIENCE_S) as client,
        ):
            offer = (await client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD})).json()
            lead = {"ping_id": offer["ping_id"], "lead": CONTACT | {"age": 99}}
            posting = asyncio.create_task(client.post("/v1/post", json=lead))
            await held.asked.wait()
            os.kill(serving.process.pid, signal.SIGSTOP)
            held.release.set()  # the buyer takes the lead; nobody reads his answer
            expire = "update attempts set lease_until = now() - interval '1 s'"
            await database.run(lambda connection: connection.execute(expire))
            worker = await shell.start("worker")
            await until(attempts, lambda found: found[0][0] == "unknown", PATIENCE_S)
            worker.terminate()
            _, said = await worker.communicate()
            os.kill(serving.process.pid, signal.SIGCONT)
            told = await posting
            assert told.json()["status"] == "pending"
            assert b"posts_without_gateway" in said
            repeated = await client.post("/v1/post", json=lead)
            assert repeated.content == told.content  # changed fields and all
            await serving.stop()
        [line] = [json.loads(line) for line in serving.log.splitlines() if b"late_write_refused" in line]
        assert line["reason"] == "accepted"  # what it learned is in the log, and nowhere else
        [(state, epoch)] = await attempts()
        assert state == "unknown"
        assert epoch > 1

        listed = await shell.run("attempts", "list")
        [row] = await database.run(lambda connection: connection.fetch("select attempt_id, post_id from attempts"))
        assert str(row["attempt_id"]) in listed.out
        resolved = await shell.run("attempts", "resolve", str(row["attempt_id"]), "accepted", "--note", "asked him")
        assert (resolved.status, "only 21.00" in resolved.out) == (0, True)
        assert len(buyer.posts) == 1
    assert not [finding for finding in await invariants.check(database) if finding.broken]
    await database.close()
