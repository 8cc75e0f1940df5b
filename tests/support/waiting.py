"""Waiting for what will be true in a moment, and holding back what a buyer says until a test lets him."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from support.buyer import Received, reply

T = TypeVar("T")

PATIENCE_S = 60.0
"""A busy machine is not a defect: what is waited for comes at once where there is time for it."""


async def until(look: Callable[[], Awaitable[T]], is_right: Callable[[T], bool], within_s: float = PATIENCE_S) -> T:
    """What `look` finds once it is right. Fails with the last thing found."""
    ends_s = time.monotonic() + within_s
    while not is_right(found := await look()):
        if time.monotonic() > ends_s:
            raise AssertionError(f"not in {within_s} s: {found!r}")
        await asyncio.sleep(0.01)
    return found


@dataclass
class Held:
    """What a buyer says, held back until `release` is set; `asked` is set once he was asked."""

    document: object
    status: int = 200
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _: Received) -> bytes:
        self.asked.set()
        await self.release.wait()
        return reply(self.document, self.status)
