"""The load test passes against a real gateway, and any wrong answer fails it. Locust is a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from support.buyer import Behaviour, Buyer, Received, reply
from support.market import Document
from support.world import World

from exchange.marketfile.source import parse
from exchange.simulation.farm import Farm
from exchange.simulation.manners import demo_buyers
from exchange.simulation.market import demo_environment, render_demo_market
from exchange.storage import keys
from exchange.values.ids import uuid7

LOCUSTFILE = Path(__file__).parents[2] / "loadtests/locustfile.py"
LIMIT_S = 60


@dataclass(frozen=True)
class Run:
    """How a load test ended: its exit status, its requests by name, and what it said."""

    status: int
    requests: Mapping[str, int]
    failures: int
    text: str


async def run_locust(
    url: str,
    *,
    key: str = "any",
    campaign: str = "auto-us",
    seconds: int = 1,
    users: int = 2,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Run:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--host", url, "--headless"),
        *("--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s", "--stop-timeout", "10"),
        *("--json", "--only-summary"),
        env={**os.environ, "EXCHANGE_KEY": key, "EXCHANGE_CAMPAIGN": campaign, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            said, logged = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    text = said.decode()
    rows = json.JSONDecoder().raw_decode(text)[0] if text.startswith("[") else []  # tables for people follow
    requests = {row["name"]: row["num_requests"] for row in rows}
    return Run(process.returncode, requests, sum(row["num_failures"] for row in rows), text + logged.decode())


@pytest.fixture
async def demo(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The example market in force, with its buyers."""
    for name, token in demo_environment().items():
        monkeypatch.setenv(name, token)
    async with Farm(demo_buyers(), seed=1) as farm:
        document = parse(render_demo_market(9201))
        for buyer, port in farm.ports.items():
            endpoint = document["buyers"][buyer]["endpoint"]
            endpoint |= {"ping_url": f"http://127.0.0.1:{port}/bid", "post_url": f"http://127.0.0.1:{port}/post"}
        for campaign in document["campaigns"].values():
            campaign["ping_timeout_ms"] = 3000  # a busy machine is not a wrong answer
        await world.apply(document)
        yield world


def url_of(world: World) -> str:
    return str(world.client.base_url).rstrip("/")


@pytest.mark.parametrize(("campaign", "seconds"), [("auto-us", 4), ("solar-us", 2)])
async def test_it_passes_against_a_real_gateway(demo: World, campaign: str, seconds: int) -> None:
    run = await run_locust(url_of(demo), key=demo.keys["acme"], campaign=campaign, seconds=seconds, users=5)
    assert (run.status, run.failures) == (0, 0), run.text
    assert run.requests["/v1/ping"] >= run.requests["/v1/post"] > 0
    [pings] = await demo.rows("select count(*) from pings")
    [posts] = await demo.rows("select count(*), count(*) filter (where state = 'accepted') from posts")
    assert pings[0] == run.requests["/v1/ping"]
    assert posts[0] == run.requests["/v1/post"] >= posts[1] > 0
    await demo.assert_sound()


LOOSE = {"EXCHANGE_PING_P99_MS": "60000", "EXCHANGE_POST_P99_MS": "60000", "EXCHANGE_SHED_SHARE_MAX": "1"}
"""A busy machine is not a wrong answer."""


@pytest.mark.parametrize("scenario", ["campaign-start", "flood"])
async def test_a_scenario_says_how_many_users_there_are_and_what_must_hold(demo: World, scenario: str) -> None:
    chosen = {"EXCHANGE_SCENARIO": scenario, "EXCHANGE_SECONDS": "5", "EXCHANGE_USERS": "3"} | LOOSE
    flood = {"EXCHANGE_FLOOD_KEY": await keys.create(demo.database, role="seller", seller="clickwise")}
    run = await run_locust(url_of(demo), key=demo.keys["acme"], variables=chosen | flood)
    assert (run.status, run.failures) == (0, 0), run.text
    assert run.text.count("ok    ") == 4
    assert run.requests["/v1/ping"] > 0
    assert (run.requests.get("flood /v1/ping", 0) > 0) == (scenario == "flood")


