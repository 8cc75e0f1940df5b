"""Breakers on real sockets: who fails is left alone and tried again, posts pass him over, pauses outlive gateways."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.buyer import REJECTS, Buyer, bids, says, silent
from support.market import Document, market
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.observe import metrics
from exchange.rules.pauses import Pause
from exchange.storage import pauses, pings
from exchange.values.trace import OrderOutcome

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAILS = says({"error": "down"}, 503)
QUICK: Document = {"calls": 5, "post_calls": 5, "percent": 100, "rest_s": 1, "probes": 50}


def document(buyers: dict[str, Buyer | str], breaker: Document | None, **campaign: Any) -> Document:
    found = market(buyers, **campaign)
    for buyer in found["buyers"].values():
        buyer["endpoint"] |= {} if breaker is None else {"breaker": breaker}
    return found


async def outcomes(world: World, ping_id: str) -> dict[str, OrderOutcome]:
    found = await until(lambda: pings.find(world.database, UUID(ping_id)), lambda item: item is not None)
    assert found is not None
    return {outcome.order: outcome for outcome in found.outcomes}


async def pinged(world: World, order: str = "north") -> OrderOutcome:
    """What became of an order at a new ping."""
    return (await outcomes(world, (await world.ping())["ping_id"]))[order]


async def opened(world: World, order: str = "north") -> OrderOutcome:
    """Pings until the order's endpoint is left alone."""
    return await until(lambda: pinged(world, order), lambda outcome: outcome.reason.wire_name == "breaker_open")


async def test_a_buyer_who_fails_some_times_in_a_row_is_still_asked(shared_world: World) -> None:
    async with Buyer(FAILS) as north:
        await shared_world.apply(document({"north": north}, None))
        for _ in range(60):
            answer = await shared_world.ping()
            assert answer["reason"]["name"] == "no_bids"
        assert len(north.pings) == 60


async def test_a_buyer_who_dies_is_left_alone_and_comes_back_by_probes(shared_world: World) -> None:
    async with Buyer(FAILS) as north, Buyer(bids("7.00")) as south:
        await shared_world.apply(document({"north": north, "south": south}, QUICK | {"rest_s": 2}))
        for _ in range(5):
            assert (await pinged(shared_world)).reason.wire_name == "server_error"
        asked = len(north.pings)
        out = await pinged(shared_world)
        assert (out.reason.wire_name, out.elapsed_ms, len(north.pings)) == ("breaker_open", None, asked)
        assert "5 of 5 pings failed, the last by server_error" in out.detail
        assert out.detail.startswith("since 20")
        assert len(south.pings) == 6
        north.on_ping = bids("21.00")
        back = await until(lambda: pinged(shared_world), lambda outcome: outcome.reason.wire_name == "won")
        assert back.gross_micros == 21_000_000
        await until(lambda: _three_in_a_row(shared_world), bool)
        state = metrics.REGISTRY.get(
            "exchange_breaker_state", {"buyer": "north", "endpoint": "default", "phase": "ping"}
        )
        assert state == 0


async def _three_in_a_row(world: World) -> bool:
    return all([(await pinged(world)).reason.wire_name == "won" for _ in range(3)])


async def test_where_nobody_listens_the_breaker_opens_too_and_probes_are_few(shared_world: World) -> None:
    async with Buyer(FAILS) as gone:
        url = gone.url
    async with Buyer(bids("7.00")) as south:
        await shared_world.apply(document({"north": url, "south": south}, QUICK | {"probes": 10}))
        for _ in range(5):
            assert (await pinged(shared_world)).reason.wire_name == "connect_failed"
        out = await opened(shared_world)
        assert "connect_failed" in out.detail
        await asyncio.sleep(1.5)  # its rest, which luck makes a quarter longer at most
        found = [(await pinged(shared_world)).reason.wire_name for _ in range(11)]
        assert found.count("connect_failed") == 1
        assert found.count("breaker_open") == 10


async def test_probes_in_a_hurry_prove_nothing_and_keep_no_others_away(shared_world: World) -> None:
    async with Buyer(FAILS) as north:
        await shared_world.apply(document({"north": north}, QUICK))
        await opened(shared_world)
        north.on_ping = silent

        async def hurried() -> str:
            return (await outcomes(shared_world, (await shared_world.ping(timeout_ms=100))["ping_id"]))[
                "north"
            ].reason.wire_name

        await until(hurried, lambda reason: reason == "timeout")
        found = [await hurried() for _ in range(8)]
        assert found.count("timeout") == 4
        north.on_ping = bids("21.00")
        await until(lambda: _three_in_a_row(shared_world), bool)


