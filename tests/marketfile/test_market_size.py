"""A market of 10,000 orders is read whole; `loadtests/matching_speed.py` measures how fast."""

import json
import random

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


def test_ten_thousand_orders_are_read() -> None:
    document = parse(large_market(10_000))
    market = read(document)
    assert len(market.orders) == 10_002
    assert compare(market, read(json.loads(json.dumps(document)))) == ()
