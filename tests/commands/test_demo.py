"""`exchange demo`: the first thing a newcomer runs, on a machine with nothing on it."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest
from support.commands import PATIENCE_S, embedded_shell, gone


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="exchange-demo-") as name:
        yield Path(name)


async def test_the_demo_sells_leads_and_its_three_witnesses_agree(folder: Path) -> None:
    shell = embedded_shell(folder)
    process = await shell.start("demo", "--pings", "200", "--rate", "25", "--exit")
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    said = out.decode()
    assert process.returncode == 0, said + err.decode()
    figures = {name: int(count) for name, count in re.findall(r"^(\w[\w ]*?\w)\s{2,}(\d+)\s", said, re.MULTILINE)}
    assert figures["pings"] == 200
    for name in ("offers", "posts", "sales", "buyer failures"):
        assert figures[name] > 0, said
    assert figures["posts"] == figures["sales"] + figures["rejections"] + figures["unknown"]
    assert "Sellers, buyers and Postgres tell the same story." in said
    assert max(map(len, said.splitlines())) <= 100


async def test_a_demo_that_is_interrupted_or_killed_leaves_nobody_behind(folder: Path) -> None:
    shell = embedded_shell(folder)
    for number in (signal.SIGINT, signal.SIGKILL):
        process = await shell.start("demo")
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while b"pings" not in await process.stdout.readline():
                pass
        family = psutil.Process(process.pid).children(recursive=True)
        family += [item for item in psutil.process_iter() if _is_below(folder, item)]
        assert any("postgres" in item.name() for item in family)
        os.kill(process.pid, number)
        _, _ = await process.communicate()
        assert process.returncode == (0 if number == signal.SIGINT else -number)
        assert await gone(family)


async def test_prometheus_beside_the_demo_watches_its_gateway(folder: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian's package prometheus)")
    process = await embedded_shell(folder).start("demo", "--with-prometheus")
    assert process.stdout is not None
    async with asyncio.timeout(90), httpx.AsyncClient(trust_env=False) as client:
        while (found := re.match(rb"watched  (http://\S+)", await process.stdout.readline())) is None:
            pass
        query = {"query": "sum(exchange_pings_total) > 0"}
        while not (await client.get(f"{found[1].decode()}/api/v1/query", params=query)).json()["data"]["result"]:
            await asyncio.sleep(0.5)
        rules = (await client.get(f"{found[1].decode()}/api/v1/rules")).json()["data"]["groups"]
        assert len(rules) > 2
        family = psutil.Process(process.pid).children(recursive=True)
        assert any(item.name() == "prometheus" for item in family)
        process.terminate()
        await process.communicate()
        assert await gone(family)


async def test_without_the_program_there_is_no_prometheus_and_nobody_waits_for_servers_to_be_told(folder: Path) -> None:
    shell = embedded_shell(folder)
    shell.environment["PATH"] = str(folder)
    refused = await shell.run("demo", "--with-prometheus", "--pings", "1", "--exit")
    assert (refused.status, "there is no program `prometheus` here" in refused.err) == (1, True), refused.err
    assert _is_bare(folder), "nothing was started to find that out"


async def test_an_end_needs_a_number_of_pings(folder: Path) -> None:
    refused = await embedded_shell(folder).run("demo", "--exit")
    assert (refused.status, "--exit needs --pings" in refused.err) == (2, True)


def _is_below(folder: Path, process: psutil.Process) -> bool:
    try:
        return str(folder) in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _is_bare(folder: Path) -> bool:
    return not any(folder.iterdir())
