"""Limits on requests on real sockets: what is too much is skipped at once, and a buyer who asks for a rest has one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from support.buyer import Buyer, Received, bids, reply
from support.market import Document, market
from support.waiting import Held, until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.storage import pings
from exchange.values.trace import OrderOutcome

pytestmark = pytest.mark.asyncio(loop_scope="module")


def document(buyers: dict[str, Buyer | str], orders: Document | None = None, **endpoint: object) -> Document:
    found = market(buyers, orders=orders, ping_timeout_ms=9_000)
    found["buyers"]["north"]["endpoint"] |= endpoint
    return found


async def pinged(world: World, order: str = "north") -> OrderOutcome:
    """What became of an order at a new ping."""
    ping_id = (await world.ping())["ping_id"]
    found = await until(lambda: pings.find(world.database, UUID(ping_id)), lambda item: item is not None)
    assert found is not None
    return next(outcome for outcome in found.outcomes if outcome.order == order)


def named(outcomes: list[OrderOutcome]) -> list[str]:
    return [outcome.reason.wire_name for outcome in outcomes]


async def test_more_than_the_rate_is_skipped_and_nobody_else_is(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as north, Buyer(bids("20.00")) as south:
        found = document({"north": north, "south": south}, rate={"per_s": 1, "burst": 3})
        await shared_world.apply(found)
        outcomes = [await shared_world.ping() for _ in range(3)]
        assert len(north.pings) == 3
        assert {outcome["price"] for outcome in outcomes} == {"17.85"}

        async def is_skipped() -> bool:
            return (await pinged(shared_world)).reason.wire_name == "buyer_rate_limited"

        await until(is_skipped, bool)
        south_only = await until(lambda: pinged(shared_world, "south"), lambda outcome: outcome.reason == 2)
        assert south_only.gross_micros == 20_000_000
        skipped = await until(lambda: pinged(shared_world), lambda outcome: outcome.reason == 209)
        assert (skipped.detail, skipped.elapsed_ms) == ("1 a second", None)
        await until(lambda: pinged(shared_world), lambda outcome: outcome.reason == 2)


async def test_a_slow_buyer_has_no_more_under_way_than_he_may(shared_world: World) -> None:
    slow = Held({"bid": "21.00"})
    async with Buyer(slow) as north:
        orders: Document = {"also": {"buyer": "north", "campaign": "auto-us"}}
        await shared_world.apply(document({"north": north}, orders, in_flight=1, ping_timeout_ms=8_000))
        waiting = asyncio.ensure_future(shared_world.ping())
        await slow.asked.wait()
        outcomes = [await pinged(shared_world) for _ in range(3)]
        assert named(outcomes) == ["busy"] * 3
        assert {outcome.detail for outcome in outcomes} == {"1 under way"}
        assert len(north.pings) == 1
        slow.release.set()
        assert (await waiting)["status"] == "offered"
        both = [await pinged(shared_world, order) for order in ("north", "also")]
        assert named(both) == ["won", "busy"]


async def test_a_call_that_nobody_waits_for_is_under_way_until_it_is_answered(shared_world: World) -> None:
    slow = Held({"bid": "21.00"})
    async with Buyer(slow) as north:
        await shared_world.apply(document({"north": north}, in_flight=1, ping_timeout_ms=100))
        assert named([await pinged(shared_world) for _ in range(3)]) == ["timeout", "busy", "busy"]
        slow.release.set()
        await until(lambda: pinged(shared_world), lambda outcome: outcome.reason.wire_name == "won")


async def test_a_connection_that_is_lost_carries_nothing_any_more(shared_world: World) -> None:
    slow = Held({"bid": "21.00"})
    async with Buyer(slow) as north:
        await shared_world.apply(document({"north": north}, in_flight=1, ping_timeout_ms=100))
        assert named([await pinged(shared_world), await pinged(shared_world)]) == ["timeout", "busy"]
        for writer in list(north._writers):
            writer.transport.abort()
        await until(lambda: pinged(shared_world), lambda outcome: outcome.reason.wire_name == "timeout")
        slow.release.set()


def asks_for_rest(seconds: str, times: int) -> Buyer:
    """A buyer who says 429 so many times, and bids then."""
    left = [times]

    def say(_: Received) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            return reply({"bid": "21.00"})
        header = f"Retry-After: {seconds}\r\n" if seconds else ""
        return f"HTTP/1.1 429 Too Many Requests\r\n{header}Content-Length: 0\r\n\r\n".encode()

    return Buyer(say)


async def test_a_buyer_who_asks_for_a_rest_has_it_and_is_asked_again(shared_world: World) -> None:
    async with asks_for_rest("4", 1) as north:
        await shared_world.apply(document({"north": north}))
        assert named([await pinged(shared_world) for _ in range(3)]) == [
            "too_many_requests",
            *["buyer_rate_limited"] * 2,
        ]
        resting = await pinged(shared_world)
        if resting.reason == 209:
            assert resting.detail.startswith("until 20")
            assert resting.detail.endswith("UTC, as the buyer has asked (429)")
        await until(lambda: pinged(shared_world), lambda outcome: outcome.reason.wire_name == "won")
        assert len(north.pings) == 2


@pytest.mark.parametrize("said", ["", "soon", "0"])
async def test_a_buyer_who_does_not_say_how_long_is_asked_again_at_once(shared_world: World, said: str) -> None:
    async with asks_for_rest(said, 40) as north:
        await shared_world.apply(document({"north": north}))
        assert named([await pinged(shared_world) for _ in range(40)]) == ["too_many_requests"] * 40
        assert (await pinged(shared_world)).reason.wire_name == "won"


async def test_a_rest_is_no_longer_than_it_may_be(services: Services, tmp_path: Path) -> None:
    async with asks_for_rest("86400", 1) as north, open_world(services, tmp_path, retry_after_longest_s=1) as world:
        await world.apply(document({"north": north}))
        assert (await pinged(world)).reason.wire_name == "too_many_requests"
        await until(lambda: pinged(world), lambda outcome: outcome.reason.wire_name == "won")


async def test_gateways_share_a_limit(services: Services, tmp_path: Path) -> None:
    """Of 8 at a time each of two gateways has 4; a gateway that goes leaves its part to the other."""
    slow = Held({"bid": "21.00"})
    async with Buyer(slow) as north, open_world(services, tmp_path) as one:
        found = document({"north": north}, in_flight=8, ping_timeout_ms=8_000)
        await one.apply(found)
        async with open_world(services, tmp_path) as other:
            await other.apply(found)
            await until(lambda: one.rows("select from gateways"), lambda rows: len(rows) == 2)
            await asyncio.sleep(2.2)  # each has looked since
            waiting = [asyncio.ensure_future(world.ping()) for world in (one, other) for _ in range(8)]
            await until(lambda: _ended(waiting), lambda ended: ended == 8)
            assert len(north.pings) == 8
            slow.release.set()
            answers = await asyncio.gather(*waiting)
            assert sum(answer["status"] == "offered" for answer in answers) == 8
        await until(lambda: one.rows("select from gateways"), lambda rows: len(rows) == 1)
        slow.release.clear()
        await asyncio.sleep(2.2)
        waiting = [asyncio.ensure_future(one.ping()) for _ in range(10)]
        await until(lambda: _ended(waiting), lambda ended: ended == 2)
        slow.release.set()
        assert sum(answer["status"] == "offered" for answer in await asyncio.gather(*waiting)) == 8


async def _ended(tasks: "Sequence[asyncio.Future[Document]]") -> int:
    return sum(task.done() for task in tasks)
