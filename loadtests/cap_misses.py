"""Measures how often an offer fails at the post because a cap or budget is full, and that none is ever exceeded.

    python loadtests/cap_misses.py                            # two gateways, 12 orders, until all their caps are full
    python loadtests/cap_misses.py --workers 4 --rate 120 --seconds 60
    python loadtests/cap_misses.py --posted 0.3               # sellers who post three offers of ten

Sellers ping at a steady rate, wait a while as people do, and post some of the offers. Buyers bid at once or a little
later, and refuse some leads, which makes room again. Servers, gateways and buyers are the script's own. It fails if a
cap or budget is over at any moment by the database's record or by a buyer's own count, if an answer is not what the
contract allows, or if more claims fail than may: 0.5 % of those of an order that has used nine tenths of a limit, and
0.05 % of the others.
"""

import argparse
import asyncio
import json
import random
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx
from exchange_process import Exchange, own_exchange

from exchange.storage import counts
from exchange.storage.database import Database

ALLOWED_NEAR, ALLOWED_ELSEWHERE = 0.005, 0.0005
NEAR = 0.9
MICROS = 1_000_000

Document = dict[str, Any]


@dataclass(frozen=True)
class Options:
    workers: int
    rate: float
    seconds: float
    orders: int
    posted: float
    seed: int


@dataclass
class Buyers:
    """All buyers on one port: they bid by luck, and remember what each order has taken."""

    luck: random.Random
    taken: Counter[str] = field(default_factory=Counter)
    spent: Counter[str] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
                body = json.loads(await reader.readexactly(length))
                await asyncio.sleep(self.luck.random() * 0.06)
                answer = json.dumps(self._post(body) if b" /post" in head else self._bid()).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _bid(self) -> Document:
        return {"bid": f"{self.luck.uniform(10, 30):.2f}"}

    def _post(self, body: Document) -> Document:
        if self.luck.random() < 0.1:
            return {"status": "rejected"}
        self.taken[body["order"]] += 1
        self.spent[body["order"]] += round(float(body["price"]) * 100)
        return {"status": "accepted"}


def market_of(options: Options, port: int) -> Document:
    """Orders with caps of all sizes, every third with a budget instead."""
    document: Document = {
        "version": 1,
        "currency": "USD",
        "verticals": {"auto": {"fields": {"zip": {"type": "us_zip", "in": "ping", "required": True}}}},
        "campaigns": {"auto-us": {"vertical": "auto", "offer_ttl_s": 20, "margin": {"percent": 15}}},
        "sellers": {"acme": {"campaigns": ["auto-us"]}},
        "buyers": {},
        "orders": {},
    }
    for number in range(options.orders):
        name, leads = f"order-{number:02d}", 30 + 20 * number
        endpoint = {"ping_url": f"http://127.0.0.1:{port}/bid", "post_url": f"http://127.0.0.1:{port}/post"}
        document["buyers"][name] = {"credit_limit": "10000000.00", "endpoint": endpoint}
        limit: Document = {"budget": {"day": f"{25 * leads}.00"}} if number % 3 == 2 else {"caps": {"day": leads}}
        document["orders"][name] = {"buyer": name, "campaign": "auto-us"} | limit
    return document


async def sell(client: httpx.AsyncClient, options: Options, luck: random.Random, told: Counter[str]) -> None:
    """One lead: a ping, a while, and mostly a post."""
    answer = (await client.post("/v1/ping", json={"campaign": "auto-us", "lead": {"zip": "60601"}})).json()
    told[f"ping {answer['status']}"] += 1
    assert answer["status"] in {"offered", "unsold"}, answer
    if answer["status"] == "unsold" or luck.random() >= options.posted:
        return
    await asyncio.sleep(min(luck.expovariate(1.0), 8))
    said = await client.post("/v1/post", json={"ping_id": answer["ping_id"], "lead": {}})
    post = said.json()
    if said.status_code == 410:
        told["post too late"] += 1
        return
    told[f"post {post['status']} {post.get('reason', {}).get('code', '')}".strip()] += 1
    assert post["status"] in {"accepted", "rejected"}, post
    assert post["status"] == "rejected" or post["price"] == answer["price"], (answer, post)


