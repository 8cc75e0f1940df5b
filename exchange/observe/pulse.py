"""The pulse: measures a process once a second, and how late its event loop is ten times a second."""

import asyncio
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence

from exchange.observe import metrics

BEAT_S = 0.1
BEATS = 10
"""After so many beats everything else is measured, too."""
STILL_S = 60.0
"""A process whose event loop has not turned for so long hangs."""


class Pulse:
    """Runs beside the work of a process. `measures` are called once a second; they must not fail."""

    def __init__(self, role: str, measures: Sequence[Callable[[], None]] = ()) -> None:
        self._label = (role,)
        self._measures = measures
        self._cpu_s = 0.0
        self._beaten_s = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._beat(), name="pulse")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.measure()

    def is_felt(self) -> bool:
        """Whether the event loop has turned of late. Any thread may ask."""
        return time.monotonic() - self._beaten_s < STILL_S

    def measure(self) -> None:
        """Measures everything but the event loop."""
        used = os.times()
        now_s = used.user + used.system
        metrics.PROCESS_CPU_SECONDS.add(self._label, now_s - self._cpu_s)
        self._cpu_s = now_s
        metrics.PROCESS_RESIDENT_BYTES.set(_most_bytes(), self._label)
        metrics.PROCESSES.set(1, self._label)
        for measure in self._measures:
            measure()

    async def _beat(self) -> None:
        while True:
            self.measure()
            for _ in range(BEATS):
                due_s = time.monotonic() + BEAT_S
                await asyncio.sleep(BEAT_S)
                self._beaten_s = time.monotonic()
                metrics.LOOP_LAG_SECONDS.observe(max(0.0, self._beaten_s - due_s))


def _most_bytes() -> int:
    """The most memory that this process ever had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
