"""Measures how much longer pings take while a gateway takes up a new market of 10,000 orders.

    python loadtests/swap_delay.py                          # --orders, --rate, --swaps, --fanout
    python loadtests/swap_delay.py --mixed                  # filters of all kinds, as in matching_speed.py
    python loadtests/swap_delay.py --edit                   # one order is changed, and no other

A steady 100 pings/s are offered that do not wait for each other; two markets are put in force in turn. Pings that were
sent between the moment a market was applied and a second after it came into force are compared with those of as long a
time without a change. Each answer must have the price that the buyers' bids give. Buyers are the benchmark kit's. The
gateway itself says how long its steps were, and how late its event loop was.

All of it shares the CPUs, so a ping may also wait for one: that is told apart. Of each ping it is known how long the
gateway worked meanwhile, and how long it and this command were ready to while others had the CPUs. And after each swap
another process takes as much of a CPU as reading that market did, in the same way, while nothing else changes: what
pings feel of that is the machine's. The exit status is 1 where an answer was wrong.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from bench_kit import BENCH, Failed, Farm, build, make_market
from cores import Cpu, burner, child_of, cpu_of
from exchange_process import Exchange, own_exchange
from matching_speed import mixed_filter

from exchange.marketfile.reader import read
from exchange.marketfile.source import scan
from exchange.ports import free_ports
from exchange.storage import catalogue
from exchange.storage.database import Database

BUYERS_EACH = 4  # so many has the kit's market for each that a ping asks, each with a port of his own
IN_FORCE_S = 60.0
LATE_MS = 20.0
LATE_SHOWN = 5
WATCH_EVERY_S = 0.05
BUYERS_SECRET = {"BENCH_BUYER_TOKEN": "any"}


Log = Callable[[], str]
"""What the gateway has said so far."""


class Ping(NamedTuple):
    """When a ping was due (loop time), how long its answer took from then, and who had the CPUs meanwhile."""

    due_s: float
    took_ms: float
    gateway: Cpu
    own: Cpu

    @property
    def unforced_ms(self) -> float:
        """How long it took besides waiting for a CPU."""
        return self.took_ms - self.gateway.waited_ms - self.own.waited_ms

    @property
    def others_ms(self) -> float:
        """What it took of the time of Postgres, the buyers and the network."""
        return max(0.0, self.unforced_ms - self.gateway.worked_ms)


@dataclass
class Sent:
    """What has become of the pings of one run."""

    pings: list[Ping] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    def between(self, start_s: float, end_s: float) -> list[Ping]:
        return [ping for ping in self.pings if start_s <= ping.due_s < end_s]


def main() -> int:
    options = arguments()
    build([])
    with own_exchange(**BUYERS_SECRET) as exchange:
        os.environ.update(exchange.environment)
        folders = [exchange.folder / name for name in ("one", "other")]
        base = free_ports(BUYERS_EACH * options.fanout)
        for seed, folder in enumerate(folders, 1):
            make_market(folder, orders=options.orders, fanout=options.fanout, base=base, seed=seed)
        expected = json.loads((folders[0] / "expected.json").read_text())
        cpus = set(os.sched_getaffinity(0))
        farm = Farm(cpus, **expected["farm"], think_ms=0, max_seconds=7_200)
        try:
            exchange.run("migrate")
            with applier(exchange, folders, options) as apply:
                apply()
                key = exchange.new_key("acme")
                with exchange.serving() as url:
                    try:
                        asyncio.run(measure(url, key, expected["pings"], apply, exchange.log, options))
                    except BaseExceptionGroup:
                        print(exchange.log(), file=sys.stderr)
                        raise
        finally:
            farm.process.terminate()
            farm.process.wait()
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--fanout", type=int, default=10, help="buyers asked")
    parser.add_argument("--rate", type=float, default=100, help="pings/s")
    parser.add_argument("--swaps", type=int, default=5)
    parser.add_argument("--settle-s", type=float, default=2.0, help="rest before and after what is measured")
    parser.add_argument("--edit", action="store_true", help="the second market differs in one order only")
    parser.add_argument("--mixed", action="store_true", help="orders with filters of all kinds")
    return parser.parse_args()


# ---- the markets ----


class Apply:
    """Puts the next market in force from another process: this one has pings to time."""

    def __init__(self, pipe: "Connection[None, int]") -> None:
        self._pipe = pipe

    def __call__(self) -> int:
        self._pipe.send(None)
        return self._pipe.recv()


@contextmanager
def applier(exchange: Exchange, folders: Sequence[Path], options: argparse.Namespace) -> Iterator[Apply]:
    ours, theirs = multiprocessing.Pipe()
    work = (theirs, exchange.services.postgres_url, folders, options.mixed, options.edit)
    process = multiprocessing.get_context("spawn").Process(target=apply_when_told, args=work, daemon=True)
    process.start()
    theirs.close()  # so that the loss of the process is the end of the pipe
    try:
        yield Apply(ours)
    finally:
        process.terminate()
        process.join()


def apply_when_told(pipe: "Connection[int, None]", url: str, folders: Sequence[Path], mixed: bool, edit: bool) -> None:
    documents = [document_of(folder, mixed=mixed) for folder in folders]
    if edit:
        documents[1] = edited(documents[0])
    markets = [(document, read(document)) for document in documents]

    async def apply(number: int) -> int:
        database = await Database.connect(url, connections_max=1, timeout_s=10, name="swap_delay")
        try:
            return await catalogue.apply(database, *markets[number % 2], "swap delay")
        finally:
            await database.close()

    number = 0
    while True:
        pipe.recv()
        pipe.send(asyncio.run(apply(number)))
        number += 1


def edited(document: dict[str, Any]) -> dict[str, Any]:
    """The same but for one order that no ping matches."""
    key = next(key for key in reversed(document["orders"]) if key.startswith("filler"))
    return document | {"orders": document["orders"] | {key: document["orders"][key] | {"priority": 9}}}


def document_of(folder: Path, *, mixed: bool) -> dict[str, Any]:
    """The kit's market; `mixed` gives the orders that match no ping further conditions of all kinds."""
    document = scan((folder / "market.yaml").read_text()).document
    assert document is not None
    if mixed:
        chance = random.Random(folder.name)
        kinds = [partial(mixed_filter, patterns=False)(chance) for _ in range(200)]
        for key, order in document["orders"].items():
            if key.startswith("filler"):
                order["filter"] = {
                    name: asked
                    for name, asked in (chance.choice(kinds) | order["filter"]).items()
                    if name not in {"insured", "or", "not"}
                }
    return document


