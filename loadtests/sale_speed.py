"""Measures sales: posts with every guarantee, from single use and holds to caps, duplicates and a sealed lead.

    python loadtests/sale_speed.py                       # many buyers, then one buyer who takes every lead
    python loadtests/sale_speed.py --sales 100000 --conns 64 hot

Offers are made first, then all are posted as fast as they go, then another lot at half of that rate, or at `--rate`,
where the latency counts from the moment a post was due. Buyers are the benchmark kit's farm: they accept at once, so
what is shown is the exchange's own part. It fails if a post is not accepted at its offer's price, if the buyers were
sent another number of leads, or if the books do not agree afterwards (`exchange doctor`).
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from bench_kit import Failed as KitFailed
from bench_kit import Farm, build
from exchange_process import Failed, own_exchange

from exchange.ports import free_ports

BUYERS = 20
BASE_PORT = free_ports(BUYERS)
STATES = ("TX", "CA", "NY", "FL", "IL", "PA", "OH", "GA", "NC", "MI", "NJ", "VA", "WA", "AZ", "TN", "MA", "IN", "MO",
          "MD", "WI")  # fmt: skip
OFFERS_AT_ONCE = 16

Document = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One lot of posts."""

    sales_s: float
    p50_ms: float
    p99_ms: float


class Caller:
    """One kept-alive connection to the gateway, one request at a time: as little work as a client can make."""

    def __init__(self, url: str, key: str) -> None:
        self._address = urlsplit(url)
        self._head = f"Host: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def post(self, path: str, document: Document, statuses: tuple[int, ...] = (200,)) -> Document:
        body = json.dumps(document).encode()
        self._writer.write(f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answer: Document = json.loads(await self._reader.readexactly(length))
        if int(head.split(None, 2)[1]) not in statuses:
            raise Failed(f"{path}: {head.splitlines()[0].decode()} {answer}")
        return answer


def market(states: Sequence[str]) -> Document:
    """A buyer for each state, with a credit limit, caps and a budget that nobody reaches; a person is sold once."""
    fields = {
        "state": {"type": "us_state", "in": "ping", "required": True},
        "first_name": {"type": "text", "in": "post", "required": True},
        "email": {"type": "email", "in": "post", "required": True},
    }
    document: Document = {
        "version": 1,
        "currency": "USD",
        "verticals": {"auto": {"identity": ["email"], "fields": fields}},
        "campaigns": {
            "auto-us": {
                "vertical": "auto",
                "offer_ttl_s": 3600,
                "margin": {"percent": 15},
                "duplicates": {"window_days": 30},
            }
        },
        "sellers": {"acme": {"campaigns": ["auto-us"], "caps": {"day": 10_000_000}}},
        "buyers": {},
        "orders": {},
    }
    for number, state in enumerate(states):
        document["buyers"][f"buyer-{state.lower()}"] = buyer(number)
        document["orders"][f"order-{state.lower()}"] = order(f"buyer-{state.lower()}") | {"filter": {"state": [state]}}
    return document


def buyer(number: int) -> Document:
    """One of the farm's, whose credit nobody uses up."""
    at = f"http://127.0.0.1:{BASE_PORT + number}"
    endpoint = {"ping_url": f"{at}/bid", "post_url": f"{at}/post", "keep_alive_s": 60}
    return {"credit_limit": "100000000.00", "endpoint": endpoint}


def order(of: str) -> Document:
    """Every lead, with caps and a budget that nobody reaches."""
    limits = {"caps": {"hour": 1_000_000, "day": 10_000_000}, "budget": {"day": "100000000.00"}}
    return {"buyer": of, "campaign": "auto-us"} | limits


async def offers(url: str, key: str, states: Sequence[str], count: int) -> list[Document]:
    """Firm offers, each for another person."""
    found: list[Document] = []
    left = iter(range(count))

    async def make() -> None:
        async with Caller(url, key) as caller:
            for number in left:
                lead = {"state": states[number % len(states)]}
                answer = await caller.post("/v1/ping", {"campaign": "auto-us", "lead": lead})
                if answer["status"] != "offered":
                    raise Failed(f"a ping was not offered: {answer}")
                found.append(answer)

    await asyncio.gather(*(make() for _ in range(OFFERS_AT_ONCE)))
    return found


async def sell(url: str, key: str, made: Sequence[Document], conns: int, rate: float | None) -> Measured:
    """Posts all offers, as fast as they go or at a steady rate; each must be accepted at its price."""
    left, latencies = iter(enumerate(made)), []
    luck, started_s = random.Random(1), time.perf_counter()
    due_s, moments = started_s, []
    for _ in made:
        due_s += luck.expovariate(rate) if rate else 0.0
        moments.append(due_s)

    async def work() -> None:
        async with Caller(url, key) as caller:
            for number, offer in left:
                await asyncio.sleep(max(0.0, moments[number] - time.perf_counter()))
                began_s = moments[number] if rate else time.perf_counter()
                lead = {"first_name": "Ann", "email": f"{offer['ping_id']}@example.com"}
                answer = await caller.post("/v1/post", {"ping_id": offer["ping_id"], "lead": lead})
                latencies.append((time.perf_counter() - began_s) * 1000)
                if (answer["status"], answer.get("price")) != ("accepted", offer["price"]):
                    raise Failed(f"a post was answered {answer}")

    await asyncio.gather(*(work() for _ in range(conns)))
    cuts = statistics.quantiles(latencies, n=100)
    return Measured(len(made) / (time.perf_counter() - started_s), cuts[49], cuts[98])


def measure(states: Sequence[str], sales: int, conns: int, rate: float | None) -> tuple[Measured, Measured]:
    """At full speed, and at half of it or at a given rate."""
    farm = Farm({0, 1}, base=BASE_PORT, count=BUYERS)
    try:
        with own_exchange() as exchange:
            exchange.apply(market(states))
            key = exchange.new_key("acme")
            with exchange.serving() as url:
                found = asyncio.run(_two_lots(url, key, states, sales, conns, rate))
            exchange.run("doctor")
    finally:
        counts = farm.stop()
    if counts["posts"] != 2 * sales:
        raise Failed(f"{counts['posts']} leads were sent for {2 * sales} sales")
    return found


async def _two_lots(
    url: str, key: str, states: Sequence[str], sales: int, conns: int, rate: float | None
) -> tuple[Measured, Measured]:
    full = await sell(url, key, await offers(url, key, states, sales), conns, None)
    half = await sell(url, key, await offers(url, key, states, sales), conns, rate or full.sales_s / 2)
    return full, half


def _cells(lots: Sequence[Measured]) -> list[str]:
    """Medians, with the least and the greatest where there were several runs."""
    cells = []
    for values in ([lot.sales_s for lot in lots], [lot.p50_ms for lot in lots], [lot.p99_ms for lot in lots]):
        spread = f" ({min(values):.0f}-{max(values):.0f})" if len(values) > 1 else ""
        cells.append(f"{statistics.median(values):.0f}{spread}")
    return cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["spread", "hot", []], help="default: both")
    parser.add_argument("--sales", type=int, default=3_000, help="in each lot")
    parser.add_argument("--conns", type=int, default=32, help="posts at a time")
    parser.add_argument("--rate", type=float, help="posts/s of the second lot; half of the first one's speed")
    parser.add_argument("--runs", type=int, default=1, help="each with an exchange of its own; the median is shown")
    options = parser.parse_args()
    build([])
    print("| buyers | sales/s | p50 ms | p99 ms | at half: sales/s | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    try:
        for name in options.what or ["spread", "hot"]:
            states = STATES if name == "spread" else STATES[:1]
            runs = [measure(states, options.sales, options.conns, options.rate) for _ in range(options.runs)]
            cells = [cell for lots in zip(*runs, strict=True) for cell in _cells(lots)]
            print(f"| {'twenty' if name == 'spread' else 'one'} | {' | '.join(cells)} |", flush=True)
    except (Failed, KitFailed) as error:
        print(f"sale_speed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
