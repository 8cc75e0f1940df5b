"""Measures the turns of an event loop that takes up one large market after another, and the memory of that.

    python loadtests/takeover_turns.py                      # --orders, --swaps
    python loadtests/takeover_turns.py --edit               # one order is changed, and no other
    python loadtests/takeover_turns.py --thread             # in a thread, as a small market is

No gateway and no pings: a loop as a gateway has it, with its reader of markets and its room for limits, which are
all that work at a swap. Turns are measured in CPU time of the loop's own thread, which other work on the machine does
not change, unlike the times of pings. Orders are those of matching_speed.py, each with a cap. Memory is the resident
set, of the process with the loop and of the one that reads for it. What was taken up must be what was stored.
"""

import argparse
import asyncio
import gc
import os
import random
import time
from pathlib import Path
from typing import Any

import uvloop
from cores import child_of
from exchange_process import own_exchange
from matching_speed import document, some_filter

from exchange.app import GC_THRESHOLDS
from exchange.marketfile.reader import read
from exchange.marketfile.source import Document
from exchange.storage import catalogue
from exchange.storage.database import Database
from exchange.storage.hints import Hints
from exchange.takeover import reader as market_reader
from exchange.takeover.swapping import be_brisk, collector_at_rest, let_go
from exchange.takeover.taking import Ours

LONG_S = 0.0005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--filters", type=int, default=200)
    parser.add_argument("--schedules", type=int, default=100)
    parser.add_argument("--swaps", type=int, default=5)
    parser.add_argument("--edit", action="store_true", help="each market differs from the one before in one order only")
    parser.add_argument("--thread", action="store_true", help="read in a thread")
    options = parser.parse_args()
    with own_exchange() as exchange:
        exchange.run("migrate")
        uvloop.run(run(exchange.services.postgres_url, exchange.services.valkey_url, options))


async def run(postgres_url: str, valkey_url: str, options: argparse.Namespace) -> None:
    gc.set_threshold(*GC_THRESHOLDS)
    be_brisk()
    if options.thread:
        market_reader.THREAD_BYTES_MAX = 1 << 40  # type: ignore[misc]
    chance, database = random.Random(1), await Database.connect(postgres_url, connections_max=2, timeout_s=60)
    hints = Hints(database, valkey_url)
    reader = market_reader.MarketReader(database, postgres_url, Ours(os.environ))
    orders = document(options, some_filter, chance)
    turns, book = Turns(), None
    watching = asyncio.create_task(turns.watch())
    print("                 in force after   longest turns (ms)          memory")
    for number in range(options.swaps + 1):
        orders = changed(orders, number, options, chance)
        await asyncio.to_thread(store, postgres_url, orders)
        turns.long_s = []
        began_s = time.perf_counter()
        taken = await reader.newest()
        assert taken is not None
        with collector_at_rest():
            await hints.limit(taken.caps, taken.zones)
        book, old = taken.book, book
        in_force_s = time.perf_counter() - began_s
        if old is not None:
            going = let_go(old)
            del old
            await going
        longest = ", ".join(f"{turn * 1000:.1f}" for turn in sorted(turns.long_s)[:-6:-1])
        print(
            f"{number:2} {'swap' if number else 'first':12}{in_force_s:10.2f} s   {longest:24} {memory()}", flush=True
        )
        assert len(book.market.orders) == options.orders
        assert book.market == await asyncio.to_thread(read, orders)
        del taken
    watching.cancel()
    await reader.close()
    await database.close()


class Turns:
    """What the turns of the loop took that were not short, in CPU time of its thread."""

    def __init__(self) -> None:
        self.long_s: list[float] = []

    async def watch(self) -> None:
        began_s = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now_s = time.thread_time()
            if now_s - began_s > LONG_S:
                self.long_s.append(now_s - began_s)
            began_s = now_s


def changed(orders: Document, number: int, options: argparse.Namespace, chance: random.Random) -> Document:
    """The next market: one order or all of them are other ones."""
    made: dict[str, Any] = orders["orders"]
    limited = {key: order | {"caps": {"day": 5 + number}} for key, order in made.items()}
    if options.edit and number:
        key = chance.choice(list(made))
        limited = made | {key: limited[key]}
    return orders | {"orders": limited}


def store(url: str, orders: Document) -> None:
    async def apply() -> None:
        database = await Database.connect(url, connections_max=1, timeout_s=60)
        await catalogue.apply(database, orders, read(orders), "takeover turns")
        await database.close()

    asyncio.run(apply())


def memory() -> str:
    own, reader = os.getpid(), child_of(os.getpid(), b"takeover.child")
    return " + ".join(f"{rss_mib(pid):.0f}" for pid in (own, reader) if pid is not None) + " MiB"


def rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main()
