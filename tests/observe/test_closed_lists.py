"""Series come from the market and closed lists: no request makes new ones, and every reason can show."""

import asyncio
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from support.buyer import Buyer, Received, bids, reply
from support.market import CONTACT, LEAD, market
from support.unknowns import counted
from support.world import World

from exchange import record
from exchange.record import Recorder
from exchange.storage.feed import Feed, Item
from exchange.storage.journal import Journal
from exchange.storage.pings import RecordedPing
from exchange.storage.posts import PostState, Result
from exchange.values.reason import Reason
from exchange.values.trace import OrderOutcome, PingStatus, PingTrace

SERIES_PER_ENDPOINT_MAX = 30


async def scraped(world: World) -> list[Metric]:
    return list(text_string_to_metric_families((await world.client.get("/metrics")).text))


async def series(world: World) -> set[tuple[str, ...]]:
    """Every series by its name and labels."""
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items())))
        for family in await scraped(world)
        for sample in family.samples
    }


async def strange_requests(world: World) -> None:
    """One of each kind, with a name in every place that takes one."""
    name = secrets.token_hex(8)
    lead = LEAD | {name: name}
    await world.send("/v1/ping", {"campaign": name, "lead": LEAD})
    await world.send("/v1/ping", {"campaign": "auto-us", "lead": {"zip": name}})
    await world.ping(lead, source=name, ref=name)
    await world.send("/v1/post", {"ping_id": str(uuid4()), "lead": CONTACT})
    await world.send("/v1/post", {"ping_id": name, "lead": CONTACT})
    await world.send("/v1/leads", {"campaign": name, "lead": CONTACT}, **{"Idempotency-Key": name})
    await world.get(f"/v1/pings/{name}")
    await world.get(f"/v1/posts/{uuid4()}")
    await world.get(f"/{name}")
    await world.client.request(name.upper(), "/v1/ping")
    await world.client.post("/v1/ping", headers={"Authorization": f"Bearer {name}"}, json={})
    await world.client.post("/v1/ping", headers={name: name, "Host": name}, content=name)


async def test_requests_with_random_names_make_no_series(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        for _ in range(2):
            await strange_requests(world)
        before = await series(world)
        while ("exchange_connections_total", f"address=127.0.0.1:{buyer.port}", "result=reused") not in before:
            await asyncio.sleep(0.1)  # pools are looked at once a second
            before = await series(world)
        for _ in range(25):
            await strange_requests(world)
        assert await series(world) == before


async def test_a_busy_endpoint_has_thirty_series_at_most(world: World) -> None:
    answers: Iterator[object] = iter(["21.00", "21.00", None, "1.00", "21.00", "21.00"])

    def bid(_: Received) -> bytes:
        price = next(answers, "21.00")
        return reply({}) if price is None else reply({"bid": price})

    said = iter(["accepted", "rejected"])
    async with Buyer(bid, lambda _: reply({"status": next(said, "accepted")})) as buyer, Buyer(bids("22.00")) as better:
        await world.apply(market({"only": buyer}))
        for _ in range(6):
            offer = await world.ping()
            if offer["status"] == "offered":
                await world.post(offer["ping_id"])
        await world.apply(market({"only": buyer, "better": better}))
        await world.ping()  # which he loses
        names = {"buyer": "only", "address": f"127.0.0.1:{buyer.port}"}
        his = [
            found for found in await series(world) if any(f"{label}={name}" in found for label, name in names.items())
        ]
        assert any("reason=outbid" in found for found in his)
        assert len(his) <= SERIES_PER_ENDPOINT_MAX, sorted(his)


class _Silent:
    """A live feed that nobody watches."""

    watched = False

    def push(self, item: Item) -> None:
        """Nobody looks."""


def trace(reason: Reason, status: PingStatus) -> PingTrace:
    """A ping without an offer for this reason, one order of which was refused for it, too."""
    return PingTrace(
        ping_id=uuid4(),
        seller="acme",
        campaign="reasons",
        market_version=1,
        currency="USD",
        test=False,
        source=None,
        ref=None,
        min_price_micros=None,
        lead={},
        status=status,
        reason=reason,
        offer=None,
        rows=(OrderOutcome("order", "buyer", reason),),
        phases_ms={"ask": 1.0, "decide": 0.1},
    )


def ping() -> RecordedPing:
    return RecordedPing(
        ping_id=uuid4(),
        seller="acme",
        campaign="reasons",
        market_version=1,
        status=PingStatus.OFFERED,
        reason=None,
        test=False,
        currency="USD",
        min_price_micros=None,
        payout_micros=1_000_000,
        expires_at=datetime.now(UTC),
        ladder=(),
        lead={},
        outcomes=(),
        phases_ms={},
        post_id=None,
    )


@pytest.mark.parametrize("reason", [item for item in Reason if item is not Reason.BID], ids=lambda item: item.name)
def test_every_reason_shows(reason: Reason) -> None:
    """Whatever an order, a ping or a post ends with, its series is there, and there was none before."""
    recorder = Recorder(cast("Journal", None), cast("Feed", _Silent()))
    status = PingStatus.REFUSED if 401 <= reason <= 404 else PingStatus.UNSOLD
    of_order = counted("exchange_buyer_pings_total", buyer="buyer", reason=reason.wire_name)
    of_ping = counted("exchange_pings_total", campaign="reasons", status=status.value, reason=reason.wire_name)
    record._count_ping(trace(reason, status))
    assert counted("exchange_buyer_pings_total", buyer="buyer", reason=reason.wire_name) == of_order + 1
    shown = counted("exchange_pings_total", campaign="reasons", status=status.value, reason=reason.wire_name)
    assert shown == of_ping + 1
    if reason >= Reason.ACCEPTED:
        recorder.post(ping(), Result(PostState.REJECTED, reason), None)
        assert counted("exchange_posts_total", campaign="reasons", status="rejected", reason=reason.wire_name) == 1
