"""More pings than a gateway can serve: some wait, the rest are refused at once, and nobody else goes short."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from support.buyer import ACCEPTS, Answer, Buyer, Received, bids
from support.market import CONTACT, LEAD, market
from support.problems import problem
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services

PLACES = 4
OFFER = {"campaign": "auto-us", "lead": LEAD}
LONG_MS = 30_000


class Held:
    """A buyer's way to answer: not before he is let go, one by one."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(0)

    async def __call__(self, _: Received) -> Answer:
        await self.free.acquire()
        return bids("21.00")(_)  # type: ignore[return-value]  # it answers at once


@asynccontextmanager
async def full_house(
    services: Services, folder: Path, **settings: int
) -> AsyncIterator[tuple[World, Held, list[asyncio.Task[httpx.Response]]]]:
    """A gateway all of whose places one seller has taken, with pings that wait for their buyer."""
    limits = {"pings_in_flight_max": PLACES, "ping_wait_max_ms": LONG_MS} | settings
    async with open_world(services, folder, **limits) as world, Buyer(bids("21.00"), on_post=ACCEPTS) as buyer:
        await world.apply(market({"only": buyer}, ping_timeout_ms=20_000) | _patient(buyer))
        for seller in ("acme", "other"):
            assert (await world.ping(seller=seller))["status"] == "offered"
        held = Held()
        buyer.on_ping, seen = held, len(buyer.pings)
        flood = [asyncio.create_task(world.send("/v1/ping", OFFER)) for _ in range(PLACES)]
        while len(buyer.pings) < seen + PLACES:
            await asyncio.sleep(0.01)
        yield world, held, flood
        for _ in range(1_000):
            held.free.release()
        await asyncio.gather(*flood)


def _patient(buyer: Buyer) -> dict[str, object]:
    found = market({"only": buyer})["buyers"]
    found["only"]["endpoint"]["ping_timeout_ms"] = 20_000
    return {"buyers": found}


