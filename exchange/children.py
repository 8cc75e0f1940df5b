"""Child processes of `exchange serve`: kept running, held on a leash, stopped together."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress

import structlog

RESTART_FIRST_S = 0.5
RESTART_LONGEST_S = 15.0
STEADY_S = 30.0

log = structlog.get_logger(__name__)


def _nothing() -> None:
    """Nobody need be told."""


class Children:
    """Starts children and starts them again when they end by themselves. Each has a pipe to us as standard input."""

    def __init__(self, environment: Mapping[str, str], stop: asyncio.Event, *, stop_timeout_s: float) -> None:
        self._environment = dict(environment)
        self._stop = stop
        self._stop_timeout_s = stop_timeout_s
        self._tasks: list[asyncio.Task[None]] = []

    def keep(
        self, name: str, arguments: Sequence[str], *, share: Sequence[int] = (), ended: Callable[[], None] = _nothing
    ) -> None:
        """Keeps `python -m exchange.cli ARGUMENTS` running; `share` are descriptors it inherits.

        `ended` is called each time it has ended, however it did.
        """
        self._tasks.append(asyncio.create_task(self._keep(name, arguments, share, ended), name=name))

    async def keep_ready(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        within_s: float,
        share: Sequence[int] = (),
        ended: Callable[[], None] = _nothing,
    ) -> None:
        """As `keep`, and waits for the child to say that it has started, but no longer than `within_s`."""
        said = asyncio.Event()
        reading, writing = os.pipe()
        asyncio.get_running_loop().add_reader(reading, said.set)
        try:
            self.keep(name, [*arguments, "--ready", str(writing)], share=[*share, writing], ended=ended)
            await _first(said.wait(), self._stop.wait(), asyncio.sleep(within_s))
        finally:
            asyncio.get_running_loop().remove_reader(reading)
            os.close(reading)

    async def ended(self) -> None:
        """Returns when all children have ended, which they do once the stop event is set."""
        await asyncio.gather(*self._tasks)

    async def _keep(self, name: str, arguments: Sequence[str], share: Sequence[int], ended: Callable[[], None]) -> None:
        loop, pause_s = asyncio.get_running_loop(), RESTART_FIRST_S
        while not self._stop.is_set():
            started_s = loop.time()
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "exchange.cli",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                env=self._environment,
                pass_fds=share,
                start_new_session=True,  # Ctrl-C at the terminal is ours to pass on
            )
            await self._ended_or_stopped(child)
            ended()
            if self._stop.is_set():
                return
            log.error("child_ended", name=name, status=child.returncode)
            pause_s = RESTART_FIRST_S if loop.time() - started_s > STEADY_S else min(pause_s * 2, RESTART_LONGEST_S)
            await _first(self._stop.wait(), asyncio.sleep(pause_s))

    async def _ended_or_stopped(self, child: asyncio.subprocess.Process) -> None:
        await _first(child.wait(), self._stop.wait())
        if child.returncode is not None:
            return
        child.terminate()
        try:
            async with asyncio.timeout(self._stop_timeout_s):
                await child.wait()
        except TimeoutError:
            log.error("child_killed", pid=child.pid)  # noqa: TRY400  # the time-out is the whole story
            child.kill()
            await child.wait()


async def _first(*waits: Coroutine[object, object, object]) -> None:
    """Returns when the first of the waits ends, and drops the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def say_ready(descriptor: int | None) -> None:
    """A child tells who started it that it has; nobody may be listening any more."""
    if descriptor is not None:
        with suppress(BrokenPipeError):
            os.write(descriptor, b".")


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stop`; a second one changes nothing."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def stop_without_parent(stop: asyncio.Event, leash: int = 0) -> None:
    """Sets `stop` when the pipe on descriptor `leash` closes: whoever held its other end is gone."""
    loop = asyncio.get_running_loop()

    def on_readable() -> None:
        if not os.read(leash, 4096):
            loop.remove_reader(leash)
            stop.set()

    loop.add_reader(leash, on_readable)
