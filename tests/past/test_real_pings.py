"""Pings of a running exchange, of every kind: each is explained whole, and run again comes out the same."""

from uuid import UUID

import pytest
from support.buyer import Buyer, bids, says
from support.market import CONTACT, LEAD, Document, market
from support.world import World

from exchange.past.explanation import Explanation
from exchange.past.recall import Past
from exchange.past.told import told
from exchange.storage import pings
from exchange.values.ids import first_of, moment_of, uuid7
from exchange.values.reason import Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")

PINGS = 24


async def test_whatever_became_of_it(shared_world: World) -> None:
    first = uuid7()
    async with (
        Buyer(bids("21.00")) as high, Buyer(bids("20.99")) as even, Buyer(bids("18.00")) as low,
        Buyer(says({"bid": 0})) as shy, Buyer(bids("400.00")) as rich, Buyer(bids("1.00")) as poor,
    ):  # fmt: skip
        buyers: dict[str, Buyer | str] = {
            "high": high,
            "even": even,
            "low": low,
            "shy": shy,
            "rich": rich,
            "poor": poor,
        }
        await shared_world.apply(document_of(market(buyers)))
        for number in range(PINGS):
            lead = LEAD | {"age": 20 + 2 * number, "credit": ("good", "poor")[number % 2]}
            more: Document = {"min_price": "19.00"} if number % 6 == 5 else {}
            offered = await shared_world.ping(lead, test=number % 8 == 7, **more)
            if number % 5 == 0 and offered["status"] == "offered":
                person = CONTACT | {"phone": f"312-555-01{number:02}", "email": f"p{number}@example.com"}
                await shared_world.post(offered["ping_id"], person)
            await shared_world.reasons(offered["ping_id"])
    past, seen = Past(shared_world.database), set()
    recorded = await pings.page(shared_world.database, first, uuid7(), "auto-us", 1_000)
    assert len(recorded) == PINGS
    for ping in recorded:
        found = await past.explain(ping.ping_id, again=True)
        assert isinstance(found, Explanation)
        assert found.replay is not None
        assert found.replay.differences == ()
        orders = [story.outcome.order for story in found.orders]
        assert sorted(orders) == ["even", "high", "low", "off", "old", "poor", "rich", "shy"]
        assert told(found)["ping_id"] == str(ping.ping_id)
        seen |= {story.outcome.reason for story in found.orders}
    assert seen >= {
        Reason.WON, Reason.OUTBID, Reason.NO_BID, Reason.ABOVE_MAX_BID, Reason.BELOW_FLOOR, Reason.FILTERED,
        Reason.PAUSED, Reason.CAPPED, Reason.BELOW_MIN_PRICE, Reason.INSUFFICIENT_BALANCE,
    }  # fmt: skip


def document_of(document: Document) -> Document:
    """Limits of every kind."""
    document["buyers"]["rich"]["max_bid"] = "200.00"
    document["buyers"]["even"]["credit_limit"] = "0.00"
    document["orders"]["high"] |= {"caps": {"day": 2}, "filter": {"age": {"max": 50}}}
    document["orders"]["old"] = {"buyer": "low", "campaign": "auto-us", "filter": {"age": {"min": 60}}}
    document["orders"]["off"] = {"buyer": "low", "campaign": "auto-us", "paused": True}
    return document


async def test_pages_are_whole_in_order_and_end(shared_world: World) -> None:
    await shared_world.apply(market({}))
    first = uuid7()
    made = [UUID((await shared_world.ping())["ping_id"]) for _ in range(7)]
    for ping_id in made:
        await shared_world.reasons(str(ping_id))
    last, found = uuid7(), []
    after = first
    while page := await pings.page(shared_world.database, after, last, None, 3):
        assert len(page) <= 3
        found += [ping.ping_id for ping in page]
        after = found[-1]
    assert found == made
    assert await pings.page(shared_world.database, first, last, "auto-uk", 3) == []
    assert await pings.page(shared_world.database, first, first_of(moment_of(first)), None, 3) == []
