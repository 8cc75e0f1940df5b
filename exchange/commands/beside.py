"""A Prometheus beside a gateway of this machine, with the rules that are shipped, where its program is installed."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from exchange.errors import CommandError
from exchange.ports import HOST, free_port

PROGRAM = "prometheus"
RULES = Path(__file__).parents[2] / "deploy/prometheus"
"""In a checkout; an installed wheel has none, and then only the figures themselves can be asked for."""
SCRAPE_S = 2
READY_S = 30.0
STOP_S = 10.0


def look_for_program() -> None:
    """Raises CommandError where there is none: whoever asks before all else starts keeps nobody waiting for that."""
    if shutil.which(PROGRAM) is None:
        raise CommandError("there is no program `prometheus` here (Debian's package prometheus has one)")


@asynccontextmanager
async def prometheus(url: str, folder: Path) -> AsyncIterator[str]:
    """Runs Prometheus on a free port while this lasts, its data below `folder`; its address.

    `url` is the gateway's. Raises CommandError where it does not start.
    """
    _prepare(folder, url)
    address = f"{HOST}:{free_port()}"
    with (folder / "prometheus.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        await _ready(process, f"http://{address}", folder / "prometheus.log")
        yield f"http://{address}"
    finally:
        await _stopped(process)


def _prepare(folder: Path, url: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(json.dumps(_configuration(url)))


def _configuration(url: str) -> dict[str, object]:
    """What is scraped and worked out; JSON is YAML."""
    rules = sorted(str(path) for path in RULES.glob("*.yml") if path.name in {"recording.yml", "alerts.yml"})
    every = f"{SCRAPE_S}s"
    target = {"job_name": "exchange", "static_configs": [{"targets": [url.removeprefix("http://")]}]}
    pace = {"scrape_interval": every, "evaluation_interval": every}
    return {"global": pace, "rule_files": rules, "scrape_configs": [target]}


async def _ready(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_S), httpx.AsyncClient(trust_env=False) as client:
            while process.returncode is None:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{url}/-/ready")).is_success:
                        return
                await asyncio.sleep(0.1)
    raise CommandError(f"Prometheus did not start; see {log}")


async def _stopped(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
