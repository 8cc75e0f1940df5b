"""Traffic of simulated sellers: the number asked for, the habits as stated, the same for the same seed."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from datetime import date
from itertools import islice
from random import Random

import httpx

from exchange.simulation.sellers import Account, SellerClient
from exchange.simulation.tally import PingTold, PostTold, Told
from exchange.simulation.traffic import Habits, Traffic, plan_errands
from exchange.values.ids import uuid7

TODAY = date(2026, 3, 1)
QUICK = Habits(pings_per_s=2000, hesitation_ms=(0, 1))
ACCOUNTS = (Account("acme", "k1", ("auto-us", "solar-us")), Account("sunleads", "k2", ("solar-us",)))


class Gateway:
    """Offers two pings of three and accepts every post, the same answer for the same key."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.pause_s = pause_s
        self.pings = 0
        self.bodies: list[str] = []
        self.posts: dict[str, bytes] = {}
        self.calls = Counter[str]()
        self.in_flight = self.in_flight_most = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls[request.url.path] += 1
        self.in_flight += 1
        self.in_flight_most = max(self.in_flight, self.in_flight_most)
        await asyncio.sleep(self.pause_s)
        self.in_flight -= 1
        return self.ping(request) if request.url.path == "/v1/ping" else self.post(request)

    def ping(self, request: httpx.Request) -> httpx.Response:
        self.pings += 1
        self.bodies.append(request.content.decode())
        document = {"ping_id": str(uuid7()), "status": "unsold"}
        if self.pings % 3 == 0:
            return httpx.Response(200, json=document | {"reason": {"code": 407, "name": "no_bids", "text": ""}})
        offer = {"status": "offered", "price": "9.00", "currency": "USD", "sale": "exclusive", "shares": 1}
        return httpx.Response(200, json=document | offer | {"expires_in": 300, "expires_at": ""})

    def post(self, request: httpx.Request) -> httpx.Response:
        ping_id = json.loads(request.content)["ping_id"]
        sale = {"post_id": str(uuid7()), "ping_id": ping_id, "status": "accepted", "price": "9.00", "currency": "USD"}
        answer = self.posts.setdefault(request.headers["idempotency-key"], json.dumps(sale).encode())
        return httpx.Response(200, content=answer, headers={"Content-Type": "application/json"})


def clients(http: httpx.AsyncClient) -> Sequence[SellerClient]:
    return [SellerClient(http, account) for account in ACCOUNTS]


def client_for(gateway: Gateway) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(gateway), base_url="http://gateway")


async def test_every_answer_is_in_the_tally_and_heard_as_it_comes() -> None:
    gateway, heard = Gateway(), list[Told]()
    async with client_for(gateway) as http:
        traffic = Traffic(clients(http), seed=1, today=TODAY, habits=QUICK, told=heard.append)
        tally = await traffic.run(asyncio.Event(), pings=300)
    assert gateway.calls["/v1/ping"] == len(tally.pings) == 300
    assert len({told.ping_id for told in tally.posts}) == len(tally.posts) == len(gateway.posts)
    assert 160 < len(tally.posts) < 200
    assert len(tally.posts) < gateway.calls["/v1/post"] < len(tally.posts) + 30
    assert not tally.faults
    assert not tally.turned_away
    assert [told for told in heard if isinstance(told, PingTold)] == tally.pings
    assert [told for told in heard if isinstance(told, PostTold)] == tally.posts


async def test_the_same_seed_sends_the_same_leads() -> None:
    sent = []
    for seed in (7, 7, 8):
        gateway = Gateway()
        async with client_for(gateway) as http:
            await Traffic(clients(http), seed=seed, today=TODAY, habits=QUICK).run(asyncio.Event(), pings=50)
        sent.append(sorted(gateway.bodies))
    assert sent[0] == sent[1] != sent[2]


async def test_two_runs_with_the_same_seed_share_no_idempotency_key() -> None:
    gateway, posts = Gateway(), 0
    for _ in range(2):
        async with client_for(gateway) as http:
            tally = await Traffic(clients(http), seed=7, today=TODAY, habits=QUICK).run(asyncio.Event(), pings=50)
        posts += len(tally.posts)
    assert len(gateway.posts) == posts


async def test_it_stops_when_told_and_waits_for_what_is_under_way() -> None:
    stop, gateway = asyncio.Event(), Gateway(pause_s=0.02)
    async with client_for(gateway) as http:
        traffic = Traffic(clients(http), seed=1, today=TODAY, habits=QUICK)
        running = asyncio.create_task(traffic.run(stop))
        while len(traffic.tally.pings) < 20:  # the tally is watched from outside
            await asyncio.sleep(0.01)
        stop.set()
        async with asyncio.timeout(60):
            tally = await running
    assert gateway.in_flight == 0
    assert gateway.calls["/v1/ping"] == len(tally.pings)


async def test_no_more_errands_than_allowed_are_under_way() -> None:
    gateway = Gateway(pause_s=0.01)
    async with client_for(gateway) as http:
        habits = Habits(pings_per_s=5000, in_flight_max=5, hesitation_ms=(0, 0), repeated_pct=0)
        await Traffic(clients(http), seed=1, today=TODAY, habits=habits).run(asyncio.Event(), pings=60)
    assert gateway.in_flight_most == 5


async def test_errands_keep_the_stated_habits() -> None:
    habits = Habits(pings_per_s=50, posted_pct=80, repeated_pct=10, at_once_pct=30, min_price_pct=20)
    async with client_for(Gateway()) as http:
        errands = list(islice(plan_errands(clients(http), habits, Random(3), TODAY), 4000))  # noqa: S311  # repeatable
    assert 0.77 < sum(errand.posted for errand in errands) / 4000 < 0.83
    assert 0.08 < sum(errand.repeated for errand in errands) / 4000 < 0.12
    assert 0.27 < sum(errand.at_once for errand in errands) / 4000 < 0.33
    assert 0.17 < sum(errand.min_price_micros is not None for errand in errands) / 4000 < 0.23
    assert 0.018 < sum(errand.gap_s for errand in errands) / 4000 < 0.022
    assert all(errand.campaign in errand.client.account.campaigns for errand in errands)
    assert all(("vehicle_make" in errand.lead.ping) == (errand.campaign == "auto-us") for errand in errands)
