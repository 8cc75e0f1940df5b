"""Measures what counting costs: the CPU time of a ping with its metrics, and without.

    python loadtests/metrics_cost.py                          # 20 buyers a ping, 10 rounds
    python loadtests/metrics_cost.py --rounds 30 --rate 300

One gateway is told by a signal to count, and not to, in turn, so that whatever the machine does for a while, it does to
both. The buyers, the load and the checks of every answer are those of `footprint.py`. The exit status is 1 if an answer
was wrong, or the medians differ by more than `--cost-max` per cent.
"""

import argparse
import os
import signal
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_kit import Failed, Running, build, project
from exchange_process import own_exchange
from footprint import BUYERS_SECRET, buyers, loaded, set_up

from exchange.cli import main as exchange_main
from exchange.observe.tables import CounterTable, GaugeTable, HistogramTable

TOGGLE = signal.SIGUSR1


def main() -> int:
    options = arguments()
    if options.gateway:
        return gateway(options.port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        build([])
        with own_exchange(**BUYERS_SECRET) as exchange:
            return report(measure(set_up(exchange, options.port), options), options.cost_max)
    except Failed as failed:
        print(f"metrics_cost: {failed}", file=sys.stderr)
        return 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3, help="of each half of a round")
    parser.add_argument("--rate", type=float, default=150, help="pings/s")
    parser.add_argument("--cost-max", type=float, default=8, metavar="PERCENT")
    parser.add_argument("--port", type=int, help="of the gateway, instead of a free one")
    parser.add_argument("--gateway", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(site: Any, options: argparse.Namespace) -> dict[bool, list[float]]:
    """CPU microseconds of a ping, one figure a round, with metrics and without."""
    command = f"{sys.executable} {Path(__file__).resolve()} --gateway --port {site.port}"
    found: dict[bool, list[float]] = {True: [], False: []}
    with buyers(site, 0) as farm:
        running = Running(project(command), site.port, site.market, site.gateway_cpus, ())
        try:
            loaded(site, running, options.rate, 2 * options.seconds)  # the first pings connect
            for number in range(2 * options.rounds):
                counts = number % 2 == 0
                cpu_s = cpu_of(running)
                answers = loaded(site, running, options.rate, options.seconds)["answers"]
                found[counts].append((cpu_of(running) - cpu_s) * 1e6 / answers)
                os.kill(running.process.pid, TOGGLE)
        finally:
            running.stop()
        farm.stop()
    return found


def report(costs_us: dict[bool, list[float]], cost_max_percent: float) -> int:
    on_us, off_us = statistics.median(costs_us[True]), statistics.median(costs_us[False])
    ratio = on_us / off_us
    paired = statistics.median(on / off for on, off in zip(costs_us[True], costs_us[False], strict=True))
    print(f"CPU us a ping: {on_us:.0f} with metrics, {off_us:.0f} without: {ratio:.3f}, by pairs {paired:.3f}")
    return 1 if ratio > 1 + cost_max_percent / 100 else 0


def cpu_of(running: Running) -> float:
    return int(Path(f"/proc/{running.process.pid}/schedstat").read_text().split()[0]) / 1e9


def gateway(port: int) -> int:
    """`exchange serve` in this process, which stops counting at a signal, and goes on at the next."""
    own: dict[tuple[type, str], Callable[..., None]] = {
        (CounterTable, "add"): CounterTable.add,
        (GaugeTable, "set"): GaugeTable.set,
        (HistogramTable, "observe"): HistogramTable.observe,
    }
    is_counting = True

    def toggle(*_: object) -> None:
        nonlocal is_counting
        is_counting = not is_counting
        for (table, name), method in own.items():
            setattr(table, name, method if is_counting else nothing)

    signal.signal(TOGGLE, toggle)
    sys.argv = ["exchange", "serve", "--port", str(port), "--no-worker"]
    exchange_main()
    return 0


def nothing(*_: object, **__: object) -> None:
    """Does not count."""


if __name__ == "__main__":
    sys.exit(main())