# ---- the pings ----


async def measure(
    url: str, key: str, pings: Sequence[dict[str, Any]], apply: Apply, log: Log, options: argparse.Namespace
) -> None:
    gateway = child_of(os.getpid(), b"\0serve\0")
    if gateway is None:
        raise Failed("there is no gateway")
    sent, stop = Sent(), asyncio.Event()
    seller = Seller(url, key, pings, gateway)
    async with asyncio.TaskGroup() as group:
        group.create_task(seller.offer(options.rate, sent, stop))
        await swaps(seller, sent, apply, log, options)
        stop.set()


@dataclass
class Found:
    """What a run has measured."""

    in_force_s: list[float] = field(default_factory=list)
    read_ms: list[float] = field(default_factory=list)
    worked_ms: list[float] = field(default_factory=list)
    quiet: list[Ping] = field(default_factory=list)
    during: list[Ping] = field(default_factory=list)
    beside: list[Ping] = field(default_factory=list)
    late_when: Counter[str] = field(default_factory=Counter)


async def swaps(seller: "Seller", sent: Sent, apply: Apply, log: Log, options: argparse.Namespace) -> None:
    await asyncio.sleep(options.settle_s)
    found = Found()
    before = await seller.figures()
    await asyncio.sleep(options.settle_s)
    for _ in range(options.swaps):
        await swap(seller, sent, apply, found, log, options.settle_s)
    print(f"{options.orders} orders, {options.fanout} buyers a ping, {options.rate:g} pings/s, {options.swaps} swaps")
    seconds = found.in_force_s
    print(
        f"{'in force after':28} p50 {statistics.median(seconds):6.2f} s     {min(seconds):.2f} to {max(seconds):.2f} s"
    )
    after = await seller.figures()
    for what, name in (
        ("steps of the swaps", "exchange_market_step"),
        ("lateness of the event loop", "exchange_loop_lag"),
    ):
        print(f"{what:28} {longest(name + '_seconds_bucket', before, after)}")
    print(
        f"{'CPU of a swap':28} reader {statistics.median(found.read_ms):.0f} ms, "
        f"gateway {statistics.median(found.worked_ms):.0f} ms more than without"
    )
    show("without a swap", found.quiet)
    show("beside as much other work", found.beside)
    show("while a market is taken up", found.during)
    late = ", ".join(f"{what} {count}" for what, count in found.late_when.items())
    print(f"{f'over {LATE_MS:g} ms while it was':28} {late}")
    if sent.failed:
        raise SystemExit(f"not offered: {dict(sent.failed)}")


