"""At most so many orders are asked at once: the best of late, and a few others; the rest have reason 215."""

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from support.buyer import Buyer, bids
from support.market import Document, market
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def opened(stack: AsyncExitStack, prices: dict[str, str | None]) -> dict[str, Buyer | str]:
    return {name: await stack.enter_async_context(Buyer(bids(price))) for name, price in prices.items()}


def limited(buyers: dict[str, Buyer | str], **more: Any) -> Document:
    return market(buyers, **({"max_fanout": 2, "exploration": 0} | more))


async def test_those_are_asked_of_which_most_can_be_expected(shared_world: World) -> None:
    async with AsyncExitStack() as stack:
        buyers = await opened(stack, {"m-low": "6.00", "m-none": None, "m-high": "9.00", "m-mid": "7.00"})
        await shared_world.apply(limited(buyers, max_fanout=3))
        for _ in range(6):  # at first nobody is known
            await shared_world.ping()
        await shared_world.apply(limited(buyers))
        offer = await shared_world.ping()
        assert await shared_world.reasons(offer["ping_id"]) == {"m-high": 2, "m-mid": 307, "m-low": 215, "m-none": 215}
        [row] = await shared_world.rows(
            "select trace->'orders' as found from pings where ping_id = $1", offer["ping_id"]
        )
        details = {order: rest[-1] for order, *rest in json.loads(row["found"]) if rest[1] == 215}
        assert details == {"m-low": "6.00 expected", "m-none": "0.00 expected"}


async def test_exploring_asks_the_others_too(shared_world: World) -> None:
    async with AsyncExitStack() as stack:
        buyers = await opened(stack, {f"x-{number}": f"{9 - number}.00" for number in range(4)})
        await shared_world.apply(limited(buyers, exploration=50))
        seen: set[str] = set()
        for _ in range(60):
            reasons = await shared_world.reasons((await shared_world.ping())["ping_id"])
            asked = {order for order, code in reasons.items() if code != 215}
            assert len(asked) == 2
            seen |= asked
        assert seen == set(buyers)


async def test_where_few_are_eligible_all_are_asked_and_fixed_prices_take_no_place(shared_world: World) -> None:
    async with AsyncExitStack() as stack:
        buyers = await opened(stack, {"f-one": "6.00", "f-two": "7.00"})
        document = limited(buyers | {"f-fixed": "http://127.0.0.1:9", "f-other": "http://127.0.0.1:9"})
        document["orders"]["f-fixed"]["price"] = "8.00"
        document["orders"]["f-other"]["price"] = "5.00"
        await shared_world.apply(document)
        offer = await shared_world.ping()
        expected = {"f-one": 307, "f-two": 307, "f-fixed": 2, "f-other": 307}
        assert await shared_world.reasons(offer["ping_id"]) == expected


async def test_each_tier_of_a_ping_tree_has_its_own_places(shared_world: World) -> None:
    async with AsyncExitStack() as stack:
        buyers = await opened(stack, {"t-a": None, "t-b": None, "t-c": "6.00", "t-d": "6.00"})
        document = limited(buyers, method="priority", max_fanout=1)
        for name in ("t-c", "t-d"):
            document["orders"][name]["priority"] = 2
        await shared_world.apply(document)
        codes = await shared_world.reasons((await shared_world.ping())["ping_id"])
        assert sorted(codes[name] for name in ("t-a", "t-b")) == [1, 215]
        assert sorted(codes[name] for name in ("t-c", "t-d")) == [2, 215]
