"""The market in force: a change holds in time even where its announcement is lost, and a bad one changes nothing."""

import time

import pytest
from structlog.testing import capture_logs
from support.buyer import Buyer, bids
from support.market import market
from support.waiting import until
from support.world import World

from exchange.storage.catalogue import CHANNEL

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_change_holds_within_two_seconds_though_its_announcement_is_lost(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        killed = await shared_world.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and query ilike 'listen%'"
        )
        assert len(killed) == 1
        started_s = time.monotonic()
        await shared_world.apply(market({"only": buyer}, margin={"percent": 50}))
        assert time.monotonic() - started_s < 2
        assert (await shared_world.ping())["price"] == "10.50"


async def test_an_announced_change_holds_at_once_for_whoever_pings_next(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        for percent, price in ((10, "18.90"), (20, "16.80"), (30, "14.70")):
            await shared_world.apply(market({"only": buyer}, margin={"percent": percent}))
            assert (await shared_world.ping())["price"] == price


@pytest.mark.parametrize("document", ["[]", "{}", '"market"', "null", '{"version": 99}', '{"version": 1, "orders": 7}'])
async def test_a_market_that_cannot_be_read_leaves_the_old_one_in_force(shared_world: World, document: str) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        with capture_logs() as lines:
            await shared_world.rows("insert into market_versions (document, sha256) values ($1, '')", document)
            await shared_world.rows("select pg_notify($1, '')", CHANNEL)

            async def said() -> list[str]:
                return [line["event"] for line in lines]

            await until(said, lambda events: "market_not_readable" in events)
        assert (await shared_world.ping())["price"] == "17.85"
        await shared_world.apply(market({"only": buyer}, margin={"percent": 50}))
        assert (await shared_world.ping())["price"] == "10.50"
