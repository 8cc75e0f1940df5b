"""Ten good buyers among forty bad ones, under load: every answer must be the one that the good ones alone would give.

    python loadtests/bad_buyers.py                        # 60 seconds, 20 pings/s
    python loadtests/bad_buyers.py --seconds 5 --rate 10

Starts a gateway with servers of its own, in a folder that is gone afterwards. First the good buyers are alone, to see
what each kind of lead fetches; then a market with all fifty is applied, and pings arrive whether or not earlier ones
have been answered. The good buyers run here, the bad ones in a process of their own; what those do wrong is in
`misbehaviour.py`, and any of them whose bid counted would win. The exit status is 1 if an answer was anything but HTTP
200 with the same price, or came after the seller's time, or if a good buyer was not asked or his bid not counted.
"""

import argparse
import asyncio
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from bad_buyers_farm import CHOSEN, farm
from cores import child_of, cpu_of
from exchange_process import Exchange, Failed, own_exchange
from misbehaviour import BadBuyer, bid, keeps_saying

from exchange.values.money import format_amount

DEADLINE_MS = 2_000
BUYER_MS = 500
ALONE = 5  # pings of each kind before the bad buyers come
MARGIN_PERCENT = 15
STATES = ("AZ", "CA", "FL", "GA", "IL", "NY", "OH", "PA", "TX", "WA")
"""A lead of kind `k` is from `STATES[k]`. Good buyer `k` takes it and later kinds, and bids more than those before."""
COUNTED = {"won", "outbid"}
NO_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)

Prices = Mapping[str, str]
"""What a lead of each state fetches."""


@dataclass
class Seen:
    """The answers to all pings of one phase: how long each took, and what was wrong with any."""

    took_ms: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        return sorted(self.took_ms)[int(share * (len(self.took_ms) - 1))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20, help="pings a second")
    parser.add_argument("--seed", type=int, default=1, help="of the arrivals")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        with own_exchange() as exchange:
            faults = asyncio.run(run(exchange, options))
    except Failed as failed:
        faults = [str(failed)]
    for fault in faults[:20]:
        print(f"bad_buyers: {fault}", file=sys.stderr)
    return 1 if faults else 0


async def run(exchange: Exchange, options: argparse.Namespace) -> list[str]:
    """The whole test; what was wrong."""
    async with AsyncExitStack() as stack:
        good = [await stack.enter_async_context(BadBuyer(keeps_saying(bid(price(k))))) for k in range(len(STATES))]
        bad = await stack.enter_async_context(farm())
        urls = {f"good-{k}": buyer.url for k, buyer in enumerate(good)}
        await asyncio.to_thread(exchange.apply, market(urls))
        key = await asyncio.to_thread(exchange.new_key, "acme")
        client = await stack.enter_async_context(gateway(exchange, key))
        prices = {state: expected_price(k) for k, state in enumerate(STATES)}
        alone = Seen()
        for _ in range(ALONE):
            await each_kind(client, prices, alone)
        await asyncio.to_thread(exchange.apply, market(urls | bad))
        await in_force(client, 2)
        await each_kind(client, prices, met := Seen())
        before, waits = await outcomes(client), Waits()
        seen = await under_load(client, prices, options)
        print(waits.said())
        reasons = {name: codes - before[name] for name, codes in (await outcomes(client)).items()}
    report(alone, seen, reasons)
    return alone.faults + met.faults + seen.faults + unfair(seen, reasons)


@asynccontextmanager
async def gateway(exchange: Exchange, key: str) -> AsyncIterator[httpx.AsyncClient]:
    serving = exchange.serving()
    url = await asyncio.to_thread(serving.__enter__)
    try:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(
            base_url=url, headers=headers, limits=NO_LIMITS, timeout=10, trust_env=False
        ) as found:
            await in_force(found, 1)
            yield found
    finally:
        await asyncio.to_thread(serving.__exit__, None, None, None)


# ---- the market ----


def price(kind: int) -> str:
    """Whole cents also when the margin is taken off, so that no rounding rule can hide a wrong winner."""
    return f"{(500 + 40 * kind) / 100:.2f}"


def expected_price(kind: int) -> str:
    return format_amount((500 + 40 * kind) * (100 - MARGIN_PERCENT) * 100)


def market(urls: Mapping[str, str]) -> dict[str, Any]:
    """A market in which each of these buyers has one order; the bad ones take every lead."""
    found: dict[str, Any] = {
        "version": 1,
        "currency": "USD",
        "verticals": {"auto": {"identity": ["phone"], "fields": FIELDS}},
        "campaigns": {
            "auto-us": {
                "vertical": "auto",
                "ping_timeout_ms": DEADLINE_MS,
                "post_timeout_ms": 5_000,
                "offer_ttl_s": 60,
                "floor": "5.00",
                "margin": {"percent": MARGIN_PERCENT},
            }
        },
        "sellers": {"acme": {"campaigns": ["auto-us"]}},
        "buyers": {},
        "orders": {},
    }
    for name, url in urls.items():
        endpoint = {"dialect": "native", "ping_url": url, "post_url": url, "ping_timeout_ms": BUYER_MS}
        endpoint["breaker"] = {"enabled": False}  # each of them is to be asked by every ping
        found["buyers"][name] = {"credit_limit": "10000000.00", "endpoint": endpoint | {"post_timeout_ms": 5_000}}
        found["orders"][name] = {"buyer": name, "campaign": "auto-us"}
        if name.startswith("good-"):
            found["orders"][name]["filter"] = {"state": list(STATES[int(name.removeprefix("good-")) :])}
    return found


