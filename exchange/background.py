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
