"""The lines that pings use: one for each order of the market in force, and none of the markets before it."""

import weakref
from collections.abc import AsyncIterator

import pytest
from support.market import market

from exchange.buyers.fanout import Fanout
from exchange.marketfile.reader import read
from exchange.rules.book import CampaignBook, compile_book
from exchange.ways import LET_GO_AT_ONCE, Ways
from exchange.wires import Wires


@pytest.fixture
async def fanout() -> AsyncIterator[Fanout]:
    found = Fanout(allow_private=True)
    yield found
    await found.close()


def book(version: int, *orders: str) -> CampaignBook:
    compiled = read(market(dict.fromkeys(orders, "http://127.0.0.1:9")))
    keys = [(buyer.key, name) for buyer in compiled.buyers.values() for name in buyer.endpoints]
    return compile_book(compiled, version, {key: {"X-Key": f"v{version}"} for key in keys}).campaigns["auto-us"]


async def test_a_line_is_made_once_for_each_order_of_a_market(fanout: Fanout) -> None:
    ways = Ways(fanout, Wires({}))
    old, new = book(1, "one", "two"), book(2, "one")
    ways.drop_before(1)
    lines = [ways.of(entry).line for entry in old.entries]
    assert lines == [ways.of(entry).line for entry in old.entries]
    assert b"\r\nX-Key: v1\r\n" in lines[0].head
    ways.drop_before(2)
    assert not ways.known
    assert b"\r\nX-Key: v2\r\n" in ways.of(new.by_key["one"]).line.head
    assert ways.of(old.by_key["one"]).line.head == lines[0].head  # a ping that is still under way on the old market
    ways.drop_before(1)
    assert b"\r\nX-Key: v2\r\n" in ways.of(new.by_key["one"]).line.head
    assert list(ways.known) == ["one"]


async def test_the_lines_of_older_markets_go_a_few_at_each_ping(fanout: Fanout) -> None:
    ways, count = Ways(fanout, Wires({})), 2 * LET_GO_AT_ONCE
    ways.drop_before(1)
    lines = [weakref.ref(ways.of(entry).line) for entry in book(1, *(f"order-{n}" for n in range(count))).entries]
    ways.drop_before(2)
    assert [line() is None for line in lines].count(True) == LET_GO_AT_ONCE
    ways.drop_before(2)
    assert all(line() is None for line in lines)