FIELDS = {
    "state": {"type": "us_state", "in": "ping", "required": True},
    "phone": {"type": "phone", "region": "US", "in": "post", "required": True},
}


# ---- pings ----


async def each_kind(client: httpx.AsyncClient, prices: Prices, seen: Seen) -> None:
    """One ping of each kind, all at the same moment."""
    now_s = time.monotonic()
    await asyncio.gather(*(ping(client, state, prices, seen, now_s) for state in STATES))


async def under_load(client: httpx.AsyncClient, prices: Prices, options: argparse.Namespace) -> Seen:
    """Poisson arrivals: a ping is sent when it is due, and its time counts from then."""
    chance, seen, began_s = random.Random(options.seed), Seen(), time.monotonic()
    due_s = began_s
    async with asyncio.TaskGroup() as pings:
        while (due_s := due_s + chance.expovariate(options.rate)) < began_s + options.seconds:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            pings.create_task(ping(client, chance.choice(STATES), prices, seen, due_s))
    return seen


async def ping(client: httpx.AsyncClient, state: str, prices: Prices, seen: Seen, due_s: float) -> None:
    """Sends one ping and checks its answer."""
    document = {"campaign": "auto-us", "timeout_ms": DEADLINE_MS, "lead": {"state": state}}
    seen.kinds[state] += 1
    try:
        answer = await client.post("/v1/ping", json=document, timeout=10)
    except httpx.HTTPError as error:
        seen.faults.append(f"a ping from {state} got no answer: {error!r}")
        return
    took_ms = (time.monotonic() - due_s) * 1000
    seen.took_ms.append(took_ms)
    if answer.status_code != 200:
        seen.faults.append(f"a ping from {state} got HTTP {answer.status_code}: {answer.text}")
    elif (answer.json()["status"], answer.json().get("price")) != ("offered", prices[state]):
        seen.faults.append(f"a ping from {state} should get {prices[state]}, not {answer.text}")
    elif took_ms > DEADLINE_MS:
        seen.faults.append(f"a ping from {state} took {took_ms:.0f} ms of {DEADLINE_MS}")


# ---- what became of whom ----


class Waits:
    """How long the gateway and this command were ready to work while others had the CPUs: then times mean little."""

    def __init__(self) -> None:
        gateway = child_of(os.getpid(), b"\0serve\0")
        if gateway is None:
            raise Failed("there is no gateway")
        self._began_s = time.monotonic()
        self._before = {pid: cpu_of(pid) for pid in (gateway, os.getpid())}

    def said(self) -> str:
        passed_ms = (time.monotonic() - self._began_s) * 1000
        shares = [cpu_of(pid).since(before).waited_ms / passed_ms for pid, before in self._before.items()]
        return "gateway and load waited for a CPU {:.0%} and {:.0%} of the time".format(*shares)


async def in_force(client: httpx.AsyncClient, version: int) -> None:
    deadline_s = time.monotonic() + 30
    while f"exchange_market_version {version}.0" not in (await client.get("/metrics")).text:
        if time.monotonic() > deadline_s:
            raise Failed(f"market {version} is not in force after 30 s")
        await asyncio.sleep(0.05)


async def outcomes(client: httpx.AsyncClient) -> dict[str, Counter[str]]:
    """How often each buyer had each code so far, as the gateway counts them."""
    found: dict[str, Counter[str]] = {}
    for line in (await client.get("/metrics")).text.splitlines():
        if not line.startswith("exchange_buyer_pings_total{"):
            continue
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
        found.setdefault(labels["buyer"], Counter())[labels["reason"]] = int(float(line.rpartition(" ")[2]))
    return found


def unfair(seen: Seen, reasons: Mapping[str, Counter[str]]) -> list[str]:
    """Good buyers who were left out or not heard, and bad ones who were."""
    faults = []
    for kind in range(len(STATES)):
        codes, due = reasons[f"good-{kind}"], sum(seen.kinds[state] for state in STATES[kind:])
        if codes.total() != due or codes.keys() - COUNTED:
            faults.append(f"good-{kind} should have bid {due} times: {dict(codes)}")
    for number in range(len(CHOSEN)):
        codes = reasons[f"bad-{number:02d}"]
        if codes.total() != seen.kinds.total() or codes.keys() & COUNTED:
            faults.append(f"bad-{number:02d} should have been refused {seen.kinds.total()} times: {dict(codes)}")
    return faults


def report(alone: Seen, seen: Seen, reasons: Mapping[str, Counter[str]]) -> None:
    print(f"{'the bad buyer':42} {'his code':20} what became of his {seen.kinds.total()} calls")
    for number, one in enumerate(CHOSEN):
        told = ", ".join(f"{code} {count}" for code, count in reasons[f"bad-{number:02d}"].most_common())
        print(f"{one.name:42} {one.reason.wire_name:20} {told}")
    print(f"\n{'':24}{'pings':>8}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'wrong':>7}")
    rows: Sequence[tuple[str, Seen]] = [("the good ones alone", alone), ("with the bad ones", seen)]
    for name, phase in rows:
        figures = "".join(f"{phase.quantile(share):9.1f}" for share in (0.5, 0.99, 1))
        print(f"{name:24}{phase.kinds.total():8}{figures}{len(phase.faults):7}")
    print(f"buyers may take {BUYER_MS} ms, the seller waits {DEADLINE_MS} ms")


if __name__ == "__main__":
    sys.exit(main())
