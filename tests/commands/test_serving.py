"""`exchange serve` as processes: stopping, dying, many workers, and servers of its own."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest
from support.buyer import Buyer, bids, slow
from support.commands import Serving, Shell, embedded_shell, gone, shell_on
from support.market import CONTACT, LEAD, market

from exchange.embedded.lease import Services


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    return shell_on(services, tmp_path)


async def open_market(shell: Shell, buyer: Buyer) -> dict[str, str]:
    """Applies a market with one buyer; the headers of its seller."""
    path = shell.folder / "market.yaml"
    path.write_text(json.dumps(market({"only": buyer})))
    assert (await shell.run("apply", str(path), "--yes")).status == 0
    return {"Authorization": "Bearer " + (await shell.run("keys", "create", "--seller", "acme")).out.strip()}


async def sold(serving: Serving, headers: dict[str, str]) -> str:
    """Sells one lead through a gateway; the status of its post."""
    async with httpx.AsyncClient(base_url=serving.url, trust_env=False, headers=headers) as client:
        offer = (await client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD})).json()
        assert offer["status"] == "offered", offer
        answer = await client.post("/v1/post", json={"ping_id": offer["ping_id"], "lead": CONTACT})
        status: str = answer.json()["status"]
        return status


async def test_a_gateway_told_to_stop_finishes_its_posts_and_leaves_nobody_behind(shell: Shell) -> None:
    async with Buyer(bids("21.00"), slow(1.0, {"status": "accepted"})) as buyer:
        headers = await open_market(shell, buyer)
        async with shell.serving() as serving:
            selling = asyncio.create_task(sold(serving, headers))
            while not buyer.posts:
                await asyncio.sleep(0.02)
            family = serving.family()
            assert len(family) == 2  # the gateway and its worker
            assert await serving.stop() == 0
            assert await selling == "accepted"
            assert await gone(family)


async def test_several_gateways_share_a_port_and_one_that_dies_is_replaced(shell: Shell) -> None:
    async with Buyer(bids("21.00")) as buyer:
        headers = await open_market(shell, buyer)
        async with shell.serving("--workers", "2", "--no-worker") as serving:
            await ready(serving)
            _, first, second = serving.family()
            os.kill(first.pid, signal.SIGKILL)
            assert await gone([first])
            for _ in range(4):
                assert await sold(serving, headers) == "accepted"
            while len(living := serving.family()) < 3:
                await asyncio.sleep(0.05)
            assert second in living
            os.kill(serving.process.pid, signal.SIGKILL)
            assert await gone(living)


async def test_a_busy_port_is_said_in_one_line(shell: Shell) -> None:
    async with Buyer(bids("1.00")) as taken:
        failed = await shell.run("serve", "--port", str(taken.port))
    assert failed.status == 1
    assert failed.err.strip() == (
        f"exchange: cannot listen on 127.0.0.1:{taken.port}: Address already in use; choose another with --port"
    )


async def test_a_gateway_without_a_market_is_alive_and_not_ready(shell: Shell) -> None:
    async with shell.serving("--no-worker") as serving, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{serving.url}/livez")).status_code == 200
        missing = await client.get(f"{serving.url}/readyz")
        assert (missing.status_code, missing.json()["detail"]) == (503, "no market has been applied")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own folder: a run that starts beside this one closes that to Postgres."""
    with TemporaryDirectory(prefix="exchange-serving-") as name:
        yield Path(name)


async def test_a_bare_machine_needs_no_server_and_keeps_none(folder: Path) -> None:
    shell = embedded_shell(folder)
    async with Buyer(bids("21.00")) as buyer:
        headers = await open_market(shell, buyer)
        assert not servers_of(folder)
        async with shell.serving() as serving:
            await ready(serving)
            assert await sold(serving, headers) == "accepted"
            assert "21.00" in (await shell.run("balance", "show")).out  # attaches to the running servers
            os.kill(serving.process.pid, signal.SIGKILL)
            await serving.process.wait()
            assert await gone(servers_of(folder))
            assert not servers_of(folder)
        assert "21.00" in (await shell.run("balance", "show")).out  # recovers what was committed


async def ready(serving: Serving) -> None:
    async with httpx.AsyncClient(base_url=serving.url, trust_env=False) as client:
        while True:
            try:
                if (await client.get("/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


def servers_of(folder: Path) -> list[psutil.Process]:
    """Processes that have anything below `folder` on their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and str(folder) in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 of its own; in some containers there is none."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_the_address_that_is_said_can_be_asked_of_ipv6_too(shell: Shell) -> None:
    async with shell.serving("--host", "::1", "--no-worker") as serving:
        assert serving.url.startswith("http://[::1]:")
        async with httpx.AsyncClient(base_url=serving.url, trust_env=False) as client:
            async with asyncio.timeout(60):
                while True:
                    try:
                        answer = await client.get("/livez")
                        break
                    except httpx.ConnectError:
                        await asyncio.sleep(0.05)
        assert answer.status_code == 200
        assert await serving.stop() == 0


async def test_a_mail_server_that_cannot_be_meant_is_told_in_one_line(shell: Shell) -> None:
    shell.environment["EXCHANGE_SMTP_URL"] = "smtp://user:hush/hush@host:587"
    done = await shell.run("serve", "--port", "0")
    assert done.status == 1
    assert done.err.startswith("exchange: EXCHANGE_SMTP_URL must read ")
    assert (done.err.count("\n"), "hush" in done.err) == (1, False)
