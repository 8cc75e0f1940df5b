"""The ping engine as a test has it: asked like the exchange asks, and searched for what it may not leave behind."""

import asyncio
import gc
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from misbehaviour import BadBuyer

from exchange.buyers.answer import AnswerReader
from exchange.buyers.calls import Call, Round
from exchange.buyers.connection import Connection
from exchange.buyers.dialects import native
from exchange.buyers.fanout import Fanout
from exchange.buyers.limits import Limits
from exchange.buyers.line import Line
from exchange.values.bid import Asked
from exchange.values.deadline import Deadline
from exchange.values.market import Sale

PATIENCE_S = 60
BODY = b'{"ping_id":"p","lead":{"zip":"60601"}}'
READ = native.bid_reader(sale=Sale.EXCLUSIVE, currency="USD")


@dataclass
class Engine:
    """The ping engine, with lines to buyers made as they are needed."""

    fanout: Fanout
    lines: dict[str, Line] = field(default_factory=dict)

    def line(self, buyer: BadBuyer | str) -> Line:
        url = buyer if isinstance(buyer, str) else buyer.url
        if url not in self.lines:
            headers = native.ping_headers(f"order-{len(self.lines)}")
            self.lines[url] = self.fanout.line(headers["Exchange-Order"], url, headers, native.TIMEOUT_HEADER)
        return self.lines[url]

    def call(self, buyer: BadBuyer | str, timeout_ms: int = 2_000) -> Call:
        return Call(self.line(buyer), BODY, timeout_ms, READ)

    async def warmed(self, buyer: "BadBuyer", count: int = 1) -> None:
        """Connects, and waits until both sides know it."""
        self.fanout.warm([self.line(buyer)], count)
        await eventually(lambda: len(buyer.open) == count and self.fanout.stats().idle >= count)

    async def ask(self, *buyers: BadBuyer | str, timeout_ms: int = 2_000, decide_ms: int = 5_000) -> tuple[Asked, ...]:
        """Asks every buyer with the same deadline of his own."""
        calls = [self.call(buyer, timeout_ms) for buyer in buyers]
        return await self.fanout.ask(calls, Deadline.after_ms(decide_ms))


@asynccontextmanager
async def engine(limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Engine]:
    """An engine for one test. Afterwards no task, timer or socket of it may be left."""
    tasks, sockets = other_tasks(), open_sockets()
    fanout = Fanout(allow_private=True, limits=limits, tls=tls or NO_TRUST)
    opened = Engine(fanout)
    try:
        yield opened
    finally:
        await fanout.close()
    await eventually(lambda: other_tasks() <= tasks)
    assert fanout.stats().open == 0
    assert fanout._sockets.count == 0
    assert not live_timers()
    await eventually(lambda: open_sockets() <= sockets)


async def eventually(is_so: Callable[[], bool]) -> None:
    """Waits until something is so, but not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.005)


def other_tasks() -> set["asyncio.Task[Any]"]:
    """All tasks but the one that asks."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def open_sockets() -> int:
    """How many sockets this process has. Event loops open descriptors of other kinds when it suits them."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def live_timers() -> list[asyncio.TimerHandle]:
    """The engine's timers that are still to fire. Only the standard event loop can be looked into."""
    scheduled: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled", [])
    return [timer for timer in scheduled if not timer.cancelled() and "exchange" in repr(timer)]


def engine_objects() -> Counter[str]:
    """What the engine has made for pings and connections, and something still holds: timers, tasks, or each other."""
    kinds = {Call, Round, Connection, AnswerReader}
    return Counter(type(found).__name__ for found in gc.get_objects() if type(found) in kinds)


NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Making a context that trusts the usual authorities takes a while, and plain HTTP needs none."""
