"""Measures how long it takes to find the orders that a lead suits, among 10,000 with 200 distinct filters.

    python loadtests/matching_speed.py
    python loadtests/matching_speed.py --orders 1000 --filters 100 --eligible 5-15
    python loadtests/matching_speed.py --mixed          # with radii, prefixes, presence and groups
    python loadtests/matching_speed.py --mixed --patterns --filters 10000
    python loadtests/matching_speed.py --schedules 300
    python loadtests/matching_speed.py --orders 100000
    python loadtests/matching_speed.py --orders 100000 --filters 2000 --eligible 150-250

The leads are those of many random ones that suit about 20 orders. What is found for each of them must be exactly what
plain evaluation of every order finds. With `--schedules` the orders have so many different ones, some rest and some
exclude the seller; then a week of changes is timed, too, beginning as a market comes into force. Times are CPU time of
a whole pass over the leads, divided by them. The places of ZIP codes are made up: a town every few miles all over the
state of the leads.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from typing import Any

from exchange.geodata import centroids
from exchange.geodata.gazetteer import pack
from exchange.marketfile.reader import read
from exchange.rules.bitsets import bits
from exchange.rules.book import CampaignBook, OrderEntry, compile_book
from exchange.rules.filters import holds
from exchange.rules.routing import barred, route
from exchange.rules.schedule import Timeline
from exchange.values.market import Seller
from exchange.values.reason import Reason
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
ZONES = ["America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"]
HOLIDAYS = ["2026-11-26", "2026-11-27", "2026-12-24", "2026-12-25", "2027-01-01", "2027-01-18"]
TRIES = 10_000
"""Random leads for each that is wanted: of very many orders few suit so few."""
NOW_S = datetime(2026, 11, 23, 15, 30, tzinfo=UTC).timestamp()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--filters", type=int, default=200)
    parser.add_argument(
        "--eligible", type=bounds, default=(15, 25), metavar="LEAST-MOST", help="orders that a lead suits"
    )
    parser.add_argument("--schedules", type=int, default=0, metavar="N", help="different schedules, in four zones")
    parser.add_argument("--leads", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mixed", action="store_true", help="filters with radii, prefixes, presence and groups, too")
    parser.add_argument("--patterns", action="store_true", help="with patterns on top")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with TemporaryDirectory() as folder:
        make_places(Path(folder) / "zip_centroids.txt.gz")
        run(options, chance)


def run(options: argparse.Namespace, chance: random.Random) -> None:
    wanted = partial(mixed_filter, patterns=options.patterns) if options.mixed else some_filter
    market = document(options, wanted, chance)
    written_ns = time.process_time_ns()
    read_market = read(market)
    read_ns = time.process_time_ns()
    headers = {(key, "default"): {"X": "y"} for key in read_market.buyers}
    book = compile_book(read_market, 1, headers).campaigns["auto-us"]
    print(f"reading {(read_ns - written_ns) / 1e9:.2f} s, compiling {(time.process_time_ns() - read_ns) / 1e9:.2f} s")
    print(f"memory at its most {getrusage(RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, the document and its market included")
    leads = suited(book, options.leads, options.eligible, chance)
    check(book, leads)
    eligible = [len(list(bits(book.matcher.matching(lead)))) for lead in leads]
    print(f"{options.orders} orders, {options.filters} filters, {statistics.mean(eligible):.1f} eligible on average")
    measure("the sets alone", leads, book.matcher.matching, options.repeats)
    measure("with the orders' numbers", leads, lambda lead: list(bits(book.matcher.matching(lead))), options.repeats)
    measure("routing, as a ping does it", leads, lambda lead: route(book, lead, ACME, {}, now_s=NOW_S), options.repeats)
    if book.states is not None:
        change_hours(book, leads[0])


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


def change_hours(book: CampaignBook, lead: Lead) -> None:
    """Prints what the first ping of each minute of a week pays for the orders that open and close in it."""
    found_us = []
    for minute in range(7 * 24 * 60):
        began_ns = time.process_time_ns()
        route(book, lead, ACME, {}, now_s=NOW_S - 60 * (minute == 0) + 60 * minute)  # set back first: all is worked out
        found_us.append((time.process_time_ns() - began_ns) / 1000)
    first, *rest = found_us
    dear = sorted(rest)[-len(rest) // 100 :]
    print(f"a market comes into force    {first / 1000:10.2f} ms")
    print(f"the dearest 1 % of minutes   p50 {statistics.median(dear):6.0f} us   up to {max(rest):6.0f} us")


def check(book: CampaignBook, leads: Sequence[Lead]) -> None:
    """Asserts for each lead that exactly the right orders are asked, and the others kept out for the right reason."""
    states = {entry.key: state(entry) for entry in book.entries}
    for lead in leads:
        plain = [entry for entry in book.entries if holds(entry.filter, lead, book.vertical.fields)]
        routing = route(book, lead, ACME, {}, now_s=NOW_S)
        assert [entry.key for entry in routing.asked] == [entry.key for entry in plain if not states[entry.key]], lead
        expected = {entry.key: states[entry.key] for entry in plain if states[entry.key]}
        assert {entry.key: reason for entry, reason in routing.kept_out} == expected, lead


def state(entry: OrderEntry) -> Reason | None:
    """Why an order is kept out, worked out for it alone."""
    schedule, found = entry.order.schedule, barred(entry, ACME, NOW_S)
    if found is Reason.PAUSED or schedule is None:
        return found
    now = datetime.fromtimestamp(NOW_S, UTC)
    return found if Timeline(schedule, entry.buyer.time_zone).is_open(now) else Reason.OUTSIDE_SCHEDULE


# ---- orders and leads ----


def document(
    options: argparse.Namespace, wanted: Callable[[random.Random], dict[str, Any]], chance: random.Random
) -> dict[str, Any]:
    """A market whose orders share a few filters; some filters are those of many orders, most those of few."""
    kinds: dict[str, Any] = {}
    while len(kinds) < options.filters:
        kind = wanted(chance)
        kinds[repr(kind)] = kind
    weights = [chance.expovariate(1) for _ in kinds]
    drawn = list(kinds.values()) + chance.choices(list(kinds.values()), weights, k=options.orders - options.filters)
    kept = [some_schedule(chance) for _ in range(options.schedules)]
    url = "http://127.0.0.1:9"
    endpoint = {"dialect": "native", "ping_url": f"{url}/bid", "post_url": f"{url}/post"}
    return {
        "version": 1,
        "currency": "USD",
        "verticals": {"auto": {"identity": ["phone"], "fields": FIELDS}},
        "campaigns": {"auto-us": CAMPAIGN},
        "sellers": {"acme": {"campaigns": ["auto-us"]}},
        "buyers": {
            f"buyer-{number}": {
                "time_zone": zone,
                "endpoint": endpoint | {"ping_timeout_ms": 900, "post_timeout_ms": 5000},
            }
            for number, zone in enumerate(ZONES)
        },
        "orders": {
            f"order-{number}": {"buyer": f"buyer-{number % len(ZONES)}", "campaign": "auto-us", "filter": kind}
            | (some_state(kept, chance) if kept else {})
            for number, kind in enumerate(drawn)
        },
    }


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


def some_schedule(chance: random.Random) -> dict[str, Any]:
    """Office hours, mostly by the quarter of an hour."""
    begins = f"{chance.randint(6, 11):02d}:{chance.choice([0, 15, 30, 45]):02d}"
    ends = f"{chance.randint(15, 23):02d}:{chance.choice([0, 15, 30, 45]):02d}"
    days = chance.choice([["mon", "tue", "wed", "thu", "fri"], ["mon", "tue", "wed", "thu", "fri", "sat"]])
    return {"days": days, "hours": f"{begins}-{ends}", "holidays": sorted(chance.sample(HOLIDAYS, 3))}


def some_state(schedules: Sequence[dict[str, Any]], chance: random.Random) -> dict[str, Any]:
    """One order in twenty is paused, as many exclude the seller, and all but a few keep hours."""
    return {
        "paused": chance.random() < 0.05,
        "exclude_sellers": ["acme"] if chance.random() < 0.05 else [],
        "schedule": chance.choice(schedules) if chance.random() < 0.9 else None,
    }


def mixed_filter(chance: random.Random, *, patterns: bool) -> dict[str, Any]:
    """The same, and half of them with what the other operators say."""
    found = some_filter(chance)
    draw = chance.random()
    if draw < 0.3:
        found.pop("state", None)
        found["zip"] = {"within_miles": chance.choice([10, 25, 30, 50]), "of": some_zip(chance)}
    elif draw < 0.4:
        found["zip"] = {"prefix": sorted({some_zip(chance)[:3] for _ in range(3)})}
    if chance.random() < 0.2:
        found["or"] = [{"credit": {"exists": False}}, {"vehicle_year": {"min": 2010}, "insured": True}, {"age": 41}]
    if chance.random() < 0.1:
        found["not"] = {"insurer": chance.choice(INSURERS), "insured": False}
    if chance.random() < 0.1:
        found["age"] = {"or": [{"max": chance.randint(20, 30)}, {"min": chance.randint(55, 70)}]}
    if patterns and chance.random() < 0.3:
        found["insurer"] = {"matches": f"{chance.randint(0, 9)}$"}
    return found


def make_places(path: Path) -> None:
    """Places of all ZIP codes that leads may have, and of as many again as the country has."""
    chance = random.Random(1)
    points = {
        f"{number:05d}": (chance.uniform(37, 42.5), chance.uniform(-91.5, -87.5)) for number in range(60000, 63000)
    }
    points |= {f"{number:05d}": (chance.uniform(25, 48), chance.uniform(-124, -70)) for number in range(30000)}
    lines = [f"{name}\t{north}\t{east}" for name, (north, east) in points.items()]
    path.write_bytes(pack("\n".join(["GEOID\tINTPTLAT\tINTPTLONG", *lines]), "luck"))
    centroids.PACKED = path


def suited(book: CampaignBook, count: int, eligible: tuple[int, int], chance: random.Random) -> list[Lead]:
    """Leads that suit as many orders as is wanted."""
    found: list[Lead] = []
    for _ in range(TRIES * count):
        lead = some_lead(chance)
        if eligible[0] <= book.matcher.matching(lead).bit_count() <= eligible[1]:
            found.append(lead)
        if len(found) == count:
            return found
    raise SystemExit(f"only {len(found)} leads of {TRIES * count} suit so many orders")


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
