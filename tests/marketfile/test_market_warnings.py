"""What is said of a market that is right, and probably not what was meant."""

from datetime import UTC, datetime
from typing import Any

import pytest
from support.market import Document, market

from exchange.marketfile.reader import read
from exchange.marketfile.warnings import TWINS_LOOKED_AT_MAX, warnings_of

NOBODY = "http://127.0.0.1:9"
NOW = datetime(2026, 6, 2, 3, 30, tzinfo=UTC)  # in New York a Monday, 23:30


def said(document: Document, **environment: str) -> list[str]:
    return [str(warning) for warning in warnings_of(read(document), environment, NOW)]


def test_a_sound_market_has_no_warnings() -> None:
    assert said(market({"high": NOBODY, "low": NOBODY})) == []


def test_a_secret_that_is_not_set_is_named() -> None:
    document = market({"high": NOBODY})
    document["buyers"]["high"]["endpoint"]["auth"] = {"bearer": "${env:TOKEN}"}
    assert said(document, TOKEN="x") == []
    assert said(document) == [
        "buyers.high.endpoint.auth.bearer: TOKEN is not set here; a gateway without it does not ask these orders"
    ]


def test_a_campaign_without_orders_or_sellers() -> None:
    document = market({})
    document["sellers"] = {}
    assert said(document) == [
        "campaigns.auto-us: has no orders: nothing sells there",
        "campaigns.auto-us: is open to no seller",
    ]


@pytest.mark.parametrize(
    ("order", "warning"),
    [
        ({"caps": {"day": 0}}, "orders.high.caps.day: is 0: the order never buys"),
        (
            {"budget": {"month": "4.99"}},
            "orders.high.budget.month: is below the campaign's floor: the order never buys",
        ),
    ],
)
def test_an_order_that_never_buys(order: dict[str, Any], warning: str) -> None:
    assert said(market({"high": NOBODY}, orders={"high": order})) == [warning]
    for enough in ({"caps": {"day": 1}}, {"budget": {"month": "5.00"}}):
        assert said(market({"high": NOBODY}, orders={"high": enough})) == []


def test_a_buyer_whose_limit_is_below_the_floor() -> None:
    document = market({"high": NOBODY})
    document["buyers"]["high"]["max_bid"] = "4.00"
    assert said(document) == ["orders.high: can never win: the max_bid of high is 4.00, the campaign's floor 5.00"]


def test_a_limit_is_compared_with_the_least_floor_that_any_lead_has() -> None:
    floors = [{"when": {"credit": "poor"}, "floor": "2.00"}, {"when": {"credit": "good"}, "floor": "9.00"}]
    document = market({"high": NOBODY}, orders={"high": {"budget": {"day": "3.00"}}}, floors=floors)
    document["buyers"]["high"]["max_bid"] = "3.00"
    assert said(document) == []
    document["buyers"]["high"]["max_bid"] = "1.99"
    assert said(document) == ["orders.high: can never win: the max_bid of high is 1.99, the campaign's floor 2.00"]


@pytest.mark.parametrize(
    ("sale", "sold", "is_asked"),
    [
        *(("shared", "exclusive", False), ("exclusive", "shared", False), ("shared", "best", True)),
        *(("exclusive", "best", True), ("either", "shared", True), ("exclusive", "exclusive", True)),
    ],
)
def test_an_order_that_wants_leads_as_they_are_not_sold(sale: str, sold: str, is_asked: bool) -> None:
    warning = f"orders.high.sale: is {sale}, which auto-us does not sell: it is never asked"
    found = said(market({"high": NOBODY}, orders={"high": {"sale": sale}}, sale=sold))
    assert found == ([] if is_asked else [warning])


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ({"until": "2026-06-02"}, None),
        ({"until": "2026-06-01T23:31"}, None),
        ({"until": "2026-06-01T23:30"}, "is past"),
        ({"from": "2025-01-01", "until": "2026-01-01"}, "is past"),
        ({"from": "2027-01-01", "until": "2027-02-01"}, None),
        ({"days": ["tue"], "until": "2026-06-02T00:01"}, None),
        ({"days": ["tue"], "until": "2026-06-02"}, "comes before the order opens again"),
        ({"hours": "22:00-23:30", "until": "2026-06-02T12:00"}, "comes before the order opens again"),
        ({"holidays": ["2026-06-02"], "from": "2026-06-02", "until": "2026-06-03T01:00"}, None),
    ],
)
def test_an_order_whose_time_is_over_on_its_buyers_clock(schedule: dict[str, Any], problem: str | None) -> None:
    document = market({"high": NOBODY}, orders={"high": {"schedule": schedule}})
    document["buyers"]["high"]["time_zone"] = "America/New_York"
    warning = f"orders.high.schedule.until: {problem}: it is never asked".replace("past: it", "past: the order")
    assert said(document) == ([] if problem is None else [warning])


