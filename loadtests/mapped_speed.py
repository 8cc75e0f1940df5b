"""Measures what a mapped buyer costs against a native one: the same buyers and prices, asked both ways in turns.

    python loadtests/mapped_speed.py                              # 10 buyers a ping
    python loadtests/mapped_speed.py --fanout 20 --times-max 2

The ping engine with its dialects, from a lead to bids, with the buyers and the checks of `fanout_speed.py`: every
buyer's own price must come back. A native ping is written once for all buyers; a mapped one for each, as each has a
key of his own. What they are sent alike is written once: with `--own-names` that is nothing. A machine that does other
work makes rounds dearer, never cheaper: more than `--times-max` times the native CPU, by the least of many short
rounds, ends the run badly.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import uvloop
from fanout_speed import HOST, LEAD, MICROS_PER_CENT, farm, price_cents, run

from exchange.buyers.calls import Call
from exchange.buyers.dialects.json_writing import Runs
from exchange.buyers.dialects.mapped import Mapped
from exchange.buyers.dialects.native import NATIVE, TIMEOUT_HEADER
from exchange.buyers.dialects.wire import Dialect, Ping
from exchange.buyers.fanout import Fanout
from exchange.buyers.line import Line
from exchange.marketfile.mappings import build_mapping
from exchange.marketfile.shapes.mapped import MappingShape
from exchange.values.bid import Bid
from exchange.values.deadline import Deadline
from exchange.values.ids import uuid7
from exchange.values.market import Sale

REPLY: dict[str, Any] = {
    "format": "json",
    "success": {"at": "bid", "exists": True},
    "reject": {"at": "status", "is": "no"},
}


def mapping_of(index: int, *, own_names: bool = False) -> dict[str, Any]:
    """A buyer's mapping: a key of his own, and the lead's fields by the market's names or by names of his own."""
    known_by = {f"{name}_{index}" if own_names else name: name for name in LEAD}
    first = {"key": {"const": f"k-{index}"}, "id": {"value": "ping_id"}, "test": {"value": "test"}}
    return {
        "ping": {"body": "json", "fields": first | known_by, "reply": REPLY | {"price": "bid", "bid_id": "bid_id"}},
        "post": {"body": "json", "reply": REPLY},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fanout", type=int, default=10, help="buyers asked for each ping")
    parser.add_argument("--pings", type=int, default=50, help="pings of each round")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=8, help="pings under way at a time")
    parser.add_argument("--times-max", type=float, default=1.3)
    parser.add_argument("--own-names", action="store_true", help="no two buyers have the same names for fields")
    options = parser.parse_args()
    native_us, mapped_us = uvloop.run(measure(options))
    least_us = min(native_us), min(mapped_us)
    print("CPU us a call    median    least     most")
    for name, found in (("native", native_us), ("mapped", mapped_us)):
        print(f"{name:<14}{statistics.median(found):9.2f}{min(found):9.2f}{max(found):9.2f}")
    print(f"mapped is {least_us[1] / least_us[0]:.2f} times native")
    return 1 if least_us[1] > options.times_max * least_us[0] else 0


async def measure(options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """CPU microseconds a call, native and mapped, one figure a round."""
    fanout = Fanout(allow_private=True)
    costs_us: tuple[list[float], list[float]] = [], []
    async with farm("--fanout", str(options.fanout)) as ports:
        native: list[Dialect] = [NATIVE] * len(ports)
        runs = Runs()
        mapped: list[Dialect] = [
            Mapped(build_mapping(MappingShape.model_validate(mapping_of(index, own_names=options.own_names))), {}, runs)
            for index in range(len(ports))
        ]
        ways = [partial(ask, fanout, prepared(fanout, dialects, ports), dialects) for dialects in (native, mapped)]
        for number in range(-1, options.rounds):
            for way, found in zip(ways, costs_us, strict=True):
                cpu_s, _ = await run([way] * options.concurrency, options.pings)
                if number >= 0:  # the first round connects
                    found.append(cpu_s * 1e6 / options.pings / options.fanout)
        await fanout.close()
    return costs_us


def prepared(fanout: Fanout, dialects: Sequence[Dialect], ports: Sequence[int]) -> list[Line]:
    return [
        fanout.line(
            f"order-{index}", f"http://{HOST}:{port}/bid", dialect.standing_headers(f"order-{index}"), TIMEOUT_HEADER
        )
        for index, (dialect, port) in enumerate(zip(dialects, ports, strict=True))
    ]


async def ask(fanout: Fanout, lines: Sequence[Line], dialects: Sequence[Dialect]) -> None:
    """Asks as the exchange does: once for all who speak alike; each buyer's own price must come back."""
    ping = Ping(uuid7(), "order", "auto-us", "auto", False, "USD", 5_000_000, Sale.EXCLUSIVE, LEAD, {})
    asking = {
        id(dialect): (dialect.ping(ping).body, dialect.bid_reader(sale=ping.sale, currency="USD"))
        for dialect in set(dialects)
    }
    calls = [
        Call(line, asking[id(dialect)][0], 5_000, asking[id(dialect)][1])
        for line, dialect in zip(lines, dialects, strict=True)
    ]
    for index, asked in enumerate(await fanout.ask(calls, Deadline.after_ms(9_000))):
        assert isinstance(asked.reply, Bid), asked
        assert asked.reply.gross_micros == price_cents(index) * MICROS_PER_CENT, asked


if __name__ == "__main__":
    sys.exit(main())
