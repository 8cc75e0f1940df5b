"""Replaces gateways one after another while sellers sell, and measures how long each takes to end.

    python loadtests/drain.py                            # --workers, --sellers, --rounds

Buyers answer within two seconds, a third of them takes all of that. Whoever is hung up on, or told 503, sends the same
request again, as the contract has it. It fails if an offer that was posted is not sold at its price, if buyers were
sent another number of leads, if a gateway takes more than 15 s to end, or if the books do not agree afterwards.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil
from bench_kit import DIRECT, Farm, build
from bench_kit import Failed as KitFailed
from exchange_process import Failed, own_exchange
from racing_posts import BUYERS, crossing
from sale_speed import BASE_PORT, STATES, Caller

SLOW_PCT, SLOW_MS = 33, 2_000
EXIT_S_MAX = 15.0
PAUSE_S = 0.05
AGAIN = (200, 409, 503)
ANSWERS = {"accepted", "rejected", "pending"}
LOST = (OSError, asyncio.IncompleteReadError)

Document = dict[str, Any]


@dataclass
class Sold:
    """What sellers were told."""

    accepted: set[str] = field(default_factory=set)
    unsold: int = 0
    again: int = 0
    numbers: int = 0


async def sell(url: str, key: str, stop: asyncio.Event, sold: Sold) -> None:
    """Sells one lead after the other until told to stop."""
    while not stop.is_set():
        with suppress(*LOST):  # of connecting: the one gateway is just ending
            async with Caller(url, key) as caller:
                await _sell_on(caller, url, key, stop, sold)


async def _sell_on(caller: Caller, url: str, key: str, stop: asyncio.Event, sold: Sold) -> None:
    while not stop.is_set():
        sold.numbers += 1
        email = f"person-{sold.numbers}@example.com"
        offer = await caller.post("/v1/ping", {"campaign": "auto-us", "lead": {"state": STATES[0]}}, AGAIN)
        if offer["status"] != "offered":
            sold.unsold += 1
            continue
        post = {"ping_id": offer["ping_id"], "lead": {"first_name": "Ann", "email": email}}
        answer = await _posted(caller, url, key, post, sold)
        if (answer["status"], answer.get("price")) != ("accepted", offer["price"]):
            raise Failed(f"a post was answered {answer}")
        sold.accepted.add(answer["post_id"])


async def _posted(caller: Caller, url: str, key: str, post: Document, sold: Sold) -> Document:
    """The answer to a post, which is sent again until there is one."""
    with suppress(*LOST):
        answer = await caller.post("/v1/post", post, AGAIN)
        if answer["status"] in ANSWERS:
            return answer
    while True:
        sold.again += 1
        await asyncio.sleep(PAUSE_S)
        with suppress(*LOST):
            async with Caller(url, key) as other:
                answer = await other.post("/v1/post", post, AGAIN)
                if answer["status"] in ANSWERS:
                    return answer


def gateways() -> list[psutil.Process]:
    """The gateways that this command has started."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if process.is_running() and "gateway" in process.cmdline()]


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def serving(url: str, workers: int) -> None:
    """Returns when so many gateways take requests."""
    wanted = f'exchange_processes{{role="gateway"}} {workers}.0'

    def says() -> str:
        with suppress(OSError), DIRECT.open(f"{url}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
        return ""

    while wanted not in await asyncio.to_thread(says):  # noqa: ASYNC110  # a metric sets no event
        await asyncio.sleep(0.1)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110  # processes set no event
        await asyncio.sleep(0.02)


async def replace_all(url: str, workers: int, rounds: int) -> list[float]:
    """Ends each gateway in turn; how long each took, in seconds."""
    took = []
    for _ in range(rounds):
        for old in gateways():
            await asyncio.sleep(1)
            began_s = time.monotonic()
            old.terminate()
            await until(partial(has_ended, old))
            took.append(time.monotonic() - began_s)
            await serving(url, workers)
    return took


async def run(url: str, key: str, options: argparse.Namespace) -> tuple[Sold, list[float]]:
    stop, sold = asyncio.Event(), Sold()
    sellers = [asyncio.create_task(sell(url, key, stop, sold)) for _ in range(options.sellers)]
    await serving(url, options.workers)
    took = await replace_all(url, options.workers, options.rounds)
    stop.set()
    await asyncio.gather(*sellers)
    return sold, took


def measure(options: argparse.Namespace) -> tuple[Sold, list[float]]:
    farm = Farm({0, 1}, base=BASE_PORT, count=BUYERS, slow_pct=SLOW_PCT, slow_ms=SLOW_MS, max_seconds=7200)
    try:
        with own_exchange() as exchange:
            exchange.apply(crossing())
            key = exchange.new_key("acme")
            with exchange.serving("--workers", str(options.workers)) as url:
                sold, took = asyncio.run(run(url, key, options))
            exchange.run("doctor")
    finally:
        counts = farm.stop()
    if counts["posts"] != len(sold.accepted):
        raise Failed(f"{counts['posts']} leads were sent for {len(sold.accepted)} sales")
    if max(took) > EXIT_S_MAX:
        raise Failed(f"a gateway took {max(took):.1f} s to end")
    return sold, took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sellers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1, help="how often every gateway is replaced")
    options = parser.parse_args()
    if options.workers < 2:
        parser.error("one gateway alone has nobody to take its requests: at least 2 workers")
    build([])
    try:
        sold, took = measure(options)
    except (Failed, KitFailed) as error:
        print(f"drain: {error}", file=sys.stderr)
        return 1
    print(f"{len(took)} gateways replaced, each in {min(took):.1f} to {max(took):.1f} s")
    print(f"{len(sold.accepted)} sales, none lost, none made twice; {sold.again} sent again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
