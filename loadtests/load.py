"""`make load`: a demo world of its own, five kinds of load on it one after another, and a report for people."""

import argparse
import asyncio
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from uuid import UUID

import psutil
from exchange_process import Exchange, Failed, own_exchange
from load_page import Load, Outcome, Use, write
from open_loop import judged, parts_of, run
from samples import Check, table
from scenarios import SCENARIOS, Scenario

from exchange.commands.demo import books_since
from exchange.marketfile.source import parse
from exchange.ports import free_ports
from exchange.simulation.manners import demo_buyers
from exchange.simulation.market import demo_deposits_micros, demo_environment, render_demo_market
from exchange.simulation.reconcile import Report, reconcile
from exchange.simulation.tally import Tally
from exchange.simulation.witness import read_logs
from exchange.storage.database import Database
from exchange.values.brakes import Rate
from exchange.values.ids import uuid7
from exchange.values.money import format_amount

FOLDER = Path(__file__).resolve().parent / "report"
SHARES = {"steady": 0.2, "campaign-start": 0.25, "burst": 0.2, "flood": 0.175, "slow-buyers": 0.175}
"""What part of the whole time each kind of load has."""
CALM, FLOODING = "you", "visitor"
CAMPAIGNS = ("auto-us", "solar-us")
REST_S = 6.0
"""How long late answers of buyers may take before the witnesses are asked."""
POLL_S = 1.0
CORES = psutil.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class World:
    """The exchange with the example market in force, its buyers' first port, and the keys of two sellers."""

    exchange: Exchange
    port: int
    keys: dict[str, str]

    @property
    def logs(self) -> Path:
        return self.exchange.folder / "buyers"


@contextmanager
def demo_world(flooding: Rate | None = None) -> Iterator[World]:
    """The world of `exchange demo`, in a folder of its own gone afterwards; `flooding` is the visitor's rate."""
    with own_exchange(**demo_environment()) as exchange:
        port = free_ports(len(demo_buyers()))
        market = parse(render_demo_market(port))
        if flooding is not None:
            market["sellers"][FLOODING]["rate"] = asdict(flooding)
        exchange.apply(market)
        for buyer, micros in demo_deposits_micros().items():
            exchange.run("balance", "add", buyer, format_amount(micros))
        yield World(exchange, port, {seller: exchange.new_key(seller) for seller in (CALM, FLOODING)})


@contextmanager
def buyers(world: World, seed: int, slow_ms: int) -> Iterator[None]:
    """The example market's buyers as a process, each slower by some time."""
    command = [sys.executable, "-m", "exchange.simulation.buyers", "--demo", "--leash", "--port", str(world.port)]
    command += ["--seed", str(seed), "--slow-ms", str(slow_ms), "--log-dir", str(world.logs)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=world.exchange.environment, **pipes) as farm:  # type: ignore[call-overload]
        try:
            if not farm.stdout.readline():
                raise Failed("the simulated buyers did not start")
            yield
        finally:
            farm.terminate()


class Watch:
    """Looks once a second at what the machine and this run's own processes use, until it is stopped."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="watch")
        self._mine: dict[int, psutil.Process] = {}
        self.uses: list[Use] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _look(self) -> None:
        psutil.cpu_percent()
        while not self._stop.wait(POLL_S):
            shares = dict.fromkeys(("gateway", "buyers", "load"), 0.0)
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    known = self._mine.setdefault(process.pid, process)
                    shares[_part_of(known)] += known.cpu_percent()
                except psutil.Error:
                    self._mine.pop(process.pid, None)  # it has just ended
            self.uses.append(Use(self.now_s(), psutil.cpu_percent() * CORES, shares))


def _part_of(process: psutil.Process) -> str:
    if process.pid == os.getpid():
        return "load"
    return "buyers" if "exchange.simulation.buyers" in process.cmdline() else "gateway"


def plan(seconds: float, only: Sequence[str]) -> list[Scenario]:
    """The kinds of load with their times; `only` some of them share the time as they do otherwise."""
    chosen = {name: share for name, share in SHARES.items() if not only or name in only}
    return [SCENARIOS[name].lasting(seconds * share / sum(chosen.values())) for name, share in chosen.items()]


def rate_of_flood(scenarios: Sequence[Scenario], rate: float) -> Rate | None:
    """What the flooding seller may send, a second's worth at once; None where nobody floods."""
    agreed = max((scenario.agreed for scenario in scenarios), default=0.0)
    per_s = max(1, round(agreed * rate))
    return Rate(per_s, burst=per_s) if agreed else None


