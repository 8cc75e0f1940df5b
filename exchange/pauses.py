"""Long work on the event loop, done in short steps: between two of them everything else has its turn."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, TypeVar, cast

from exchange.observe import metrics

STEP_S: Final = 0.0005
"""After so much work the event loop goes on with what else there is."""

IDLE_TURN_S: Final = 0.0001
"""A turn of the event loop that is over sooner had nothing else to do."""

TURNS: Final = 2
"""Turns that others have after a step at least: what comes in first only wakes whoever waits for it."""

REST_S: Final = 0.001
"""If they had something to do in these, they are left alone for so long: a ping goes on in many small parts."""

RESTED_MAX: Final = 2.0
"""For so many times what it has worked it rests in all: beside a loop that is never idle it ends, too."""

Found = TypeVar("Found")
_END = object()


class Steps:
    """One piece of long work. What is done at once must be well below a millisecond."""

    def __init__(self) -> None:
        self._worked_s = self._all_worked_s = self._rested_s = 0.0

    async def do(self, work: Callable[[], Found]) -> Found:
        """Does one part; if it was the last that fits into this step, others have their turn before it returns."""
        began_s = time.perf_counter()
        found = work()
        self._worked_s += time.perf_counter() - began_s
        if self._worked_s >= STEP_S:
            await self._rest()
        return found

    async def through(self, parts: Iterable[object]) -> None:
        """Goes through all parts."""
        async for _ in self.each(parts):
            pass

    async def each(self, parts: Iterable[Found]) -> AsyncIterator[Found]:
        """Finds one part after the other."""
        following = iter(parts)
        while (found := await self.do(lambda: next(following, _END))) is not _END:
            yield cast(Found, found)

    async def _rest(self) -> None:
        """Returns when the loop has nothing else to do, or has had time for that."""
        metrics.MARKET_STEP_SECONDS.observe(self._worked_s)
        self._all_worked_s += self._worked_s
        self._worked_s = 0.0
        for _ in range(TURNS):
            began_s = time.perf_counter()
            await asyncio.sleep(0)
            is_busy = time.perf_counter() - began_s >= IDLE_TURN_S
            if is_busy and self._rested_s < RESTED_MAX * self._all_worked_s:
                await asyncio.sleep(REST_S)
                self._rested_s += time.perf_counter() - began_s
                return
