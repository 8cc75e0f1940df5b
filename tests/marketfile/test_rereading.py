"""A market that follows another is read as if it were the first; only what is as it was is not read again."""

from copy import deepcopy
from typing import Any

import pytest
from support.market import market

from exchange.errors import MarketFileError
from exchange.marketfile.again import Rereader
from exchange.marketfile.reader import read

NOBODY = "http://127.0.0.1:9"


def document() -> dict[str, Any]:
    return market({"first": NOBODY, "second": NOBODY})


def test_what_is_written_the_same_is_the_same_order() -> None:
    rereader = Rereader()
    before = rereader.read(document())
    changed = document()
    changed["orders"]["second"]["priority"] = 7
    after = rereader.read(changed)
    assert after == read(changed)
    assert after.orders["first"] is before.orders["first"]
    assert after.orders["second"].priority == 7


def test_an_order_under_another_key_is_another_one() -> None:
    rereader = Rereader()
    rereader.read(document())
    changed = document()
    changed["orders"] = {"third": changed["orders"]["first"]}
    assert rereader.read(changed).orders["third"].key == "third"


def _no_buyer(found: dict[str, Any]) -> None:
    del found["buyers"]["first"]


def _no_ping_url(found: dict[str, Any]) -> None:
    found["buyers"]["first"]["endpoint"]["ping_url"] = None


def _no_seller(found: dict[str, Any]) -> None:
    del found["sellers"]["acme"]


def _no_field(found: dict[str, Any]) -> None:
    del found["verticals"]["auto"]["fields"]["state"]


def _other_campaign(found: dict[str, Any]) -> None:
    found["campaigns"]["other"] = found["campaigns"].pop("auto-us")


@pytest.mark.parametrize("change", [_no_buyer, _no_ping_url, _no_seller, _no_field, _other_campaign])
def test_an_order_is_read_again_when_what_it_refers_to_has_changed(change: Any) -> None:
    before = document()
    before["orders"]["first"] |= {"exclude_sellers": ["acme"], "filter": {"state": ["IL"]}}
    rereader = Rereader()
    rereader.read(before)
    after = deepcopy(before)
    change(after)
    with pytest.raises(MarketFileError) as expected:
        read(after)
    with pytest.raises(MarketFileError) as found:
        rereader.read(after)
    assert found.value.problems == expected.value.problems
    assert rereader.read(before) == read(before)


def test_orders_that_are_open_at_the_same_hours_share_one_schedule() -> None:
    found = document()
    for key in ("first", "second"):
        found["orders"][key]["schedule"] = {"days": ["mon", "tue"], "hours": "08:00-20:00"}
    orders = read(found).orders
    assert orders["first"].schedule is not None
    assert orders["first"].schedule is orders["second"].schedule