def test_fixed_prices_that_can_never_win_or_be_paid() -> None:
    prices = [{"when": {"credit": "poor"}, "price": "4.00"}, {"when": {"credit": "good"}, "price": "31.00"}]
    document = market({"high": NOBODY}, orders={"high": {"price": "4.99", "prices": prices}})
    document["buyers"]["high"]["max_bid"] = "30.00"
    assert said(document) == [
        "orders.high.price: is below the campaign's floor 5.00",
        "orders.high.prices[0].price: is below the campaign's floor 5.00",
        "orders.high.prices[1].price: is above the max_bid of high, 30.00",
    ]
    low = market({"high": NOBODY}, orders={"high": {"price": "12.00", "budget": {"day": "11.99", "week": "12.00"}}})
    assert said(low) == ["orders.high.budget.day: is below what a lead costs: the order never buys"]


def test_rules_behind_one_that_holds_for_all_their_leads() -> None:
    good, poor = {"credit": "good"}, {"credit": ["poor"]}
    floors = [{"when": when, "floor": "6.00"} for when in (good, poor, {"credit": ["good"]}, {}, {"age": 41})]
    prices = [{"when": when, "price": "9.00"} for when in ({}, good)]
    assert said(market({"high": NOBODY}, floors=floors, orders={"high": {"price": "8.00", "prices": prices}})) == [
        "campaigns.auto-us.floors[2]: never counts: campaigns.auto-us.floors[0] holds for all its leads",
        "campaigns.auto-us.floors[4]: never counts: campaigns.auto-us.floors[3] holds for all its leads",
        "orders.high.prices[1]: never counts: orders.high.prices[0] holds for all its leads",
    ]


def test_orders_that_differ_in_their_priority_alone() -> None:
    twin = {"buyer": "high", "campaign": "auto-us", "priority": 7}
    warning = "is the same as high but for its priority: high bids against himself"
    assert said(market({"high": NOBODY}, orders={"twin": twin})) == [f"orders.twin: {warning}"]
    for other in ({"paused": True}, {"filter": {"age": 40}}, {"caps": {"day": 5}}):
        assert said(market({"high": NOBODY}, orders={"twin": twin | other})) == []


def test_a_buyer_with_very_many_orders_is_left_alone() -> None:
    orders = {f"o{number}": {"buyer": "high", "campaign": "auto-us"} for number in range(TWINS_LOOKED_AT_MAX)}
    assert said(market({"high": NOBODY}, orders=orders)) == []


def test_a_field_that_a_mapping_never_sends_is_named() -> None:
    document = market({"high": NOBODY}, orders={"high": {"fields": ["zip"]}})
    fields = {"a": "zip", "b": "age", "c": {"list": ["zip", "zipp"]}, "d": {"const": 1, "when": {"field": "phone"}}}
    document["buyers"]["high"]["endpoint"] |= {
        "dialect": "plain",
        "mapping": {"ping": {"fields": fields}, "post": {"fields": fields}},
    }
    assert said(document) == [
        "orders.high: the mapping's ping never sends age, phone, zipp: it does not see them",
        "orders.high: the mapping's post never sends zipp: the vertical has none",
    ]
