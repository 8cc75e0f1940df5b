"""A market that follows another is read as if it were the first; only what is as it was is not read again."""

from copy import deepcopy
from typing import Any

import pytest
from support.market import market

from exchange.errors import FileProblem, MarketFileError
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


def test_orders_that_differ_in_their_filters_alone_are_as_if_each_were_read_alone() -> None:
    filters: list[dict[str, Any]] = [{}, {"age": {"min": 30}}, {"state": ["IL", "WI"]}, {"age": {"min": 30}}]
    found = document()
    first = found["orders"]["first"] | {"priority": 3, "caps": {"day": 5}, "schedule": {"hours": "09:00-17:00"}}
    found["orders"] = {f"order-{number}": first | {"filter": item} for number, item in enumerate(filters)}
    together = read(found)
    for key, order in found["orders"].items():
        assert together.orders[key] == read(found | {"orders": {key: order}}).orders[key]


def test_what_is_wrong_in_a_filter_is_said_of_each_order_and_goes_into_no_other() -> None:
    found = document()
    first = found["orders"]["first"]
    wrong = {"age": {"min": "old"}, "state": ["IL", "nowhere"]}
    written = [{"state": "IL"}, wrong, {"state": "nowhere"}, wrong, [], {7: "IL"}, {"state": "IL"}]
    found["orders"] = {f"order-{number}": first | {"filter": item} for number, item in enumerate(written)}
    with pytest.raises(MarketFileError) as raised:
        read(found)
    alone: list[FileProblem] = []
    for key, order in found["orders"].items():
        try:
            read(found | {"orders": {key: order}})
        except MarketFileError as error:
            alone += error.problems
    assert list(raised.value.problems) == alone
    assert {problem.path.split(".")[1] for problem in alone} == {f"order-{number}" for number in (1, 2, 3, 4, 5)}


def test_values_that_are_equal_but_written_otherwise_are_told_apart() -> None:
    found = document()
    found["verticals"]["auto"]["fields"]["owns"] = {"type": "boolean", "in": "ping"}
    first = found["orders"]["first"]
    conditions = [{"owns": True}, {"owns": 1}, {"owns": {"exists": True}}, {"owns": {"exists": 1}}, {"owns": "true"}]
    found["orders"] = {f"order-{number}": first | {"filter": item} for number, item in enumerate(conditions)}
    with pytest.raises(MarketFileError) as raised:
        read(found)
    assert [problem.path for problem in raised.value.problems] == [
        "orders.order-1.filter.owns",
        "orders.order-3.filter.owns.exists",
        "orders.order-4.filter.owns",
    ]
