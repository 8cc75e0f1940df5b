"""Measures what a ping costs where `exchange serve` has two gateways, against one that is alone, in CPU time.

    python loadtests/two_workers.py                           # --rate, --seconds, --rounds; needs gcc
    python loadtests/two_workers.py --rounds 20 --rate 200

Both run at once, on the same Postgres and Valkey, and have the load by turns: first one, then the other, and the next
time the other way round, so that whatever the machine does for a while, it does to both. Two gateways are sent twice as
many pings as one. Each answer must be the offer that was expected, the gateways must have counted as many, and both of
the two must have had a part of the work. The exit status is 1 if that is not so, or the median of the rounds is more
than `--times-max`.

How many more pings two gateways answer in a second is not measured: for that they, Postgres, the buyers and the load
would each need a free core, and so four.
"""

import argparse
import os
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil
from bench_kit import Failed
from exchange_process import Exchange
from one_gateway import Site, run, serving, world

ORDERS = 1_000
CORES = 4
ALONE = "--no-worker"  # which would do chores for as long with few pings as with many
PART_MIN = 0.1
"""The least part of the CPU time that either of two gateways has: which takes a connection is up to the kernel."""
COUNTED = re.compile(r'^exchange_pings_total\{.*status="offered".*\} (\S+)$', re.MULTILINE)


def main() -> int:
    return run("two workers", partial(compared, arguments()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100, help="pings/s for each gateway")
    parser.add_argument("--seconds", type=float, default=4, help="of each half of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times-max", type=float, default=1.15, help="of two gateways' CPU time a ping to one's")
    return parser.parse_args()


@dataclass
class Side:
    """One of both sides, and the CPU microseconds of its pings, a figure a round."""

    site: Site
    workers: int
    cpu_us: list[float] = field(default_factory=list)
    answers: int = 0

    def load(self, options: argparse.Namespace) -> float:
        """Has the load for a while; CPU time of a ping."""
        before_us = self.site.cpu_us()
        found: dict[str, Any] = self.site.load(seconds=options.seconds, warm=0, rate=options.rate * self.workers)
        if found["bad"] or found["refused_in_all"]:
            raise Failed(f"--workers {self.workers}: {found['bad']} answers wrong, {found['refused_in_all']} refused")
        self.answers += found["answers"]
        return (self.site.cpu_us() - before_us) / int(found["answers"])

    def counted(self) -> int:
        """The offers that the gateways have counted."""
        return round(sum(float(count) for count in COUNTED.findall(self.site.metrics())))

    def parts_s(self) -> list[float]:
        """CPU seconds of each gateway process."""
        everything = psutil.Process(self.site.running.process.pid).children(recursive=True)
        return [sum(found.cpu_times()[:2]) for found in everything if "gateway" in found.cmdline()]


def compared(options: argparse.Namespace, exchange: Exchange) -> list[str]:
    cpus = set(os.sched_getaffinity(0))
    with (
        world(exchange, cpus, orders=ORDERS) as its_world,
        serving(its_world, cpus, ALONE) as one,
        serving(its_world, cpus, f"{ALONE} --workers 2") as two,
    ):
        return measure(Side(one, 1), Side(two, 2), options)


def measure(one: Side, two: Side, options: argparse.Namespace) -> list[str]:
    for side in (one, two):
        side.load(options)  # the first pings connect
    before_s = two.parts_s()
    for number in range(options.rounds):
        for side in (one, two) if number % 2 else (two, one):
            side.cpu_us.append(side.load(options))
    parts_s = [after - begun for begun, after in zip(before_s, two.parts_s(), strict=True)]
    times = [after / alone for alone, after in zip(one.cpu_us, two.cpu_us, strict=True)]
    print(f"machine: {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}")
    for side in (one, two):
        print(f"--workers {side.workers}: {spread(side.cpu_us, 0)} us of CPU a ping; {side.answers} offers, all right")
    print(
        f"two / one: {spread(times, 3)}; of the two's CPU time the gateways had {parts_s[0]:.1f} and {parts_s[1]:.1f} s"
    )
    print(f"throughput is not measured: that takes {CORES} free cores")
    return faults_of(one, two, statistics.median(times), parts_s, options)


def spread(found: Sequence[float], digits: int) -> str:
    return f"{statistics.median(found):.{digits}f} ({min(found):.{digits}f}-{max(found):.{digits}f})"


def faults_of(one: Side, two: Side, times: float, parts_s: Sequence[float], options: argparse.Namespace) -> list[str]:
    faults = [
        f"--workers {side.workers}: {side.answers} offers, but {counted} were counted"
        for side in (one, two)
        if (counted := side.counted()) != side.answers
    ]
    if min(parts_s) < PART_MIN * sum(parts_s):
        faults.append("one of two gateways had next to nothing to do")
    if times > options.times_max:
        faults.append(f"a ping costs {times:.3f} times as much")
    return faults


if __name__ == "__main__":
    sys.exit(main())
