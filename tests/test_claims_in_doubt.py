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
from exchange.errors import RefusedByDatabase, StorageUnavailable
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


async def test_a_claim_that_comes_after_its_withdrawal_is_refused(world: World) -> None:
    """As from a Postgres that was frozen, and reads late what it was sent."""
    async with Buyer(bids("10.00")) as buyer:
        await world.apply(market({"one": buyer}))
        ping_id = (await world.ping())["ping_id"]
        sales, claims = Sales(world.database), list[tuple[Any, ...]]()

        async def never(_: Sales, *arguments: Any, **__: Any) -> Any:
            claims.append(arguments)
            raise StorageUnavailable("frozen")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Sales, "claim", never)
            assert (await world.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT})).status_code == 503
        await until(lambda: world.rows("select from withdrawals"), bool)
        for post, plans, render in {arguments[0].post_id: arguments for arguments in claims}.values():
            with pytest.raises(RefusedByDatabase, match="withdrawn"):
                await sales.claim(post, plans, render)
        assert await world.rows("select from posts") == []
        assert (await world.post(ping_id))["status"] == "accepted"
    await world.assert_sound()
