"""The ping engine: it keeps the connections to all buyers, and asks many of them at the same moment."""

import asyncio
import ssl
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from exchange.buyers.calls import Call, Round, Tally
from exchange.buyers.dialling import Dialler, Origin
from exchange.buyers.limits import Limits
from exchange.buyers.line import Line, read_target, request_head
from exchange.buyers.measures import Load, Stats
from exchange.buyers.pool import Pool, Sockets
from exchange.buyers.tls import trusting_context
from exchange.values.bid import Asked, Refusal
from exchange.values.deadline import Deadline


class Fanout:
    """Asks buyers. A call never raises: it yields one `Asked`, whatever the buyer does."""

    def __init__(self, *, allow_private: bool, limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> None:
        """`tls` says whom to trust, where it is not the usual authorities."""
        self._loop = asyncio.get_running_loop()  # asking for it costs a system call
        self._allow_private = allow_private
        self._limits = limits or Limits()
        self._tls = tls or trusting_context()
        self.tally = Tally()
        self._sockets = Sockets(self._limits.sockets_max)
        self._pools: dict[Origin, Pool] = {}
        self._dropped = Stats()
        self._sweeper: asyncio.TimerHandle | None = None

    def line(
        self,
        order: str,
        url: str,
        headers: Mapping[str, str],
        timeout_header: str,
        method: str = "POST",
        load: Load | None = None,
    ) -> Line:
        """Prepares an order's way out, to be kept by the caller: connections live as long as a line to their origin.

        `timeout_header` is the header that tells the buyer how many milliseconds he has. `load` counts the answers that
        nobody waits for any more.
        """
        try:
            target = read_target(url)
            head = request_head(target, headers, timeout_header, method)
        except ValueError:
            return Line(order, None, b"")
        return Line(order, self._pool(target.origin), head, load=load)

    def warm(self, lines: Iterable[Line], count: int) -> "list[asyncio.Task[Refusal | None]]":
        """Starts to connect, until each of these lines' pools has `count` connections or is at its limits.

        What is returned can be waited for, but need not be.
        """
        pools = {line.pool for line in lines if line.pool is not None}
        return [dial for pool in pools for dial in pool.warm(count)]

    def ask(self, calls: Sequence[Call], decide_by: Deadline) -> Coroutine[Any, Any, tuple[Asked, ...]]:
        """Asks all orders at once; returns when all have answered, or none may any more.

        An answer that comes after its own deadline while others are still waited for is `LATE`; a buyer that is
        silent in the end is `TIMEOUT`. The result is in the order of `calls`.
        """
        return Round(calls, decide_by.at_s, self._loop, self.tally).run()

    def stats(self) -> Stats:
        """Counts of all connections, also of those to origins that the market no longer knows."""
        return reduce(Stats.plus, (pool.stats() for pool in self._pools.values()), self._dropped)

    def measure(self) -> None:
        """Brings the metrics of all connections up to date."""
        for pool in self._pools.values():
            pool.measure()

    async def close(self) -> None:
        """Closes every connection; calls that are under way fail."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for pool in self._pools.values():
            await pool.close()
        await asyncio.sleep(0)  # the sockets close in the loop's next turn

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            dialler = Dialler(origin, self._limits, self._tls, allow_private=self._allow_private)
            pool = self._pools[origin] = Pool(dialler, self._limits, self._sockets, origin.address)
            self._sweep_later()
        return pool

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._limits.sweep_s, self._sweep)

    def _sweep(self) -> None:
        """Closes what has been idle or draining for too long, and forgets origins that nobody needs."""
        self._sweeper = None
        now_s = time.monotonic()
        for origin in [origin for origin, pool in self._pools.items() if not pool.sweep(now_s)]:
            self._dropped = self._dropped.plus(self._pools.pop(origin).dropped())
        if self._pools:
            self._sweep_later()
