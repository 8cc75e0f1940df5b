"""A market of 10,000 orders is read in a few seconds."""

import json
import random
import time

from market_example import EXAMPLE

from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.marketfile.source import parse

STATES = ["AL", "AZ", "CA", "CO", "FL", "GA", "IL", "IN", "KY", "LA", "MA", "MD", "MI", "NY", "OH", "TX", "WI"]


def large_market(count: int) -> str:
    """The example with many orders, as buyers write them."""
    rng = random.Random(1)  # noqa: S311  # the same market every time
    lines = []
    for i in range(count):
        states = ", ".join(sorted(rng.sample(STATES, rng.randint(1, 8))))
        zips = ", ".join(f'"{rng.randint(0, 99999):05d}"' for _ in range(rng.randint(3, 25)))
        where = f"state: [{states}]" if i % 3 else f"zip: [{zips}]"
        youngest = rng.randint(18, 62)
        rule = f"{{{where}, age: {{min: {youngest}, max: {youngest + 20}}}, credit: [good, excellent]}}"
        lines.append(f"  o-{i:05d}: {{buyer: northwind, campaign: auto-us, sale: exclusive, filter: {rule}}}\n")
    return EXAMPLE + "".join(lines)


def test_ten_thousand_orders_are_read_in_a_few_seconds() -> None:
    text = large_market(10_000)
    started = time.perf_counter()
    document = parse(text)
    parsed = time.perf_counter()
    market = read(document)
    done = time.perf_counter()
    assert len(market.orders) == 10_002
    assert parsed - started < 10  # about one second on one core; the bound allows for a busy machine
    assert done - parsed < 5  # about half a second
    assert compare(market, read(json.loads(json.dumps(document)))) == ()
