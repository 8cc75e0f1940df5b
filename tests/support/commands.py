"""The command line as a person uses it: real processes, their words, their exit statuses."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from exchange.embedded.lease import Services
from support.forked import forks

EXCHANGE = [sys.executable, "-m", "exchange.cli"]
PATIENCE_S = 100
STARTED = {"serve", "worker", "demo"}
"""Commands that are never forked: what they import, and from where, is theirs."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Runs commands in one environment."""

    environment: dict[str, str]
    folder: Path

    async def run(self, *arguments: str, said: str | None = None) -> Done:
        """Runs a command to its end; `said` is what somebody types."""
        if arguments[0] in STARTED:
            process = await self.start(*arguments)
            async with asyncio.timeout(PATIENCE_S):
                out, err = await process.communicate()
            return Done(process.returncode or 0, out.decode(), err.decode())
        return Done(*await forks().run(arguments, self.environment, self.folder, said, PATIENCE_S))

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *EXCHANGE,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
            cwd=self.folder,
            start_new_session=True,
        )

    @asynccontextmanager
    async def serving(self, *arguments: str) -> AsyncIterator["Serving"]:
        """`exchange serve` on a free port, with everything it starts; all of it is gone in the end."""
        process = await self.start("serve", "--port", "0", *arguments)
        assert process.stderr is not None
        said = b""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (match := re.search(rb"serving on (http://\S+)", said)) is None:
                    line = await process.stderr.readline()
                    assert line, said.decode()
                    said += line
            serving = Serving(process, match[1].decode())
            serving.reading = asyncio.create_task(serving.read_on())
            yield serving
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):  # a test may have killed it a moment ago
                    os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


class Serving:
    """A gateway process."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url
        self.log = b""
        self.reading: asyncio.Task[None] | None = None

    async def read_on(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log += line

    def family(self) -> list[psutil.Process]:
        """The process and all that it started, as they are now."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    async def stop(self) -> int:
        """Asks it to stop as an operator would; its exit status."""
        self.process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


async def gone(processes: list[psutil.Process], within_s: float = 60) -> bool:
    """Whether all of these have ended in time."""
    for _ in range(int(within_s / 0.05)):
        if not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            return True
        await asyncio.sleep(0.05)
    return False


def shell_on(services: Services, folder: Path) -> Shell:
    """A shell whose commands use the servers of the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")}
    environment |= {
        "EXCHANGE_POSTGRES_URL": services.postgres_url,
        "EXCHANGE_VALKEY_URL": services.valkey_url,
        "EXCHANGE_DATA_DIR": str(folder / "data"),
        "EXCHANGE_ALLOW_PRIVATE_ADDRESSES": "1",
        "COLUMNS": "100",
    }
    return Shell(environment, folder)


def embedded_shell(folder: Path) -> Shell:
    """A shell whose commands bring their own servers, in a data directory below `folder`."""
    shell = shell_on(Services("", ""), folder)
    for name in ("EXCHANGE_POSTGRES_URL", "EXCHANGE_VALKEY_URL"):
        del shell.environment[name]
    return shell
