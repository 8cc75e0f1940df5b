"""The buyers' farm as a process of its own: `python -m exchange.simulation.buyers --port 9101 --count 40`."""

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvloop

from exchange.ports import HOST
from exchange.simulation.farm import Farm
from exchange.simulation.manners import Manners, demo_buyers, farm_buyers, slower


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a farm until SIGTERM, SIGINT or the end of the leash; the exit status is 1 if it could not start."""
    options = _parser().parse_args(arguments)
    buyers = slower(demo_buyers() if options.demo else farm_buyers(options.count), options.slow_ms)
    try:
        run(buyers, port=options.port, seed=options.seed, log_dir=options.log_dir, leash=options.leash)
    except OSError as error:
        sys.stderr.write(f"The simulated buyers cannot start: {error}\n")
        return 1
    return 0


def run(buyers: Sequence[Manners], *, port: int, seed: int, log_dir: Path | None, leash: bool = False) -> None:
    """Serves until told to stop; prints one line when every buyer can be called. Raises OSError if it cannot start.

    `leash` ties the farm to its standard input: it stops when the other end is closed, however that process ended.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(buyers, port=port, seed=seed, log_dir=log_dir, leash=leash))


async def _serve(buyers: Sequence[Manners], *, port: int, seed: int, log_dir: Path | None, leash: bool) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if leash:
        threading.Thread(target=_hold_leash, args=(loop, stop), daemon=True, name="leash").start()
    async with Farm(buyers, seed=seed, base_port=port, log_dir=log_dir) as farm:
        ports = tuple(farm.ports.values())
        sys.stdout.write(f"{len(ports)} buyers ready on {HOST}:{min(ports)}-{max(ports)}\n")
        sys.stdout.flush()
        await stop.wait()


def _hold_leash(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Waits for the end of standard input: read as a bare descriptor, so that nothing is locked at exit."""
    with suppress(OSError):  # no standard input at all is the end of it, too
        while os.read(0, 4096):
            pass
    with suppress(RuntimeError):  # the farm has stopped already
        loop.call_soon_threadsafe(stop.set)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exchange.simulation.buyers", description=__doc__)
    parser.add_argument("--port", type=int, default=9101, help="the first buyer's port (default 9101)")
    parser.add_argument("--count", type=int, default=40, help="how many well-behaved buyers (default 40)")
    parser.add_argument("--demo", action="store_true", help="the buyers of the example market instead, good and bad")
    parser.add_argument("--slow-ms", type=int, default=0, help="how much longer each takes to answer (default 0)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same answers to the same ids (default 1)")
    parser.add_argument("--log-dir", type=Path, default=None, help="where each buyer keeps a log (default: nowhere)")
    parser.add_argument("--leash", action="store_true", help="stop when standard input ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