def load(scenarios: Sequence[Scenario], rate: float, seed: int) -> Load:
    """Runs everything; the outcomes, and whether the witnesses and the doctor agree in the end."""
    outcomes: list[Outcome] = []
    tally, first = Tally(), uuid7()
    flooding = rate_of_flood(scenarios, rate)
    with demo_world(flooding) as world, Watch() as watch:
        with world.exchange.serving() as url:
            for scenario in scenarios:
                with buyers(world, seed, scenario.slow_ms):
                    parts = parts_of(scenario, (CALM, world.keys[CALM]), (FLOODING, world.keys[FLOODING]))
                    began_s = watch.now_s() + 0.2
                    samples = run(url, scenario, parts, per_s=rate, seed=seed, campaigns=CAMPAIGNS, told=tally.add)
                    own, found = judged(samples, CALM, scenario.limits, flooding)
                    outcomes.append(Outcome(scenario, began_s, samples, own, found))
                    print(table(found), flush=True)
            time.sleep(REST_S)
        ended = witnesses(world, tally, first)
        said, healthy = doctor(world.exchange)
    money = [
        Check("three witnesses", "agree", "; ".join(ended.disagreements[:3]) or "they agree", ended.agrees),
        Check("exchange doctor", "nothing wrong", said, healthy),
    ]
    print(table(money))
    zero_s = outcomes[0].began_s
    outcomes = [replace(one, began_s=one.began_s - zero_s) for one in outcomes]
    uses = [replace(one, at_s=one.at_s - zero_s) for one in watch.uses]
    return Load(outcomes, uses, money, ended.figures, facts(rate, seed))


def witnesses(world: World, tally: Tally, first: UUID) -> Report:
    """What the sellers were told, the buyers wrote down and Postgres recorded, compared."""

    async def read() -> Report:
        url = world.exchange.services.postgres_url
        database = await Database.connect(url, connections_max=2, timeout_s=60, name="load")
        try:
            return reconcile(tally, read_logs(world.logs), await books_since(database, first, ()))
        finally:
            await database.close()

    return asyncio.run(read())


def doctor(exchange: Exchange) -> tuple[str, bool]:
    """What `exchange doctor` finds wrong, if anything."""
    try:
        lines = exchange.run("doctor").splitlines()
    except Failed as error:
        return str(error), False
    return f"{len(lines)} things looked at, nothing wrong", True


def facts(rate: float, seed: int) -> dict[str, str]:
    """What the figures depend on."""
    names = [line.partition(":")[2].strip() for line in _text("/proc/cpuinfo").splitlines() if "model name" in line]
    memory_gib = psutil.virtual_memory().total / 2**30
    commit = subprocess.run(
        ["git", "-C", str(FOLDER.parent), "rev-parse", "--short", "HEAD"],  # noqa: S607  # whichever git there is
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "When": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "Commit": commit or "unknown",
        "Processor": f"{names[0] if names else platform.processor() or 'unknown'}, {CORES} cores",
        "Memory": f"{memory_gib:.1f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Usual load": f"{rate:g} leads a second, seed {seed}; sellers, exchange, servers and buyers on this machine",
        "Busy at the end": "load average " + ", ".join(f"{one:.1f}" for one in os.getloadavg()),
    }


def _text(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def main() -> int:
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    scenarios = plan(options.seconds, options.only.split(",") if options.only else ())
    if options.p99_ms:
        limits = {"ping_p99_ms": options.p99_ms, "post_p99_ms": options.p99_ms}
        scenarios = [replace(one, limits=replace(one.limits, **limits)) for one in scenarios]
    try:
        found = load(scenarios, options.rate, options.seed)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    page = write(found, options.out)
    print(f"{'Everything held.' if found.held else 'NOT everything held.'}  {page}")
    return 0 if found.held else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of load, all kinds together")
    parser.add_argument("--rate", type=float, default=15.0, help="leads a second at the usual load")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help=f"some of {', '.join(SHARES)}, with commas")
    parser.add_argument("--p99-ms", type=float, help="limit of both p99 in all kinds, instead of their own")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the report goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
