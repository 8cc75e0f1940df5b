"""A gateway with the benchmark kit's market, buyers and load, for load tests that measure one at work."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_kit import DIRECT, Failed, Farm, Running, build, load, make_market, project
from exchange_process import Exchange, own_exchange

from exchange.ports import free_ports

ASKED, PORTS_A_BUYER = 10, 4
"""Buyers asked for a ping as a rule; the kit's market has four times as many."""
BUYERS_SECRET = {"BENCH_BUYER_TOKEN": "any"}  # what the kit's market takes from the environment
CONNECTIONS = 50


@dataclass(frozen=True)
class World:
    """A market in force with its buyers: the sellers' keys, what answers have to hold, and which CPUs make the load."""

    folder: Path
    keys: dict[str, str]
    checks: list[str]
    load_cpus: set[int]


@dataclass(frozen=True)
class Site:
    """A gateway that serves."""

    world: World
    running: Running
    port: int

    @property
    def keys(self) -> dict[str, str]:
        return self.world.keys

    def load(self, seller: str = "acme", **options: object) -> dict[str, Any]:
        """One run of the kit's load, every answer of which is checked; refusals for overload are told apart."""
        header = ["--header", f"Authorization: Bearer {self.keys[seller]}", "--refusal", '"overloaded"']
        settings = {"conns": CONNECTIONS, "warm": 0.5, "port": self.port} | options
        return load(self.world.load_cpus, [*self.world.checks, *header], **settings)

    def metrics(self) -> str:
        with DIRECT.open(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def cpu_us(self) -> float:
        """CPU time that the gateway's processes have used."""
        return self.running.cpu_ns()[0] / 1_000


def run(name: str, measure: Callable[[Exchange], list[str]]) -> int:
    """Runs a load test on an exchange of its own, and says what it found wrong; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    faults = []
    try:
        build([])
        with own_exchange(**BUYERS_SECRET) as exchange:
            faults = measure(exchange)
    except Failed as failed:
        faults.append(str(failed))
    for fault in faults:
        print(f"{name}: {fault}", file=sys.stderr)
    return 1 if faults else 0


@contextmanager
def world(
    exchange: Exchange,
    load_cpus: set[int],
    *,
    orders: int,
    think_ms: float = 0,
    sellers: Sequence[str] = ("acme",),
    asked: int = ASKED,
) -> Iterator[World]:
    """The kit's market in force, and its buyers, who think for so long, while this lasts."""
    os.environ.update(exchange.environment)  # of what the kit starts
    folder = exchange.folder / "market"
    make_market(folder, orders=orders, fanout=asked, base=free_ports(PORTS_A_BUYER * asked))
    market = (folder / "market.yaml").read_text()
    others = "".join(f"  {seller}: {{campaigns: [auto-us]}}\n" for seller in sellers if seller != "acme")
    (folder / "market.yaml").write_text(market.replace("\nsellers:\n", f"\nsellers:\n{others}"))
    exchange.apply(folder / "market.yaml")
    expected = json.loads((folder / "expected.json").read_text())
    checks = ["--expect", '"offered"']
    for line, ping in enumerate(expected["pings"], 1):
        checks += ["--expect-line", f'{line}="{ping["price"]}"']
    keys = {seller: exchange.new_key(seller) for seller in sellers}
    farm = Farm(load_cpus, **expected["farm"], think_ms=think_ms, max_seconds=3_600)
    try:
        yield World(folder, keys, checks, load_cpus)
    finally:
        farm.process.terminate()
        farm.process.wait()


@contextmanager
def serving(world: World, cpus: set[int], options: str = "") -> Iterator[Site]:
    """`exchange serve` with further options while this lasts."""
    port = free_ports(1)
    command = project(f"{sys.executable} -m exchange.cli serve --port {port} {options}")
    running = Running(command, port, world.folder, cpus, set())
    try:
        yield Site(world, running, port)
    finally:
        running.stop()