async def load(url: str, key: str, options: Options) -> Counter[str]:
    """Sellers at a steady rate, whatever comes back."""
    told: Counter[str] = Counter()
    luck = random.Random(options.seed)
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx.AsyncClient(base_url=url, timeout=30, limits=limits, headers=headers, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        begun_s = time.monotonic()
        for number in range(int(options.rate * options.seconds)):
            await asyncio.sleep(max(0.0, begun_s + number / options.rate - time.monotonic()))
            group.create_task(sell(client, options, luck, told))
    return told


async def misses(database: Database, limits: dict[str, tuple[str, int]]) -> Document:
    """Of the claims of each order, those that found it full; and the most that was ever counted of a limit."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select p.post_id, p.created_at, i.ladder->0->>0 as wanted, a.order_key as first_tried "
            "from posts p join pings i using (ping_id) "
            "left join attempts a on a.post_id = p.post_id and a.ordinal = (select min(ordinal) from attempts x "
            "where x.post_id = p.post_id) order by p.created_at"
        )
    )
    attempts = await database.run(
        lambda connection: connection.fetch(
            "select order_key, gross_micros, state, created_at, resolved_at from attempts"
        )
    )
    changes = defaultdict(list)
    for item in attempts:
        size = 1 if limits[item["order_key"]][0] == "leads" else item["gross_micros"]
        changes[item["order_key"]].append((item["created_at"], size))
        if item["state"] in {"rejected", "not_sent"}:
            changes[item["order_key"]].append((item["resolved_at"], -size))
    found = {"near": 0, "near missed": 0, "elsewhere": 0, "elsewhere missed": 0, "most": 0.0}
    for order, steps in changes.items():
        counted = 0
        for _, size in sorted(steps):
            counted += size
            found["most"] = max(found["most"], counted / limits[order][1])
    for row in rows:
        used = sum(size for at, size in changes[row["wanted"]] if at < row["created_at"])
        where = "near" if used >= NEAR * limits[row["wanted"]][1] else "elsewhere"
        found[where] += 1
        found[f"{where} missed"] += row["first_tried"] != row["wanted"]
    return found


async def measure(options: Options, exchange: Exchange) -> None:
    luck = random.Random(options.seed)
    buyers = Buyers(luck)
    server = await asyncio.start_server(buyers.serve, "127.0.0.1", 0)
    document = market_of(options, server.sockets[0].getsockname()[1])
    exchange.apply(document)
    key = exchange.new_key("acme")
    with exchange.serving("--workers", str(options.workers)) as url:
        await ready(url)
        told = await load(url, key, options)
    assert not re.search(r"error|Traceback", log := exchange.log()), log
    database = await Database.connect(exchange.services.postgres_url, connections_max=2, timeout_s=60, name="load")
    limits = {
        order: ("leads", item["caps"]["day"])
        if "caps" in item
        else ("money", int(float(item["budget"]["day"]) * MICROS))
        for order, item in document["orders"].items()
    }
    found = await misses(database, limits)
    report(told, found)
    for order, (kind, limit) in limits.items():
        assert (buyers.taken[order] if kind == "leads" else buyers.spent[order] * MICROS // 100) <= limit, order
    for name, query in counts.INVARIANTS.items():
        assert not await database.run(lambda connection, query=query: connection.fetch(query)), name  # type: ignore[misc]
    assert found["most"] <= 1, found
    assert found["near"] >= 100, "too few claims near a limit to say anything: more --seconds or --rate"
    assert share(found, "near") <= ALLOWED_NEAR, found
    assert share(found, "elsewhere") <= ALLOWED_ELSEWHERE, found
    server.close()
    await database.close()


async def ready(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.1)


def report(told: Counter[str], found: Document) -> None:
    for answer, count in sorted(told.items()):
        print(f"{count:7d}  {answer}")
    print(f"claims above {NEAR:.0%} of a limit  {found['near']:6d}, failed {share(found, 'near'):.3%}")
    print(f"other claims              {found['elsewhere']:6d}, failed {share(found, 'elsewhere'):.3%}")
    print(f"the most that was counted of a limit: {found['most']:.1%}")


def share(found: Document, where: str) -> float:
    return float(found[f"{where} missed"] / max(found[where], 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="gateway processes")
    parser.add_argument("--rate", type=float, default=80, help="pings a second")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--orders", type=int, default=12)
    parser.add_argument("--posted", type=float, default=0.8, help="share of the offers that are posted")
    parser.add_argument("--seed", type=int, default=1)
    options = Options(**vars(parser.parse_args()))
    with own_exchange(EXCHANGE_LOG_LEVEL="warning") as exchange:
        asyncio.run(measure(options, exchange))


if __name__ == "__main__":
    main()
