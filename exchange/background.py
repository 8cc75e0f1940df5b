"""Work that outlives the request that began it: every task has an owner, and shutdown waits for all of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import TypeVar

import structlog

from exchange.errors import StorageUnavailable

STOP_S = 2.0
CANCEL_AGAIN_S = 0.2
RETRY_FIRST_S = 0.1
RETRY_LONGEST_S = 1.0
LOOK_EVERY_S = 1.0
"""How often it is looked for more to do while something is under way."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


async def stop(tasks: Collection["asyncio.Task[None]"]) -> None:
    """Cancels tasks that go on for ever, and waits for them, but not for one that hangs.

    Cancels again where once is not enough: a library between may have taken it for a timeout of its own.
    """
    left, ends_at_s = set(tasks), time.monotonic() + STOP_S
    while left and time.monotonic() < ends_at_s:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)


async def until_stored(facts: Mapping[str, str], work: Callable[[], Awaitable[T]]) -> T:
    """Repeats what must be recorded until Postgres has it: a commit that was not confirmed is found again."""
    pause_s = RETRY_FIRST_S
    while True:
        try:
            return await work()
        except StorageUnavailable as error:
            log.warning("outcome_waits_for_postgres", error=str(error), **facts)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, RETRY_LONGEST_S)


class AtOnce:
    """Sees to several things at once, up to a number: each under a lease, and taken again by others if it is lost."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> int:
        """How many more may be begun with now."""
        return self._most - len(self._tasks)

    @property
    def names(self) -> set[str]:
        """What is under way."""
        return {task.get_name() for task in self._tasks}

    def start(self, work: Coroutine[object, object, None], name: str | None = None) -> None:
        """Begins with one thing. `work` sees to its own failures."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def work_off(self, begin: Callable[[], Awaitable[int]], stop: asyncio.Event) -> None:
        """Goes on until `begin` finds nothing though there is room, or it is to stop. It says how many it began."""
        while not stop.is_set() and (await begin() or self.room <= 0):
            await asyncio.wait(self._tasks, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)

    async def rest(self) -> None:
        """Returns when nothing is under way."""
        await asyncio.gather(*self._tasks)

    async def close(self, grace_s: float = 0.0) -> None:
        """Cancels what is under way, after a while in which it may end."""
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Background:
    """Owns tasks. A failure is logged, never lost; `drain` waits for what is under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[object, object, object], name: str) -> None:
        """Runs `work` to its end, whoever stops waiting for it."""
        task = asyncio.ensure_future(work)
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def drain(self, timeout_s: float) -> int:
        """Waits for all tasks, at most `timeout_s`; returns how many were still running and had to be cancelled."""
        if not self._tasks:
            return 0
        _, running = await asyncio.wait(set(self._tasks), timeout=timeout_s)
        for task in running:
            task.cancel()
        return len(running)

    def _ended(self, task: "asyncio.Task[object]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_work_failed", name=task.get_name(), error=type(error).__name__)
