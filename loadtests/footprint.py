"""What one gateway holds: memory and descriptors under load, after much load, and after many markets.

    python loadtests/footprint.py                                   # all of it, some ten minutes
    python loadtests/footprint.py busy --rate 500 --think-ms 300    # as many connections, for a slower machine
    python loadtests/footprint.py after --pings 20000 --idle 40
    python loadtests/footprint.py swaps --swaps 10

`busy`: 20 buyers a ping, who think for 150 ms, at 1,000 pings/s: the highest and the settled memory.
`after`: memory and descriptors of a gateway that is warm, and again after many pings, at half that rate, and idleness.
`swaps`: memory after applying two markets of 1,000 orders in turn.

The buyers and the load are those of the benchmark kit in `bench/`. Every answer is checked, every ping must have been
offered, and every buyer asked. Memory is the resident set of all processes of `exchange serve`; Postgres and Valkey are
not among them. The exit status is 1 if an answer was wrong or a limit was passed.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_kit import BENCH, DIRECT, Failed, Farm, Running, build, load, make_market, project
from exchange_process import Exchange, own_exchange

from exchange.marketfile.reader import load as load_market
from exchange.marketfile.source import Document
from exchange.ports import free_ports
from exchange.storage import catalogue
from exchange.storage.database import Database
from exchange.values.market import Market

FANOUT, ORDERS = 20, 1_000
BUYERS = 4 * FANOUT  # what the kit makes of it, each with a port of his own
BUSY_MIB_MAX = 350
GROWTH_MAX = 0.10
BUYERS_SECRET = {"BENCH_BUYER_TOKEN": "any"}  # what the kit's market takes from the environment
DESCRIPTORS_MORE_MAX = 10  # connections to Postgres, which are opened on demand and kept
RAMP = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the rate, on the way to it: many connections are made
RAMP_S = 2
WARM_UP_S = 10
SETTLE_S = 5
BUYERS_IDLE_S = 35  # by then the engine has closed the connections to buyers that nobody used
SWAPS_SHOWN = (0, 1, 10, 50)
FANOUT_TOLERANCE = 0.001
PARTS = ("busy", "after", "swaps")


@dataclass(frozen=True)
class Held:
    """What the gateway's processes hold at one moment."""

    rss_mib: float
    peak_mib: float
    descriptors: int

    def __str__(self) -> str:
        return f"{self.rss_mib:9.1f} {self.peak_mib:9.1f} {self.descriptors:12}"


@dataclass(frozen=True)
class Site:
    """Where everything is, and who may use which CPUs."""

    exchange: Exchange
    market: Path
    key: str
    port: int
    gateway_cpus: set[int]
    load_cpus: set[int]

    @property
    def expected(self) -> Any:
        return json.loads((self.market / "expected.json").read_text())


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    faults = []
    print(f"{'':40}  RSS MiB  peak MiB  descriptors", flush=True)
    try:
        build([])
        with own_exchange(**BUYERS_SECRET) as exchange:
            site = set_up(exchange, options.port)
            parts = {"busy": busy, "after": after, "swaps": swaps}
            for name in options.parts or PARTS:
                faults += [f"{name}: {fault}" for fault in parts[name](site, options)]
    except Failed as failed:
        faults.append(str(failed))
    for fault in faults:
        print(f"footprint: {fault}", file=sys.stderr)
    return 1 if faults else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--rate", type=float, default=1_000, help="pings/s of `busy`; `after` has half of it")
    parser.add_argument("--seconds", type=float, default=15, help="how long it is `busy`")
    parser.add_argument("--think-ms", type=float, default=150, help="of the buyers of `busy`")
    parser.add_argument("--pings", type=int, default=200_000, help="of `after`")
    parser.add_argument("--idle", type=float, default=60, help="seconds of `after` without a ping")
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--port", type=int, help="of the gateway, instead of a free one")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def set_up(exchange: Exchange, port: int | None) -> Site:
    """A market with `FANOUT` buyers a ping in force, and a key."""
    os.environ.update(exchange.environment)  # of what the kit starts
    market = exchange.folder / "market"
    base = free_ports(BUYERS + 1)
    make_market(market, orders=ORDERS, fanout=FANOUT, base=base)
    exchange.apply(market / "market.yaml")
    cpus = sorted(os.sched_getaffinity(0))
    return Site(exchange, market, exchange.new_key("acme"), port or base + BUYERS, set(cpus), set(cpus[1:2] or cpus))