async def test_a_shadow_only_says_what_it_would_do(shared_world: World) -> None:
    async with Buyer(FAILS) as north:
        await shared_world.apply(document({"north": north}, QUICK | {"shadow": True}))
        labels = {"buyer": "north", "endpoint": "default", "phase": "ping", "state": "would_be_open"}
        before = metrics.REGISTRY.get("exchange_breaker_changes_total", labels) or 0
        for _ in range(12):
            assert (await pinged(shared_world)).reason.wire_name == "server_error"
        assert len(north.pings) == 12
        assert metrics.REGISTRY.get("exchange_breaker_changes_total", labels) == before + 1


async def test_a_breaker_that_is_off_opens_never(shared_world: World) -> None:
    async with Buyer(FAILS) as north:
        await shared_world.apply(document({"north": north}, QUICK | {"enabled": False}))
        for _ in range(12):
            assert (await pinged(shared_world)).reason.wire_name == "server_error"


async def test_an_endpoint_at_another_address_is_asked_at_once(shared_world: World) -> None:
    async with Buyer(FAILS) as north, Buyer(bids("9.00")) as moved:
        await shared_world.apply(document({"north": north}, QUICK | {"rest_s": 60}))
        await opened(shared_world)
        await shared_world.apply(document({"north": moved}, QUICK | {"rest_s": 60}))
        assert (await pinged(shared_world)).reason.wire_name == "won"


async def test_posts_pass_over_an_endpoint_that_fails_them_until_it_answers_pings(shared_world: World) -> None:
    """The lead goes down the ladder, nothing is prepared for the first order, and no post tries him again."""
    async with Buyer(bids("21.00"), FAILS) as north, Buyer(bids("20.00")) as south:
        await shared_world.apply(document({"north": north, "south": south}, QUICK))
        for number in range(5):
            ping_id = (await shared_world.ping())["ping_id"]
            answer = await shared_world.post(
                ping_id, {"first_name": "A", "phone": f"31255501{number:02}", "email": f"a{number}@example.com"}
            )
            assert (answer["status"], answer["reason"]["name"]) == ("pending", "unknown")
        assert len(north.posts) == 5
        made = await shared_world.ping()
        answer = await shared_world.post(made["ping_id"])
        assert (answer["status"], answer["price"]) == ("accepted", made["price"])
        rows = await shared_world.rows("select order_key from attempts where ping_id = $1", made["ping_id"])
        assert [row["order_key"] for row in rows] == ["south"]
        north.on_post = REJECTS

        async def sold() -> int:
            made = await shared_world.ping()
            await shared_world.post(made["ping_id"])
            return len(north.posts)

        assert await until(sold, lambda posts: posts > 5) == 6
        await shared_world.assert_sound()


async def test_an_offer_whose_only_endpoint_fails_posts_is_withdrawn(shared_world: World) -> None:
    async with Buyer(bids("21.00"), FAILS) as north:
        await shared_world.apply(document({"north": north}, QUICK | {"rest_s": 60}, fallback="none"))
        offers = [(await shared_world.ping())["ping_id"] for _ in range(6)]
        for number, ping_id in enumerate(offers[:-1]):
            lead = {"first_name": "B", "phone": f"31255502{number:02}", "email": f"b{number}@example.com"}
            await shared_world.post(ping_id, lead)
        answer = await shared_world.post(offers[-1])
        assert (answer["status"], answer["reason"]["name"]) == ("rejected", "offer_withdrawn")
        assert not await shared_world.rows("select from attempts where ping_id = $1", offers[-1])


async def test_a_pause_holds_in_every_gateway_and_after_a_restart_until_it_is_reset(
    services: Services, tmp_path: Path
) -> None:
    async with Buyer(bids("21.00")) as north, open_world(services, tmp_path) as one:
        await one.apply(document({"north": north}, QUICK))
        assert (await pinged(one)).reason.wire_name == "won"
        made = await one.ping()
        at = datetime.now(UTC)
        await pauses.pause(one.database, Pause("north", "default", "60 of 60 pings failed", at))

        async def is_out(world: World) -> OrderOutcome:
            return await until(lambda: pinged(world), lambda outcome: outcome.reason.wire_name == "paused")

        assert "60 of 60 pings failed" in (await is_out(one)).detail
        assert (await one.post(made["ping_id"]))["reason"]["name"] == "offer_withdrawn"
        async with open_world(services, tmp_path) as other:
            await until(lambda: _in_force(other), bool)
            assert (await pinged(other)).reason.wire_name == "paused"
            await pauses.reset(other.database, "north", "default")
            await until(lambda: pinged(one), lambda outcome: outcome.reason.wire_name == "won")
            await until(lambda: pinged(other), lambda outcome: outcome.reason.wire_name == "won")
            await pauses.pause(one.database, Pause("north", "default", "an old one", at - timedelta(minutes=1)))
            assert [item.pause.at for item in await pauses.noted(one.database)] == [None]


async def _in_force(world: World) -> bool:
    return (await world.send("/v1/ping", {"campaign": "auto-us", "lead": {"zip": "60601"}})).status_code == 200