async def shed(world: World) -> dict[str, float]:
    """How many requests were refused, by cause."""
    lines = (await world.client.get("/metrics")).text.splitlines()
    found = [line for line in lines if line.startswith("exchange_requests_shed_total{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in found}


async def waiting(world: World) -> float:
    lines = (await world.client.get("/metrics")).text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("exchange_pings_waiting "))


async def test_a_refusal_is_a_problem_that_says_when_to_come_back(services: Services, tmp_path: Path) -> None:
    async with full_house(services, tmp_path) as (world, _, _flood):
        before = (await shed(world)).get("pings_in_flight", 0)
        refused = [await world.send("/v1/ping", OFFER) for _ in range(6)]
        for answer in refused:
            problem(answer, 503, "overloaded")
        assert {answer.headers["retry-after"] for answer in refused} == {"1", "2", "3"}
        problem(await world.send("/v1/leads", OFFER | {"lead": LEAD | CONTACT}), 503, "overloaded")
        assert (await shed(world))["pings_in_flight"] == before + 7


async def test_another_sellers_ping_is_next_however_many_one_sends(services: Services, tmp_path: Path) -> None:
    async with full_house(services, tmp_path) as (world, held, _flood):
        quiet = asyncio.create_task(world.send("/v1/ping", OFFER, seller="other"))
        await until(lambda: waiting(world), lambda count: count == 1)
        assert [(await world.send("/v1/ping", OFFER)).status_code for _ in range(5)] == [503] * 5
        held.free.release()
        held.free.release()
        await until(lambda: waiting(world), lambda count: count == 0)
        for _ in range(PLACES):
            held.free.release()
        assert (await quiet).json()["status"] == "offered"


async def test_posts_pass_while_pings_are_refused(services: Services, tmp_path: Path) -> None:
    async with open_world(services, tmp_path / "first") as world, Buyer(bids("21.00"), on_post=ACCEPTS) as buyer:
        await world.apply(market({"only": buyer}))
        offer = await world.ping()
        post = {"ping_id": offer["ping_id"], "lead": CONTACT}
        async with open_world(services, tmp_path / "second", pings_in_flight_max=1) as full:
            full.keys.update(world.keys)
            held = Held()
            buyer.on_ping, seen = held, len(buyer.pings)
            ping = asyncio.create_task(full.send("/v1/ping", OFFER))
            while len(buyer.pings) == seen:
                await asyncio.sleep(0.01)
            problem(await full.send("/v1/ping", OFFER), 503, "overloaded")
            sold = await full.send("/v1/post", post)
            assert (sold.status_code, sold.json()["status"]) == (200, "accepted")
            assert (await full.send("/v1/post", post)).content == sold.content
            assert (await full.get(f"/v1/posts/{sold.json()['post_id']}")).json()["status"] == "accepted"
            held.free.release()
            assert (await ping).json()["status"] == "offered"


async def test_who_has_waited_too_long_is_refused(services: Services, tmp_path: Path) -> None:
    async with full_house(services, tmp_path, ping_wait_max_ms=50) as (world, _, _flood):
        before = (await shed(world)).get("waited_too_long", 0)
        problem(await world.send("/v1/ping", OFFER, seller="other"), 503, "overloaded")
        assert (await shed(world))["waited_too_long"] == before + 1


async def test_who_has_no_time_left_after_the_wait_is_refused(services: Services, tmp_path: Path) -> None:
    async with full_house(services, tmp_path) as (world, held, _flood):
        hasty = asyncio.create_task(world.send("/v1/ping", OFFER | {"timeout_ms": 50}, seller="other"))
        await until(lambda: waiting(world), lambda count: count == 1)
        await asyncio.sleep(0.05)
        held.free.release()
        problem(await hasty, 503, "overloaded")
        assert (await shed(world))["no_time_left"] >= 1


async def test_who_hangs_up_while_he_waits_takes_no_place(services: Services, tmp_path: Path) -> None:
    async with full_house(services, tmp_path) as (world, held, flood):
        writer = await begin(world, json.dumps(OFFER).encode(), f"Content-Length: {len(json.dumps(OFFER))}")
        await until(lambda: waiting(world), lambda count: count == 1)
        writer.transport.abort()
        for _ in range(PLACES):
            held.free.release()
        assert [(await task).json()["status"] for task in flood] == ["offered"] * PLACES
        await until(lambda: waiting(world), lambda count: count == 0)
        [row] = await world.rows("select count(*) from pings where seller = 'other'")
        assert row["count"] == 1  # the one before the house was full


@pytest.mark.parametrize("kind", ["ping", "leads"])
async def test_requests_in_chunks_come_by_the_same_entrance(services: Services, tmp_path: Path, kind: str) -> None:
    async with full_house(services, tmp_path) as (world, held, _flood):
        document = OFFER if kind == "ping" else OFFER | {"lead": LEAD | CONTACT}
        chunks = {"Authorization": f"Bearer {world.keys['acme']}", "Content-Type": "application/json"}

        async def body() -> AsyncIterator[bytes]:
            yield json.dumps(document).encode()

        path = f"/v1/{kind}"
        problem(await world.client.post(path, content=body(), headers=chunks), 503, "overloaded")
        chunks["Authorization"] = f"Bearer {world.keys['other']}"
        quiet = asyncio.create_task(world.client.post(path, content=body(), headers=chunks))
        await until(lambda: waiting(world), lambda count: count == 1)
        for _ in range(2 * PLACES):
            held.free.release()
        assert (await quiet).json()["status"] == ("offered" if kind == "ping" else "accepted")


async def test_a_body_that_does_not_end_takes_no_place(services: Services, tmp_path: Path) -> None:
    async with open_world(services, tmp_path, pings_in_flight_max=2) as world, Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        slow = [await begin(world, b"5\r\n{", "Transfer-Encoding: chunked", seller="acme") for _ in range(10)]
        assert (await world.ping())["status"] == "offered"
        for writer in slow:
            writer.transport.abort()


async def test_more_posts_than_may_be_under_way_are_refused(services: Services, tmp_path: Path) -> None:
    async with open_world(services, tmp_path, posts_in_flight_max=1) as world, Buyer(bids("21.00")) as buyer:
        held = Held()

        async def take(received: Received) -> Answer:
            await held.free.acquire()
            return ACCEPTS(received)  # type: ignore[return-value]  # it answers at once

        buyer.on_post = take
        await world.apply(market({"only": buyer}))
        offers = [await world.ping() for _ in range(2)]
        first = asyncio.create_task(world.post(offers[0]["ping_id"]))
        while not buyer.posts:
            await asyncio.sleep(0.01)
        other = {"ping_id": offers[1]["ping_id"], "lead": CONTACT}
        problem(await world.send("/v1/post", other), 503, "overloaded")
        held.free.release()
        assert (await first)["status"] == "accepted"


async def begin(world: World, body: bytes, header: str, seller: str = "other") -> asyncio.StreamWriter:
    """Sends a ping on a connection of its own, and does not wait for the answer."""
    parts = urlsplit(str(world.client.base_url))
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = ["POST /v1/ping HTTP/1.1", "Host: x", f"Authorization: Bearer {world.keys[seller]}"]
    head += ["Content-Type: application/json", header, "", ""]
    writer.write("\r\n".join(head).encode() + body)
    return writer