async def swap(seller: "Seller", sent: Sent, apply: Apply, found: Found, log: Log, settle_s: float) -> None:
    """One swap, then as long without one, then as long beside a process that uses as much CPU as the reader did."""
    loop = asyncio.get_running_loop()
    began_s, began, reading = loop.time(), cpu_of(seller.gateway), seller.reader_worked_ms()
    version = await asyncio.to_thread(apply)
    applied_s = loop.time()
    await in_force(version, log)
    in_force_s = loop.time()
    found.in_force_s.append(in_force_s - applied_s)
    await asyncio.sleep(1)
    took_s = loop.time() - began_s
    ends = {"written": applied_s, "taken up": in_force_s, "in force": loop.time()}
    for (what, end_s), start_s in zip(ends.items(), (began_s, applied_s, in_force_s), strict=True):
        found.during += (pings := sent.between(start_s, end_s))
        found.late_when[what] += sum(ping.took_ms > LATE_MS for ping in pings)
    worked, read_ms = cpu_of(seller.gateway).since(began), seller.reader_worked_ms() - reading
    await asyncio.sleep(settle_s)
    quiet_s, quiet = loop.time(), cpu_of(seller.gateway)
    await asyncio.sleep(took_s)
    found.quiet += sent.between(quiet_s, loop.time())
    found.read_ms.append(read_ms)
    found.worked_ms.append(worked.worked_ms - cpu_of(seller.gateway).since(quiet).worked_ms)
    with burner(read_ms):
        burning_s = loop.time()
        await asyncio.sleep(took_s)
    found.beside += sent.between(burning_s, loop.time())
    await asyncio.sleep(settle_s)


async def in_force(version: int, log: Log) -> None:
    """Returns when the gateway's log says that this market is in force: a look that costs the gateway nothing."""
    deadline_s = time.monotonic() + IN_FORCE_S
    told = re.compile(rf'"version":{version},.*"event":"market_in_force"')
    while told.search(log()) is None:
        if time.monotonic() > deadline_s:
            raise Failed(f"a market is not in force after {IN_FORCE_S:g} s")
        await asyncio.sleep(WATCH_EVERY_S)


def longest(bucket: str, before: dict[str, float], after: dict[str, float]) -> str:
    """How many observations of a histogram were above each of its bounds."""
    found = {name: value - before.get(name, 0) for name, value in after.items() if name.startswith(bucket)}
    bounds = [(float(name.split('le="')[1].split('"')[0]), value) for name, value in found.items()]
    total = max(value for _, value in bounds)
    above = [f"{total - value:.0f} over {bound * 1000:g}" for bound, value in sorted(bounds) if 0 < value < total]
    return f"{total:.0f}, of them {', '.join(above)} ms" if above else f"{total:.0f}"