@pytest.mark.parametrize("variable", ["EXCHANGE_PING_P99_MS", "EXCHANGE_POST_P99_MS"])
async def test_a_limit_that_does_not_hold_fails_a_scenario(demo: World, variable: str) -> None:
    chosen = {"EXCHANGE_SCENARIO": "steady", "EXCHANGE_SECONDS": "2", "EXCHANGE_USERS": "2"} | LOOSE | {variable: "0"}
    run = await run_locust(url_of(demo), key=demo.keys["acme"], variables=chosen)
    assert (run.status, run.failures) == (1, 0), run.text
    assert run.text.count("FAILED") == 1


@pytest.mark.parametrize(
    ("scenario", "complaint"), [("storm", "EXCHANGE_SCENARIO is one of"), ("flood", "EXCHANGE_FLOOD_KEY is not set")]
)
async def test_a_scenario_that_cannot_be_does_not_start(scenario: str, complaint: str) -> None:
    run = await run_locust("http://127.0.0.1:1", variables={"EXCHANGE_SCENARIO": scenario})
    assert run.status != 0
    assert complaint in run.text


async def test_a_key_that_does_not_hold_fails_it(demo: World) -> None:
    assert await keys.revoke(demo.database, demo.keys["acme"])
    run = await run_locust(url_of(demo), key=demo.keys["acme"])
    assert run.status != 0
    assert run.failures == run.requests["/v1/ping"] > 0
    assert "turned away: 401 unauthorized" in run.text


async def test_a_gateway_that_is_not_there_fails_it() -> None:
    run = await run_locust("http://127.0.0.1:1")
    assert run.status != 0
    assert run.failures > 0
    assert "no answer" in run.text


async def test_without_a_key_it_does_not_start() -> None:
    run = await run_locust("http://127.0.0.1:1", key="")
    assert run.status != 0
    assert "EXCHANGE_KEY is not set" in run.text


OFFER: Document = {
    "status": "offered", "price": "17.85", "currency": "USD", "sale": "exclusive", "shares": 1, "expires_in": 300,
    "expires_at": "2999-01-01T00:00:00.000Z", "ignored": [],
}  # fmt: skip
SALE: Document = {
    "status": "accepted", "price": "17.85", "currency": "USD", "shares": 1, "redirect_url": None, "changed_fields": [],
}  # fmt: skip


def gateway(offer: Document, sale: Document) -> Behaviour:
    """A gateway that answers every ping and every post alike, each with new ids."""

    def behave(received: Received) -> bytes:
        if received.path == "/v1/ping":
            return reply({"ping_id": str(uuid7())} | offer)
        if received.path != "/v1/post":
            return reply(sale)
        return reply({"post_id": str(uuid7()), "ping_id": received.json["ping_id"]} | sale)

    return behave


@pytest.mark.parametrize(
    ("offer", "sale", "complaint"),
    [
        (OFFER, SALE | {"price": "17.84"}, "sold at 17.84, offered at 17.85"),
        (OFFER | {"price": "17.851"}, SALE, "the price 17.851 is not in whole cents"),
        (OFFER | {"price": "1.00"}, SALE, "below the least price"),
        (OFFER, SALE, "the repeat was answered differently"),
        ({"status": "unsold"}, SALE, "reason is missing"),
        (
            {"status": "unsold", "ignored": [], "reason": {"code": 407, "name": "no_bids", "text": "None."}},
            SALE,
            "no offer was posted",
        ),
    ],
)
async def test_a_lie_fails_it(offer: Document, sale: Document, complaint: str) -> None:
    async with Buyer(gateway(offer, sale)) as liar:
        run = await run_locust(liar.url, seconds=2, users=20)
    assert run.status != 0
    assert complaint in run.text
