"""The nemesis: a seeded schedule of kills, freezes, floods and cuts, a quarter of it peace, and the healing."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from signal import SIGKILL, SIGQUIT

from redis.asyncio import Redis
from redis.exceptions import RedisError

from exchange.simulation.chaos.diary import Struck
from exchange.simulation.chaos.link import FAIR, Link, Weather
from exchange.simulation.chaos.processes import Child, Embedded

PEACE = 0.25
PERIOD_S = (0.5, 2.2)
SHORT_FREEZE_S = (0.3, 2.5)
FROZEN_POSTGRES_S = (0.3, 4.0)

Fault = Callable[[float], Awaitable[str | None]]
"""Strikes, given how many seconds are left; says what it did, or None where there was nothing to do."""


@dataclass(frozen=True, slots=True)
class Battlefield:
    """What there is to be harmed. `lease_s` is the longest lease of an attempt: some freezes last longer."""

    gateways: Sequence[Child]
    worker: Child
    postgres: Embedded
    valkey: Embedded
    valkey_url: str
    to_buyers: Sequence[Link]
    to_postgres: Sequence[Link]
    to_valkey: Sequence[Link]
    lease_s: float


class Nemesis:
    """Strikes by seed until its time is over; `heal` undoes whatever lasts."""

    def __init__(self, field: Battlefield, seed: int) -> None:
        self.struck: list[Struck] = []
        self.counts: Counter[str] = Counter()
        self._field = field
        self._random = Random(seed)
        self._thaws: set[asyncio.Task[None]] = set()
        self._faults: tuple[tuple[int, str, Fault], ...] = (
            (5, "gateway killed", self._kill_gateway),
            (5, "gateway frozen", self._freeze_gateway),
            (2, "gateway frozen past its leases", self._freeze_gateway_long),
            (2, "worker killed", self._kill_worker),
            (2, "postgres restarted", self._restart_postgres),
            (2, "postgres frozen", self._freeze_postgres),
            (2, "valkey flushed", self._flush_valkey),
            (2, "valkey killed", self._kill_valkey),
            (6, "wire to buyers", self._wire_to_buyers),
            (5, "wire to postgres", self._wire_to_postgres),
            (2, "wire to valkey", self._wire_to_valkey),
        )
        self._due = self._random.sample(self._faults, len(self._faults))

    async def run(self, seconds: float) -> None:
        """Strikes for so long."""
        ends_s = time.monotonic() + seconds
        while (left_s := ends_s - time.monotonic()) > 0:
            for _ in range(self._strokes()):
                name, fault = self._draw()
                what = await fault(left_s)
                if what is not None:
                    self.counts[name] += 1
                    self._note(what)
            await asyncio.sleep(min(left_s, self._random.uniform(*PERIOD_S)))
            if self._random.random() < 0.6:
                await self._clear_up()

    async def heal(self) -> None:
        """Ends everything that lasts."""
        for task in self._thaws:
            task.cancel()
        await asyncio.gather(*self._thaws, return_exceptions=True)
        self._field.postgres.thaw()
        for child in (*self._field.gateways, self._field.worker):
            child.thaw()
        await self._clear_up()
        self._note("all is healed")

    def _draw(self) -> tuple[str, Fault]:
        """The next fault: first each kind once, then by weight."""
        if self._due:
            return self._due.pop()[1:]
        weights = [weight for weight, _, _ in self._faults]
        return self._random.choices(self._faults, weights)[0][1:]

    def _strokes(self) -> int:
        return 0 if self._random.random() < PEACE else self._random.choice((1, 1, 2))

    def _note(self, what: str) -> None:
        self.struck.append(Struck(time.time(), what))

    async def _clear_up(self) -> None:
        for link in (*self._field.to_buyers, *self._field.to_postgres, *self._field.to_valkey):
            if link.weather != FAIR:
                await link.change(FAIR)
                self._note(f"the wire {link.name} is fair again")

    def _standing(self) -> Child | None:
        standing = [gateway for gateway in self._field.gateways if not gateway.frozen]
        return self._random.choice(standing) if standing else None

    async def _kill_gateway(self, _: float) -> str | None:
        gateway = self._standing()
        if gateway is None:
            return None
        gateway.kill()
        return f"{gateway.name} is killed"

    async def _freeze_gateway(self, _: float) -> str | None:
        return self._freeze(self._random.uniform(*SHORT_FREEZE_S))

    async def _freeze_gateway_long(self, left_s: float) -> str | None:
        seconds = self._field.lease_s + self._random.uniform(1.0, 3.0)
        return self._freeze(seconds) if seconds < left_s else None

    def _freeze(self, seconds: float) -> str | None:
        gateway = self._standing()
        if gateway is None:
            return None
        gateway.freeze()
        self._later(seconds, gateway.thaw, f"{gateway.name} is thawed")
        return f"{gateway.name} is frozen for {seconds:.1f} s"

    async def _kill_worker(self, _: float) -> str | None:
        self._field.worker.kill()
        return "the worker is killed"

    async def _restart_postgres(self, _: float) -> str | None:
        self._field.postgres.kill(SIGQUIT)
        return "postgres stops at once and starts again"

    async def _freeze_postgres(self, _: float) -> str | None:
        seconds = self._random.uniform(*FROZEN_POSTGRES_S)
        await self._field.postgres.freeze()
        self._later(seconds, self._field.postgres.thaw, "postgres is thawed")
        return f"postgres is frozen for {seconds:.1f} s"

    async def _flush_valkey(self, _: float) -> str | None:
        client = Redis.from_url(self._field.valkey_url, socket_timeout=1, socket_connect_timeout=1)
        try:
            await client.flushall()
        except (RedisError, OSError):
            return None  # it is just being restarted: that is worse
        finally:
            await client.aclose()
        return "valkey has forgotten everything"

    async def _kill_valkey(self, _: float) -> str | None:
        self._field.valkey.kill(SIGKILL)
        return "valkey is killed and starts again"

    async def _wire_to_buyers(self, _: float) -> str | None:
        link = self._random.choice(self._field.to_buyers)
        return await self._storm(link)

    async def _wire_to_postgres(self, _: float) -> str | None:
        return await self._storm(self._random.choice(self._field.to_postgres))

    async def _wire_to_valkey(self, _: float) -> str | None:
        return await self._storm(self._random.choice(self._field.to_valkey))

    async def _storm(self, link: Link) -> str:
        weather = self._random.choice(
            (
                Weather(latency_ms=self._random.uniform(20, 400)),
                Weather(cut_pct=60, latency_ms=5),
                Weather(reset_pct=70),
                Weather(half_pct=60),
                Weather(hole_pct=80),
                Weather(cut_pct=20, reset_pct=10, half_pct=20, hole_pct=20, latency_ms=30),
                Weather(shut=True, reset_pct=100),
            )
        )
        await link.change(weather)
        return f"the wire {link.name}: {_words(weather)}"

    def _later(self, seconds: float, work: Callable[[], None], what: str) -> None:
        async def wait() -> None:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(seconds)
            work()
            self._note(what)

        task = asyncio.create_task(wait())
        self._thaws.add(task)
        task.add_done_callback(self._thaws.discard)


def _words(weather: Weather) -> str:
    parts = (
        (weather.shut, "nobody listens"),
        (weather.latency_ms, f"{weather.latency_ms:.0f} ms late"),
        (weather.cut_pct, f"{weather.cut_pct:.0f} % cut"),
        (weather.reset_pct, f"{weather.reset_pct:.0f} % reset"),
        (weather.half_pct, f"{weather.half_pct:.0f} % half closed"),
        (weather.hole_pct, f"{weather.hole_pct:.0f} % held back"),
    )
    return ", ".join(text for value, text in parts if value)
