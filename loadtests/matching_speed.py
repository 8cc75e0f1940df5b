"""Measures how long it takes to find the orders that a lead suits, among 10,000 with 200 distinct filters.

    python loadtests/matching_speed.py
    python loadtests/matching_speed.py --orders 1000 --filters 100 --eligible 5-15

The leads are those of many random ones that suit about 20 orders. What is found for each of them must be exactly what
plain evaluation of every order's filter finds. Times are CPU time of a whole pass over the leads, divided by them.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from exchange.marketfile.reader import read
from exchange.rules.book import CampaignBook, compile_book
from exchange.rules.matching import accepts, bits
from exchange.rules.routing import route
from exchange.values.market import Seller
from exchange.values.vertical import Lead

STATES = [
    "AL", "AZ", "CA", "CO", "FL", "GA", "IL", "IN", "KY", "LA", "MA", "MD", "MI", "MN", "MO", "NC", "NJ", "NV", "NY",
    "OH", "OK", "OR", "PA", "SC", "TN", "TX", "UT", "VA", "WA", "WI",
]  # fmt: skip
CREDIT = ["poor", "fair", "good", "excellent"]
INSURERS = [f"Insurer {number}" for number in range(30)]
FIELDS: dict[str, Any] = {
    "zip": {"type": "us_zip", "in": "ping", "required": True},
    "state": {"type": "us_state", "in": "ping"},
    "age": {"type": "integer", "in": "ping", "min": 16, "max": 110},
    "credit": {"type": "enum", "values": CREDIT, "in": "ping"},
    "insurer": {"type": "text", "in": "ping", "max_length": 60},
    "insured": {"type": "boolean", "in": "ping"},
    "vehicle_year": {"type": "integer", "in": "ping", "min": 1980, "max": 2030},
    "phone": {"type": "phone", "region": "US", "in": "post", "required": True},
}
ACME = Seller("acme", ("auto-us",))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--filters", type=int, default=200)
    parser.add_argument(
        "--eligible", type=bounds, default=(15, 25), metavar="LEAST-MOST", help="orders that a lead suits"
    )
    parser.add_argument("--leads", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    book = compiled(options.orders, options.filters, chance)
    leads = suited(book, options.leads, options.eligible, chance)
    check(book, leads)
    eligible = [len(list(bits(book.matcher.matching(lead)))) for lead in leads]
    print(f"{options.orders} orders, {options.filters} filters, {statistics.mean(eligible):.1f} eligible on average")
    measure("the sets alone", leads, book.matcher.matching, options.repeats)
    measure("with the orders' numbers", leads, lambda lead: list(bits(book.matcher.matching(lead))), options.repeats)
    measure("routing, as a ping does it", leads, lambda lead: route(book, lead, ACME, {}), options.repeats)


def bounds(text: str) -> tuple[int, int]:
    least, _, most = text.partition("-")
    return int(least), int(most)


def measure(what: str, leads: Sequence[Lead], find: Callable[[Lead], object], repeats: int) -> None:
    """Prints the median and the spread of what one lead takes."""
    found_us = []
    for _ in range(repeats):
        began_ns = time.process_time_ns()
        for lead in leads:
            for _ in range(10):
                find(lead)
        found_us.append((time.process_time_ns() - began_ns) / 1000 / (10 * len(leads)))
    print(f"{what:28} p50 {statistics.median(found_us):6.2f} us   {min(found_us):6.2f} to {max(found_us):6.2f} us")


def check(book: CampaignBook, leads: Sequence[Lead]) -> None:
    """Asserts for each lead that exactly the right orders are asked."""
    for lead in leads:
        plain = [entry.key for entry in book.entries if suits(book, entry.order.filter, lead)]
        routing = route(book, lead, ACME, {})
        assert [entry.key for entry in routing.asked] == plain, lead
        assert not routing.kept_out


def suits(book: CampaignBook, conditions: Any, lead: Lead) -> bool:
    fields = book.vertical.fields
    return all(accepts(condition, lead.get(name), fields[name].type) for name, condition in conditions.items())


# ---- orders and leads ----


def compiled(orders: int, filters: int, chance: random.Random) -> CampaignBook:
    """A campaign whose orders share a few filters; some filters are those of many orders, most those of few."""
    kinds: dict[str, Any] = {}
    while len(kinds) < filters:
        kind = some_filter(chance)
        kinds[repr(kind)] = kind
    weights = [chance.expovariate(1) for _ in kinds]
    drawn = list(kinds.values()) + chance.choices(list(kinds.values()), weights, k=orders - filters)
    url = "http://127.0.0.1:9"
    endpoint = {"dialect": "native", "ping_url": f"{url}/bid", "post_url": f"{url}/post"}
    market = read(
        {
            "version": 1,
            "currency": "USD",
            "verticals": {"auto": {"identity": ["phone"], "fields": FIELDS}},
            "campaigns": {"auto-us": CAMPAIGN},
            "sellers": {"acme": {"campaigns": ["auto-us"]}},
            "buyers": {"only": {"endpoint": endpoint | {"ping_timeout_ms": 900, "post_timeout_ms": 5000}}},
            "orders": {
                f"order-{number}": {"buyer": "only", "campaign": "auto-us", "filter": kind}
                for number, kind in enumerate(drawn)
            },
        }
    )
    return compile_book(market, 1, {("only", "default"): {}}).campaigns["auto-us"]


CAMPAIGN = {
    "vertical": "auto",
    "ping_timeout_ms": 1000,
    "post_timeout_ms": 8000,
    "offer_ttl_s": 300,
    "floor": "5.00",
    "margin": {"percent": 15},
}


def some_filter(chance: random.Random) -> dict[str, Any]:
    """What buyers ask for: a few states or many ZIP codes, and often age, credit, insurer or vehicle."""
    found: dict[str, Any] = {"state": sorted(chance.sample(STATES, chance.randint(1, 4)))}
    if chance.random() < 0.3:
        found = {"zip": sorted({some_zip(chance) for _ in range(chance.randint(20, 200))})}
    if chance.random() < 0.7:
        youngest = chance.choice([18, 21, 25, 30, 40, 50])
        found["age"] = {"min": youngest, "max": youngest + chance.choice([10, 15, 25, 40])}
    if chance.random() < 0.5:
        found["credit"] = chance.choice([["good", "excellent"], ["excellent"], ["fair", "good"], {"not": ["poor"]}])
    if chance.random() < 0.2:
        found["insurer"] = {"not": sorted(chance.sample(INSURERS, 3))}
    if chance.random() < 0.3:
        found["insured"] = True
    if chance.random() < 0.3:
        found["vehicle_year"] = {"min": chance.randint(1995, 2020)}
    return found


def suited(book: CampaignBook, count: int, eligible: tuple[int, int], chance: random.Random) -> list[Lead]:
    """Leads that suit as many orders as is wanted."""
    found: list[Lead] = []
    for _ in range(1_000 * count):
        lead = some_lead(chance)
        if eligible[0] <= book.matcher.matching(lead).bit_count() <= eligible[1]:
            found.append(lead)
        if len(found) == count:
            return found
    raise SystemExit(f"only {len(found)} leads of {1_000 * count} suit so many orders")


def some_lead(chance: random.Random) -> Lead:
    return {
        "zip": some_zip(chance),
        "state": chance.choice(STATES),
        "age": chance.randint(18, 90),
        "credit": chance.choice(CREDIT),
        "insurer": chance.choice(INSURERS),
        "insured": chance.random() < 0.7,
        "vehicle_year": chance.randint(1990, 2026),
    }


def some_zip(chance: random.Random) -> str:
    return f"{chance.randint(600, 629)}{chance.randint(0, 99):02d}"


if __name__ == "__main__":
    main()
