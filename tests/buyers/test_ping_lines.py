"""The lines that pings use: one for each order of the market in force, and none of the markets before it."""

from collections.abc import AsyncIterator
from typing import cast

import pytest
from support.market import market

from exchange.buyers.fanout import Fanout
from exchange.marketfile.reader import read
from exchange.ping import Pings, PingTimes
from exchange.record import Recorder
from exchange.rules.book import CampaignBook, compile_book


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
    pings = Pings(fanout, cast("Recorder", None), PingTimes(25, 20))
    old, new = book(1, "one", "two"), book(2, "one")
    pings._drop_lines_before(1)
    lines = [pings._line(entry) for entry in old.entries]
    assert lines == [pings._line(entry) for entry in old.entries]
    assert b"\r\nX-Key: v1\r\n" in lines[0].head
    pings._drop_lines_before(2)
    assert not pings._lines
    assert b"\r\nX-Key: v2\r\n" in pings._line(new.by_key["one"]).head
    assert pings._line(old.by_key["one"]).head == lines[0].head  # a ping that is still under way on the old market
    pings._drop_lines_before(1)
    assert b"\r\nX-Key: v2\r\n" in pings._line(new.by_key["one"]).head
    assert list(pings._lines) == ["one"]