# ---- the parts ----


def busy(site: Site, options: argparse.Namespace) -> list[str]:
    with buyers(site, options.think_ms) as farm, gateway(site) as running:
        show("busy: started", held(running))
        ramp = [loaded(site, running, x * options.rate, RAMP_S, options.think_ms)["answers"] for x in RAMP]
        full = loaded(site, running, options.rate, options.seconds, options.think_ms)
        peak = held(running)
        show(f"busy: {options.rate:g} pings/s x {FANOUT} x {options.think_ms:g} ms", peak)
        time.sleep(SETTLE_S)
        show(f"busy: {SETTLE_S} s later", held(running))
    counts = farm.stop()
    print(f"      {counts['connections_peak']} connections to buyers at a time, p99 {full['p99_ms']:.0f} ms")
    faults = [] if peak.peak_mib <= BUSY_MIB_MAX else [f"{peak.peak_mib:.0f} MiB, at most {BUSY_MIB_MAX} allowed"]
    return faults + unasked(counts, sum(ramp) + full["answers"])


def after(site: Site, options: argparse.Namespace) -> list[str]:
    rate = options.rate / 2
    with buyers(site, 0) as farm, gateway(site) as running:
        answers: int = loaded(site, running, rate, WARM_UP_S)["answers"]
        time.sleep(BUYERS_IDLE_S)
        show(f"after {answers} pings and {BUYERS_IDLE_S} s idle", start := held(running))
        while answers < options.pings:  # the load generator goes on for ten minutes at most
            seconds = max(1.0, min(300.0, (options.pings - answers) / rate))
            answers += loaded(site, running, rate, seconds)["answers"]
        show(f"after {answers} pings", held(running))
        time.sleep(options.idle)
        show(f"after {options.idle:g} s idle", end := held(running))
    faults = []
    if end.rss_mib > start.rss_mib * (1 + GROWTH_MAX):
        faults.append(f"memory went from {start.rss_mib:.1f} to {end.rss_mib:.1f} MiB")
    if end.descriptors > start.descriptors + DESCRIPTORS_MORE_MAX:
        faults.append(f"descriptors went from {start.descriptors} to {end.descriptors}")
    return faults + unasked(farm.stop(), answers)


def swaps(site: Site, options: argparse.Namespace) -> list[str]:
    other = site.exchange.folder / "other"
    make_market(other, orders=ORDERS, fanout=FANOUT, base=site.expected["farm"]["base"], seed=2)
    markets = [load_market((folder / "market.yaml").read_text()) for folder in (other, site.market)]
    with buyers(site, 0) as farm, gateway(site) as running:
        answers: int = loaded(site, running, options.rate / 4, WARM_UP_S)["answers"]
        found = {0: held(running)}
        for number in range(1, options.swaps + 1):
            swap(site, *markets[number % 2])
            answers += ping_each_kind(site)
            found[number] = held(running)
    for number in sorted({*SWAPS_SHOWN, options.swaps} & found.keys()):
        show(f"{number} swaps of {ORDERS} orders", found[number])
    first, last = found[min(1, options.swaps)], found[options.swaps]
    faults = []
    if last.rss_mib > first.rss_mib * (1 + GROWTH_MAX):
        faults.append(f"memory went from {first.rss_mib:.1f} to {last.rss_mib:.1f} MiB")
    return faults + unasked(farm.stop(), answers)


