"""`exchange outbox`, and the worker that sends it, as processes: one that is killed while sending loses nothing."""

import asyncio
import json
import signal
from pathlib import Path

import asyncpg
import httpx
import pytest
from support.buyer import ACCEPTS, Buyer, Received, bids, reply
from support.commands import PATIENCE_S, Shell, shell_on
from support.market import CONTACT, LEAD, Document, market
from support.outbox import SECRET, verified
from support.waiting import Held, until

from exchange.embedded.lease import Services


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    shell = shell_on(services, tmp_path)
    shell.environment.update(
        {"HOOK_SECRET": SECRET, "EXCHANGE_OUTBOX_TRIES_MAX": "2", "EXCHANGE_OUTBOX_FIRST_S": "0.1"}
    )
    return shell


async def prepare(shell: Shell, buyer: Buyer, hook: Buyer) -> None:
    """A market whose order is followed by a webhook, and one sale."""
    deliver = {"crm": {"webhook": {"url": f"{hook.url}/post", "secret": "${env:HOOK_SECRET}"}}}
    path = shell.folder / "market.yaml"
    path.write_text(json.dumps(market({"only": buyer}, orders={"only": {"deliver": deliver}})))
    applied = await shell.run("apply", str(path), "--yes")
    assert applied.status == 0, applied.err
    headers = {"Authorization": "Bearer " + (await shell.run("keys", "create", "--seller", "acme")).out.strip()}
    async with shell.serving("--no-worker") as serving:
        async with httpx.AsyncClient(base_url=serving.url, trust_env=False, headers=headers) as client:
            offer = (await client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD})).json()
            sold = (await client.post("/v1/post", json={"ping_id": offer["ping_id"], "lead": CONTACT})).json()
            assert sold["status"] == "accepted"
        await serving.stop()


async def rows(services: Services, statement: str = "select state from outbox") -> list[str]:
    connection = await asyncpg.connect(services.postgres_url)
    try:
        return [row["state"] for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def listed(shell: Shell, *options: str) -> list[Document]:
    done = await shell.run("outbox", "list", "--json", *options)
    assert done.status == 0, done.err
    found: list[Document] = json.loads(done.out)
    return found


async def test_a_worker_killed_between_sending_and_marking_loses_nothing(shell: Shell, services: Services) -> None:
    held = Held({})
    async with Buyer(bids("21.00"), ACCEPTS) as buyer, Buyer(held, held) as hook:
        await prepare(shell, buyer, hook)
        worker = await shell.start("worker")
        await held.asked.wait()
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        [row] = await listed(shell, "--state", "waiting")
        assert (row["tries"], row["order"], row["name"], row["kind"]) == (1, "only", "crm", "webhook")
        held.release.set()
        await rows(services, "update outbox set due_at = now() returning state")  # the lease of the dead is over
        worker = await shell.start("worker")
        await until(lambda: rows(services), ["done"].__eq__, within_s=PATIENCE_S)
        worker.terminate()
        _, said = await worker.communicate()
        assert (worker.returncode, b"exchange: the worker has started\n" in said) == (0, True)
    first, second = hook.posts
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == row["outbox_id"]
    assert verified(first) == verified(second)
    [row] = await listed(shell, "--state", "all")
    assert (row["state"], row["tries"]) == ("done", 2)


async def test_what_was_given_up_is_listed_shown_and_sent_again(shell: Shell, services: Services) -> None:
    statuses = [500]

    def says(_: Received) -> bytes:
        return reply({}, statuses[0])

    async with Buyer(bids("21.00"), ACCEPTS) as buyer, Buyer(says, says) as hook:
        await prepare(shell, buyer, hook)
        assert await listed(shell) == []
        worker = await shell.start("worker")
        await until(lambda: rows(services), ["dead"].__eq__, within_s=PATIENCE_S)
        [row] = await listed(shell)
        assert (row["state"], row["tries"], row["detail"]) == ("dead", 2, "HTTP 500")
        shown = (await shell.run("outbox", "show", row["attempt_id"])).out
        assert all(word in shown for word in (row["outbox_id"], "dead", "HTTP 500", "crm"))
        assert "HTTP 500" in (await shell.run("outbox", "list")).out
        statuses[0] = 200
        again = await shell.run("outbox", "retry", row["outbox_id"])
        assert (again.status, again.out) == (0, "1 to be sent again.\n")
        await until(lambda: rows(services), ["done"].__eq__, within_s=PATIENCE_S)
        worker.terminate()
        await worker.wait()
    assert {received.headers["webhook-id"] for received in hook.posts} == {row["outbox_id"]}


async def test_what_cannot_be_done_is_said_in_a_line(shell: Shell) -> None:
    assert (await shell.run("migrate")).status == 0
    nobody = "01a204e4-75fc-709b-b103-8b8427ca8e56"
    for words, complaint in {
        ("retry", "--all", nobody): "say either which deliveries, or --all",
        ("retry", nobody): "none of these was given up",
        ("show", nobody): "the outbox has nothing of",
    }.items():
        done = await shell.run("outbox", *words)
        assert (done.status, done.out) == (1, "")
        assert complaint in done.err


async def test_a_mail_server_that_cannot_be_one_stops_the_worker_with_a_line(shell: Shell) -> None:
    assert (await shell.run("migrate")).status == 0
    for changes in ({"EXCHANGE_SMTP_URL": "http://x"}, {"EXCHANGE_SMTP_URL": "smtp://h", "EXCHANGE_SMTP_FROM": "no"}):
        shell.environment.update(changes)
        async with asyncio.timeout(30):
            done = await shell.run("worker")
        assert done.status == 1
        assert "EXCHANGE_SMTP_" in done.err
