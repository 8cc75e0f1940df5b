"""Sellers' rates over several gateways: each counts for itself, and ten times a second tells Valkey what it has let in.

Valkey keeps one bucket a seller and says how much all gateways together have left in it; each goes on from there. So a
seller who sends through many gateways gets his rate once, not once from each. Until the next telling each may let in
what it believes is left: a burst at several gateways at once can be as large as the bucket at each of them, and is then
paid back. Without Valkey every gateway counts alone.
"""

import asyncio
import time
from collections.abc import Mapping

import structlog

from exchange.background import stop
from exchange.rules.rates import Buckets
from exchange.storage.valkey import Valkey
from exchange.values.brakes import Rate

TELL_EVERY_S = 0.1
FORGET_EVERY = 100
"""After so many tellings the buckets that are full again are dropped."""

_TAKE = """
local found = redis.call('hmget', KEYS[1], 'tokens', 'at')
local time = redis.call('time')
local now = time[1] + time[2] / 1000000
local per_s, burst, taken = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tokens = burst
if found[1] then tokens = math.min(burst, found[1] + math.max(0, now - found[2]) * per_s) end
tokens = math.max(-burst, tokens - taken)
redis.call('hset', KEYS[1], 'tokens', string.format('%.3f', tokens), 'at', string.format('%.6f', now))
redis.call('expire', KEYS[1], math.ceil((burst - tokens) / per_s) + 1)
return string.format('%.3f', tokens)
"""
"""Takes from a bucket, at most until it lacks another burst: nobody is shut out for longer than that takes to fill."""

log = structlog.get_logger(__name__)


class SharedRates:
    """Keeps a gateway's buckets in line with those of the others."""

    def __init__(self, buckets: Buckets, url: str) -> None:
        self._buckets = buckets
        self._valkey = Valkey(url)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._tell(), name="rates")

    async def close(self) -> None:
        if self._task is not None:
            await stop([self._task])
        await self._valkey.close()

    async def share(self) -> None:
        """Tells what was taken here since the last time, and hears what is left; nothing where Valkey is away."""
        taken, self._buckets.taken = self._buckets.taken, {}
        if taken:
            levels = await self._take(taken, self._buckets.rates(taken))
            self._buckets.heard(levels, time.monotonic())

    async def _take(self, taken: Mapping[str, int], rates: Mapping[str, Rate]) -> dict[str, float]:
        """What is left in each bucket of which Valkey has said so."""
        commands = [
            ("EVAL", _TAKE, 1, f"exchange:rate:{name}", rate.per_s, rate.burst, taken[name])
            for name, rate in rates.items()
        ]
        left = await self._valkey.send(commands)
        found = zip(rates, left, strict=True)
        return {name: float(level) for name, level in found if not isinstance(level, Exception)}

    async def _tell(self) -> None:
        turns = 0
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            turns += 1
            try:
                await self.share()
            except Exception:
                log.exception("rates_not_shared")
            if turns % FORGET_EVERY == 0:
                self._buckets.forget_full(time.monotonic())
