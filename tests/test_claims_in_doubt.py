"""A claim whose commit was not confirmed: it is found again, or nothing of it stays."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.buyer import Buyer, bids
from support.market import CONTACT, market
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.errors import StorageUnavailable
from exchange.storage.sales import Sales


@pytest.fixture
async def world(services: Services, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(services, tmp_path) as opened:
        yield opened


def doubt(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Lets the next claims be committed, and nobody know it."""
    claim, left = Sales.claim, iter(range(times))

    async def doubtful(*arguments: Any, **options: Any) -> Any:
        done = await claim(*arguments, **options)
        if next(left, None) is not None:
            raise StorageUnavailable("the connection was lost")
        return done

    monkeypatch.setattr(Sales, "claim", doubtful)


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "one"}], ids=["without a key", "with a key"])
async def test_a_claim_that_was_not_confirmed_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch, key: dict[str, str]
) -> None:
    async with Buyer(bids("10.00")) as buyer:
        await world.apply(market({"one": buyer}))
        ping = await world.ping()
        doubt(monkeypatch, times=1)
        told = await world.send("/v1/post", {"ping_id": ping["ping_id"], "lead": CONTACT}, **key)
        assert (told.status_code, told.json()["status"], len(buyer.posts)) == (200, "accepted", 1)
    await world.assert_sound()


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "one"}], ids=["without a key", "with a key"])
async def test_nothing_stays_of_a_claim_that_was_answered_503(
    world: World, monkeypatch: pytest.MonkeyPatch, key: dict[str, str]
) -> None:
    async with Buyer(bids("10.00")) as buyer:
        await world.apply(market({"one": buyer}))
        ping = await world.ping()
        doubt(monkeypatch, times=2)
        body = {"ping_id": ping["ping_id"], "lead": CONTACT}
        assert (await world.send("/v1/post", body, **key)).status_code == 503
        await until(lambda: world.rows("select post_id from posts"), lambda rows: not rows)
        assert buyer.posts == []
        await world.assert_sound()
        told = await world.send("/v1/post", body, **key)
        assert (told.status_code, told.json()["status"], len(buyer.posts)) == (200, "accepted", 1)
    await world.assert_sound()