def show(what: str, pings: Sequence[Ping]) -> None:
    ranked = sorted(ping.took_ms for ping in pings)
    p50, p99 = ranked[len(ranked) // 2], ranked[len(ranked) * 99 // 100]
    late = sorted((ping for ping in pings if ping.took_ms > p50 + LATE_MS), key=lambda ping: -ping.took_ms)
    forced = sum(ping.unforced_ms <= p50 + LATE_MS for ping in late)
    print(
        f"{what:28} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   max {ranked[-1]:6.2f} ms   "
        f"of {len(ranked)} pings {len(late)} took {LATE_MS:g} ms more than most, "
        f"{forced} of them because gateway or load waited for a CPU"
    )
    for ping in late[:LATE_SHOWN]:
        print(
            f"{'':28} {ping.took_ms:6.1f} ms: the gateway worked {ping.gateway.worked_ms:5.1f}, waited for a CPU "
            f"{ping.gateway.waited_ms:5.1f}; the load waited {ping.own.waited_ms:5.1f}; others {ping.others_ms:5.1f}"
        )


class Seller:
    """Sends pings on connections that are kept; a ping does not wait for another."""

    def __init__(self, url: str, key: str, pings: Sequence[dict[str, Any]], gateway: int) -> None:
        self.gateway = gateway
        self._host, port = url.removeprefix("http://").rsplit(":", 1)
        self._port = int(port)
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        bodies = (BENCH / "pings.jsonl").read_bytes().splitlines()
        self._pings = [
            (self._request(key, body), f'"{ping["price"]}"'.encode()) for body, ping in zip(bodies, pings, strict=True)
        ]

    def reader_worked_ms(self) -> float:
        """What the process that reads markets for the gateway has worked; 0 while there is none."""
        reader = child_of(self.gateway, b"exchange.takeover.child")
        return 0.0 if reader is None else cpu_of(reader).worked_ms

    def _request(self, key: str, body: bytes) -> bytes:
        lines = [
            "POST /v1/ping HTTP/1.1",
            f"Host: {self._host}",
            f"Authorization: Bearer {key}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def offer(self, rate: float, sent: Sent, stop: asyncio.Event) -> None:
        loop, number = asyncio.get_running_loop(), 0
        began_s = loop.time()
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                due_s = began_s + number / rate
                await asyncio.sleep(due_s - loop.time())
                group.create_task(self._ping(number, due_s, sent))
                number += 1

    async def _ping(self, number: int, due_s: float, sent: Sent) -> None:
        request, price = self._pings[number % len(self._pings)]
        gateway, own = cpu_of(self.gateway), cpu_of(os.getpid())
        status, body = await self._ask(request)
        if status == 503 or b'"unsold"' in body:  # told apart from wrong offers: a busy machine may be to blame
            sent.failed[json.loads(body).get("detail") or json.loads(body)["reason"]["text"]] += 1
            return
        if status != 200 or b'"offered"' not in body or price not in body:
            raise Failed(f"expected an offer of {price.decode()}, not {status} {body.decode()}")
        took_ms = (asyncio.get_running_loop().time() - due_s) * 1000
        sent.pings.append(Ping(due_s, took_ms, cpu_of(self.gateway).since(gateway), cpu_of(os.getpid()).since(own)))

    async def figures(self) -> dict[str, float]:
        """What the gateway measures of itself. To be asked between swaps: it makes the answer beside its pings."""
        _, text = await self._ask(f"GET /metrics HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        lines = (line.rsplit(" ", 1) for line in text.decode().splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection(self._host, self._port)
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        self._free.append((reader, writer))
        return int(head.split(b" ", 2)[1]), body


if __name__ == "__main__":
    sys.exit(main())
