"""The processes of a run: started, killed, frozen, thawed, started again when they end by themselves, stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from exchange.embedded.processes import read_pid, stop_leftover

RESTART_S = 0.5
READY_S = 60.0
STOP_S = 60.0
PS = ("/bin/ps", "-A", "-o", "pid=,ppid=")

Note = Callable[[str], None]
"""Is told in a sentence what happened to whom."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a process is started: the program before the words of the command line, and its environment."""

    name: str
    program: Sequence[str]
    words: Sequence[str]
    environment: Mapping[str, str]
    log: Path


class Child:
    """One process that is kept running until `stop`, on a leash: without us it ends by itself."""

    def __init__(self, recipe: Recipe, note: Note, *, url: str | None = None) -> None:
        self.name = recipe.name
        self.url = url
        self.frozen = False
        self._recipe = recipe
        self._note = note
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep())

    async def ready(self) -> None:
        """Returns when it answers on its own readiness probe."""
        async with asyncio.timeout(READY_S), httpx.AsyncClient(trust_env=False) as client:
            while True:
                with suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/readyz", timeout=2)).is_success:
                        return
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        self._send(signal.SIGKILL)
        self.frozen = False

    def freeze(self) -> None:
        self.frozen = self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)
        self.frozen = False

    async def stop(self) -> bool:
        """Asks it to end; whether it did so by itself."""
        self._stopping = True
        self.thaw()
        self._send(signal.SIGTERM)
        if self._process is not None:
            try:
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
                return False
        if self._keeper is not None:
            await self._keeper
        return True

    async def _keep(self) -> None:
        while not self._stopping:
            self._process = await self._spawn()
            status = await self._process.wait()
            if not self._stopping:
                self._note(f"{self.name} ended with {status}")
                await asyncio.sleep(RESTART_S)

    async def _spawn(self) -> asyncio.subprocess.Process:
        recipe = self._recipe
        with recipe.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *recipe.program,
                *recipe.words,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(recipe.environment),
                start_new_session=True,
            )

    def _send(self, number: signal.Signals) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
            return True
        return False


class Embedded:
    """An embedded server, found by the file that its keeper writes; killed, it is started again by its keeper.

    `mark` is what the command line of this very server holds: an id in a file may be somebody else's by now.
    """

    def __init__(self, name: str, pid_file: Path, mark: str) -> None:
        self.name = name
        self._pid_file = pid_file
        self._mark = mark
        self._frozen: list[int] = []

    def kill(self, number: signal.Signals) -> None:
        self._signal(number)

    async def freeze(self) -> None:
        """Stops the server and all its children."""
        pid = self._signal(signal.SIGSTOP)
        if pid is not None:
            self._frozen = [pid, *await _children(pid)]
            self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)
        self._frozen = []

    def _signal(self, number: signal.Signals) -> int | None:
        pid = read_pid(self._pid_file)
        found = None if pid is None else stop_leftover(pid, [self._mark], [(number, 0.0)])
        return None if found is None else pid

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


async def _children(parent: int) -> list[int]:
    process = await asyncio.create_subprocess_exec(*PS, stdout=asyncio.subprocess.PIPE)
    listed, _ = await process.communicate()
    pairs = [line.split() for line in listed.splitlines()]
    return [int(pid) for pid, its_parent in pairs if int(its_parent) == parent]


def python(*arguments: str) -> tuple[str, ...]:
    """This interpreter with arguments."""
    return (sys.executable, *arguments)


EXCHANGE = python("-m", "exchange.cli")
