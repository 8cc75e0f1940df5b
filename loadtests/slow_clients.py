"""Holds two thousand slow clients against a gateway, and compares how it serves the others meanwhile and before.

    python loadtests/slow_clients.py                        # --slow, --rate, --seconds; needs gcc

A third of them send a head byte by byte, a third a body in the same way, and a third nothing at all. Who is cut off
comes again at once. Short spans with and without them take turns, and the others ping at a steady rate in all of them:
each answer must be right, and the median of what they wait with slow clients, to that without, may be 1.3 at most and
2 ms more. It is also checked that slow clients are cut off. Buyers and load are the benchmark kit's.
"""

import argparse
import os
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench_kit import Failed
from exchange_process import Exchange
from one_gateway import Site, run, serving, world

ORDERS = 100
RECEIVE_TIMEOUT_S = 5.0  # as it is unless it is set
MORE_MS_MAX = 2.0
BYTE_EVERY_S, SPREAD_S, TURN_S = 1.0, 3.0, 0.02
HEAD = b"POST /v1/ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BEGUN = (HEAD, HEAD + b"Content-Length: 1000\r\n\r\n{", b"")


def main() -> int:
    options = arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hold(options.hold, options.slow) if options.hold else run("slow clients", partial(held, options))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow", type=int, default=2_000, help="slow clients")
    parser.add_argument("--rate", type=float, default=50, help="pings/s of the others")
    parser.add_argument("--seconds", type=float, default=4, help="of each span")
    parser.add_argument("--spans", type=int, default=3, help="with slow clients, and as many without them")
    parser.add_argument("--times-max", type=float, default=1.3, help="of the median time beside them to that without")
    parser.add_argument("--hold", type=int, metavar="PORT", help=argparse.SUPPRESS)  # to be the slow clients
    return parser.parse_args()


def held(options: argparse.Namespace, exchange: Exchange) -> list[str]:
    cpus = set(os.sched_getaffinity(0))
    with world(exchange, cpus, orders=ORDERS) as its_world, serving(its_world, cpus) as site:
        return measure(site, options)


@dataclass
class Spans:
    """What was found in spans of one kind: the load's own report, and the gateway's CPU time for each of its pings."""

    found: list[dict[str, Any]] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def add(self, site: Site, options: argparse.Namespace) -> None:
        cpu_us = site.cpu_us()
        found = site.load(seconds=options.seconds, rate=options.rate)
        if found["bad"] or found["refused"]:
            raise Failed(f"{found['bad']} wrong answers, {found['refused']} refused")
        self.found.append(found)
        self.cpu_us.append((site.cpu_us() - cpu_us) / found["answers"])

    def ms(self, name: str) -> list[float]:
        return [found[f"{name}_ms"] for found in self.found]


def measure(site: Site, options: argparse.Namespace) -> list[str]:
    """Spans without and with slow clients, in turn."""
    Spans().add(site, options)
    without, beside = Spans(), Spans()
    for _ in range(options.spans):
        without.add(site, options)
        with slow_clients(site, options.slow):
            beside.add(site, options)
    cut = cut_off(site)
    times = [after / before for before, after in zip(without.ms("p50"), beside.ms("p50"), strict=True)]
    more_ms = statistics.median(
        after - before for before, after in zip(without.ms("p50"), beside.ms("p50"), strict=True)
    )
    print(f"machine: {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}")
    for name, spans in (("without", without), (f"beside {options.slow}", beside)):
        p50, p99, cpu_us = (statistics.median(found) for found in (spans.ms("p50"), spans.ms("p99"), spans.cpu_us))
        print(f"{name:12}: {options.rate:g} pings/s, median of p50 {p50:.2f} ms, of p99 {p99:.2f} ms", end="; ")
        print(f"the gateway's CPU {cpu_us:.0f} us a ping")
    print(f"p50 beside / without: {statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f}); {cut} cut off")
    faults = []
    if statistics.median(times) > options.times_max and more_ms > MORE_MS_MAX:
        faults.append(f"the others wait {statistics.median(times):.2f} times as long, {more_ms:.1f} ms more")
    if options.seconds > RECEIVE_TIMEOUT_S - SPREAD_S and cut < options.slow / 3:
        faults.append(f"only {cut} slow clients were cut off")
    return faults


@contextmanager
def slow_clients(site: Site, slow: int) -> Iterator[None]:
    """Slow clients in a process of their own, once all of them are connected."""
    command = [sys.executable, __file__, "--hold", str(site.port), "--slow", str(slow)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "held":
                raise Failed("slow clients could not connect")
            yield
        finally:
            process.kill()


def hold(port: int, count: int) -> int:
    """Is the slow clients: one byte in `BYTE_EVERY_S` each, spread over it, and who is cut off connects again."""
    selector = selectors.DefaultSelector()
    clients = []
    for number in range(count):
        clients.append(connect(selector, port, number))
        time.sleep(SPREAD_S / count)  # or they would be cut off together, too
    print("held", flush=True)
    began_s, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began_s) * count / BYTE_EVERY_S)
        for number in range(sent, due):
            if BEGUN[number % count % len(BEGUN)]:
                with suppress(OSError):  # it was cut off: that is seen below
                    clients[number % count].send(b"x")
        sent = due
        for key, _ in selector.select(TURN_S):
            selector.unregister(key.fileobj)
            clients[key.data].close()
            clients[key.data] = connect(selector, port, key.data)


def connect(selector: selectors.BaseSelector, port: int, number: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.setblocking(False)
    client.send(BEGUN[number % len(BEGUN)])
    selector.register(client, selectors.EVENT_READ, number)
    return client


def cut_off(site: Site) -> int:
    """How many slow clients the gateway has counted."""
    lines = site.metrics().splitlines()
    found = [line for line in lines if line.startswith('exchange_requests_shed_total{cause="slow_client"}')]
    return int(float(found[0].split()[-1])) if found else 0


if __name__ == "__main__":
    sys.exit(main())
