"""A new market is taken up beside other work, and the old one let go in small steps."""

import asyncio
import gc
from datetime import UTC, datetime

import orjson
import pytest
from support.market import market

from exchange import pauses
from exchange.errors import MarketFileError
from exchange.marketfile.reader import read
from exchange.rules.caps import caps_of_market
from exchange.storage.catalogue import MarketText
from exchange.takeover.swapping import FREED_AT_ONCE, let_go, take
from exchange.takeover.taking import Ours

NOBODY = "http://127.0.0.1:9"
ORDERS = 10 * FREED_AT_ONCE


def document() -> dict[str, object]:
    found = market({"first": NOBODY, "second": NOBODY})
    order = found["orders"]["first"] | {"caps": {"day": 5}}
    found["orders"] |= {
        f"order-{number}": order | {"filter": {"age": {"min": number % 80}}} for number in range(ORDERS)
    }
    found["buyers"]["first"]["endpoint"]["auth"] = {"bearer": "${env:FIRST_TOKEN}"}
    found["buyers"]["second"]["endpoint"]["auth"] = {"bearer": "${env:SECOND_TOKEN}"}
    return found


APPLIED_AT = datetime(2026, 1, 31, tzinfo=UTC)


def stored(number: int = 3) -> MarketText:
    return MarketText(number, orjson.dumps(document()).decode(), APPLIED_AT)


async def test_a_market_is_read_whole() -> None:
    taken = await take(stored(), Ours({"FIRST_TOKEN": "secret"}))
    expected = read(document())
    assert taken.book.version == 3
    assert taken.book.market == expected
    assert taken.caps == caps_of_market(expected)
    assert taken.zones == {"auto-us": "UTC"}
    assert taken.lacking == ("second.default",)
    entries = taken.book.campaigns["auto-us"].by_key
    assert entries["first"].auth_headers == {"Authorization": "Bearer secret"}
    assert entries["second"].auth_headers is None


async def test_one_that_cannot_be_read_is_refused_and_leaves_the_collector_as_it_was() -> None:
    frozen = gc.get_freeze_count()
    with pytest.raises(MarketFileError):
        await take(MarketText(4, "[]", APPLIED_AT), Ours({}))
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen  # others' things may have gone
    await take(stored(), Ours({}))
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen
    gc.unfreeze()


async def test_others_have_their_turn_while_a_market_is_let_go_and_who_still_works_with_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pauses, "STEP_S", 0.0)
    book = (await take(stored(), Ours({}))).book
    gc.unfreeze()
    going = asyncio.create_task(let_go(book))
    turns = 0
    while not going.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= ORDERS // FREED_AT_ONCE
    assert book.market == read(document())


async def test_a_market_with_nothing_long_in_it_is_let_go_too() -> None:
    found = document()
    del found["orders"]
    book = (await take(MarketText(1, orjson.dumps(found | {"orders": {}}).decode(), APPLIED_AT), Ours({}))).book
    gc.unfreeze()
    await let_go(book)
