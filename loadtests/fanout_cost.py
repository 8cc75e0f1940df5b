"""Measures what a ping costs by the number of buyers asked, and how far that is from a straight line.

    python loadtests/fanout_cost.py                               # 1, 5, 10, 20 and 50 buyers
    python loadtests/fanout_cost.py --fanout 10,100 --calls 20000

The ping engine alone, with the buyers and the checks of `fanout_speed.py`: every buyer's own price must come back.
Each round asks with each number of buyers in turn, about as many calls each, so that whatever the machine does for a
while, it does to all of them. The line is fitted to the medians; a number of buyers whose cost it misses by more than
`--off-max` per cent ends the run with status 1.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from functools import partial

import uvloop
from fanout_speed import ask, farm, ping_body, prepared, run

from exchange.buyers.fanout import Fanout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fanout", type=numbers, default=[1, 5, 10, 20, 50], metavar="N,N")
    parser.add_argument("--calls", type=int, default=8_000, help="of each number of buyers in each round")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--concurrency", type=int, default=8, help="pings under way at a time")
    parser.add_argument("--off-max", type=float, default=15, metavar="PERCENT")
    options = parser.parse_args()
    costs_us = uvloop.run(measure(options))
    return report(costs_us, options.off_max)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


async def measure(options: argparse.Namespace) -> dict[int, list[float]]:
    """CPU microseconds a ping for each number of buyers, one figure a round."""
    fanout = Fanout(allow_private=True)
    costs_us: dict[int, list[float]] = {count: [] for count in options.fanout}
    async with farm("--fanout", str(max(options.fanout))) as ports:
        lines = [prepared(fanout, f"order-{index}", port) for index, port in enumerate(ports)]
        askers = {n: [partial(ask, fanout, lines[:n], ping_body())] * options.concurrency for n in options.fanout}
        for number in range(-1, options.rounds):
            for count in options.fanout:
                pings = max(options.concurrency, options.calls // count)
                cpu_s, _ = await run(askers[count], pings)
                if number >= 0:  # the first round connects
                    costs_us[count].append(cpu_s * 1e6 / pings)
        await fanout.close()
    return costs_us


def report(costs_us: dict[int, list[float]], off_max_percent: float) -> int:
    medians = {count: statistics.median(found) for count, found in costs_us.items()}
    intercept_us, slope_us = fitted(list(medians), list(medians.values()))
    print("buyers   CPU us a ping: median      least       most   the line    off by")
    worst_percent = 0.0
    for count, found in costs_us.items():
        line_us = intercept_us + slope_us * count
        off_percent = (medians[count] / line_us - 1) * 100
        worst_percent = max(worst_percent, abs(off_percent))
        figures = "".join(f"{us:11.1f}" for us in (medians[count], min(found), max(found), line_us))
        print(f"{count:6}{figures:>53}{off_percent:9.1f} %")
    print(f"CPU us a ping = {intercept_us:.1f} + {slope_us:.2f} x buyers, at worst {worst_percent:.1f} % off")
    return 1 if worst_percent > off_max_percent else 0


def fitted(counts: Sequence[int], costs_us: Sequence[float]) -> tuple[float, float]:
    """The straight line with the least relative errors, squared: one buyer's microseconds count as much as fifty's."""
    weights = [1 / cost**2 for cost in costs_us]
    total = sum(weights)
    middle = sum(w * x for w, x in zip(weights, counts, strict=True)) / total
    mean = sum(w * y for w, y in zip(weights, costs_us, strict=True)) / total
    above = sum(w * (x - middle) * (y - mean) for w, x, y in zip(weights, counts, costs_us, strict=True))
    below = sum(w * (x - middle) ** 2 for w, x in zip(weights, counts, strict=True))
    slope = above / below
    return mean - slope * middle, slope


if __name__ == "__main__":
    sys.exit(main())
