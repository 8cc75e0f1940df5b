"""Holds two thousand slow clients against a gateway, and compares how it serves the others meanwhile and before.

    python loadtests/slow_clients.py                        # --slow, --rate, --seconds; needs gcc

A third of them send a head byte by byte, a third a body in the same way, and a third nothing at all. Who is cut off
comes again at once. Short spans with and without them take turns, and the others ping at a steady rate in all of them:
each answer must be right, and the median of what they wait with slow clients, to that without, may be 1.3 at most and
2 ms more. It is also checked that slow clients are cut off. Buyers and load are the benchmark kit's.
"""

import argparse
import json
import os
import resource
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from bench_kit import DIRECT, Failed, Farm, Running, build, load, make_market, project
from exchange_process import Exchange, own_exchange

FANOUT, ORDERS, BASE_PORT = 10, 100, 9_300
BUYERS_SECRET = {"BENCH_BUYER_TOKEN": "any"}  # what the kit's market takes from the environment
RECEIVE_TIMEOUT_S = 5.0  # as it is unless it is set
SPANS = 3
TIMES_MAX, MORE_MS_MAX = 1.3, 2.0
BYTE_EVERY_S, SPREAD_S, TURN_S = 1.0, 3.0, 0.02
HEAD = b"POST /v1/ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BEGUN = (HEAD, HEAD + b"Content-Length: 1000\r\n\r\n{", b"")


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.hold:
        return hold(options.port, options.slow)
    faults = []
    try:
        build([])
        with own_exchange(**BUYERS_SECRET) as exchange:
            faults = run(exchange, options)
    except Failed as failed:
        faults.append(str(failed))
    for fault in faults:
        print(f"slow clients: {fault}", file=sys.stderr)
    return 1 if faults else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow", type=int, default=2_000, help="slow clients")
    parser.add_argument("--rate", type=float, default=50, help="pings/s of the others")
    parser.add_argument("--seconds", type=float, default=5, help="of each span; there are six, and one to warm up")
    parser.add_argument("--port", type=int, default=8_050, help="of the gateway")
    parser.add_argument("--hold", action="store_true", help=argparse.SUPPRESS)  # to be the slow clients
    return parser.parse_args()


def run(exchange: Exchange, options: argparse.Namespace) -> list[str]:
    os.environ.update(exchange.environment)  # of what the kit starts
    market = exchange.folder / "market"
    make_market(market, orders=ORDERS, fanout=FANOUT, base=BASE_PORT)
    exchange.apply(market / "market.yaml")
    expected = json.loads((market / "expected.json").read_text())
    checks = ["--header", f"Authorization: Bearer {exchange.new_key('acme')}", "--expect", '"offered"']
    for line, ping in enumerate(expected["pings"], 1):
        checks += ["--expect-line", f'{line}="{ping["price"]}"']
    cpus = set(os.sched_getaffinity(0))
    farm = Farm(cpus, **expected["farm"], think_ms=0, max_seconds=600)
    try:
        command = project(f"{sys.executable} -m exchange.cli serve --port {options.port}")
        running = Running(command, options.port, market, cpus, set())
        try:
            return measure(checks, cpus, options)
        finally:
            running.stop()
    finally:
        farm.process.terminate()
        farm.process.wait()


def measure(checks: list[str], cpus: set[int], options: argparse.Namespace) -> list[str]:
    """Spans without and with slow clients, in turn."""

    def span() -> dict[str, Any]:
        found = load(cpus, checks, port=options.port, seconds=options.seconds, warm=0.5, conns=50, rate=options.rate)
        if found["bad"]:
            raise Failed(f"{found['bad']} wrong answers")
        return found

    span()
    without, beside = [], []
    for _ in range(SPANS):
        without.append(span())
        with slow_clients(options):
            beside.append(span())
    cut = cut_off(options.port)
    times = [after["p50_ms"] / before["p50_ms"] for before, after in zip(without, beside, strict=True)]
    more_ms = statistics.median(
        after["p50_ms"] - before["p50_ms"] for before, after in zip(without, beside, strict=True)
    )
    print(f"machine: {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}")
    for name, spans in (("without", without), (f"beside {options.slow}", beside)):
        p50, p99 = (statistics.median(found[key] for found in spans) for key in ("p50_ms", "p99_ms"))
        print(f"{name:12}: {options.rate:g} pings/s, median of p50 {p50:.2f} ms, of p99 {p99:.2f} ms")
    print(f"p50 beside / without: {statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f}); {cut} cut off")
    faults = []
    if statistics.median(times) > TIMES_MAX and more_ms > MORE_MS_MAX:
        faults.append(f"the others wait {statistics.median(times):.2f} times as long, {more_ms:.1f} ms more")
    if options.seconds > RECEIVE_TIMEOUT_S - SPREAD_S and cut < options.slow / 3:
        faults.append(f"only {cut} slow clients were cut off")
    return faults


@contextmanager
def slow_clients(options: argparse.Namespace) -> Iterator[None]:
    """Slow clients in a process of their own, once all of them are connected."""
    command = [sys.executable, __file__, "--hold", "--slow", str(options.slow), "--port", str(options.port)]
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


def cut_off(port: int) -> int:
    """How many slow clients the gateway has counted."""
    with DIRECT.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith('exchange_requests_shed_total{cause="slow_client"}')]
    return int(float(found[0].split()[-1])) if found else 0


if __name__ == "__main__":
    sys.exit(main())