def swap(site: Site, document: Document, market: Market) -> None:
    """Applies a market and returns when the gateway has it."""

    async def apply() -> int:
        url = site.exchange.services.postgres_url
        database = await Database.connect(url, connections_max=1, timeout_s=10, name="footprint")
        try:
            return await catalogue.apply(database, document, market, "footprint")
        finally:
            await database.close()

    wanted, deadline_s = f"exchange_market_version {asyncio.run(apply())}.0", time.monotonic() + 30
    while wanted not in DIRECT.open(f"http://127.0.0.1:{site.port}/metrics", timeout=5).read().decode():
        if time.monotonic() > deadline_s:
            raise Failed("a market is not in force after 30 s")
        time.sleep(0.02)


# ---- what they share ----


@contextmanager
def buyers(site: Site, think_ms: float) -> Iterator[Farm]:
    """The farm; what it has counted is asked for when the gateway is gone."""
    farm = Farm(site.load_cpus, **site.expected["farm"], think_ms=think_ms, max_seconds=7_200)
    try:
        yield farm
    except BaseException:
        farm.process.kill()
        raise


@contextmanager
def gateway(site: Site) -> Iterator[Running]:
    command = f"{sys.executable} -m exchange.cli serve --port {site.port}"
    running = Running(project(command), site.port, site.market, site.gateway_cpus, ())
    try:
        yield running
    finally:
        running.stop()


def loaded(site: Site, running: Running, rate: float, seconds: float, think_ms: float = 0) -> dict[str, Any]:
    """Offers the gateway pings that do not wait for each other; raises Failed where an answer was wrong."""
    checks = ["--header", f"Authorization: Bearer {site.key}", "--expect", '"offered"']
    for line, ping in enumerate(site.expected["pings"], 1):
        checks += ["--expect-line", f'{line}="{ping["price"]}"']
    conns, waited_s = 64 + round(rate * think_ms / 1000 * 2), waited_for_cpu_s(running)
    result = load(site.load_cpus, checks, port=site.port, seconds=seconds, warm=0, conns=conns, rate=rate)
    if result["bad"]:
        share = (waited_for_cpu_s(running) - waited_s) / seconds
        others = f"the gateway waited for a CPU {share:.0%} of the time"
        raise Failed(f"{result['bad']} wrong answers at {rate:g} pings/s; {others}")
    return result


def ping_each_kind(site: Site) -> int:
    """One ping of each kind; how many that is."""
    bodies = (BENCH / "pings.jsonl").read_text().splitlines()
    for body, ping in zip(bodies, site.expected["pings"], strict=True):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {site.key}"}
        url = f"http://127.0.0.1:{site.port}/v1/ping"
        with DIRECT.open(urllib.request.Request(url, body.encode(), headers), timeout=10) as answer:
            offer = json.load(answer)
        if (offer["status"], offer.get("price")) != ("offered", ping["price"]):
            raise Failed(f"the {ping['kind']} ping should get {ping['price']}, not {offer}")
    return len(bodies)


def held(running: Running) -> Held:
    pids = running.processes()[0]
    descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
    return Held(memory_mib(pids, "VmRSS"), memory_mib(pids, "VmHWM"), descriptors)


def memory_mib(pids: set[int], line: str) -> float:
    """The sum over processes of a line of /proc/PID/status; pages that they share count in each."""
    found = 0
    for pid in pids:
        lines = dict(text.split(":", 1) for text in Path(f"/proc/{pid}/status").read_text().splitlines())
        found += int(lines[line].split()[0])
    return found / 1024


def waited_for_cpu_s(running: Running) -> float:
    """How long the gateway was ready to run while others did: what another program on the machine costs it."""
    return int(Path(f"/proc/{running.process.pid}/schedstat").read_text().split()[1]) / 1e9


def show(what: str, found: Held) -> None:
    print(f"{what:40}{found}", flush=True)


def unasked(counts: dict[str, int], answers: int) -> list[str]:
    """Whether every ping reached all of its buyers, but for a lost connection or two."""
    asked = counts["bids"] / answers
    return [f"{asked:.3f} buyers asked a ping, not {FANOUT}"] if abs(asked / FANOUT - 1) > FANOUT_TOLERANCE else []


if __name__ == "__main__":
    sys.exit(main())
