"""Caps, budgets and duplicate windows in the market file."""

from typing import Any

import pytest
from market_example import changed, problems_of

from exchange.marketfile.reader import read
from exchange.values.market import Duplicates, Period

ORDER = "orders/northwind-il"
CAMPAIGN = "campaigns/auto-us"
CAP = "must be from 0 to 1000000000, not"
DAYS = "must be from 1 to 3650, not"
EMPTY = "is empty: give it a value, or leave the key out"
MAPPING = "must be a mapping (key: value)"


def test_caps_budgets_and_windows_are_read() -> None:
    document = changed(f"{ORDER}/caps", {"hour": 20, "total": 0})
    document["orders"]["northwind-il"]["budget"] = {"day": "1000.5", "week": 7}
    document["campaigns"]["auto-us"] |= {"caps": {"month": 5}, "duplicates": {"window_days": 30}}
    document["sellers"]["acme"]["caps"] = {"day": 100000}
    document["buyers"]["northwind"]["duplicates"] = {"window_days": 3650}
    market = read(document)
    order, campaign = market.orders["northwind-il"], market.campaigns["auto-us"]
    assert order.caps == {Period.HOUR: 20, Period.TOTAL: 0}
    assert order.budget == {Period.DAY: 1_000_500_000, Period.WEEK: 7_000_000}
    assert (campaign.caps, campaign.duplicates) == ({Period.MONTH: 5}, Duplicates(30))
    assert market.sellers["acme"].caps == {Period.DAY: 100_000}
    assert market.buyers["northwind"].duplicates == Duplicates(3650)
    assert market.orders["southwind-all"].caps == market.sellers["other"].caps == {}
    assert market.buyers["southwind"].duplicates is None


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (f"{ORDER}/caps", {"day": -1}, f"orders.northwind-il.caps.day: {CAP} -1"),
        (f"{ORDER}/caps", {"day": 10**9 + 1}, f"orders.northwind-il.caps.day: {CAP} 1000000001"),
        (f"{ORDER}/caps", {"day": "5"}, "orders.northwind-il.caps.day: must be a whole number, not text"),
        (f"{ORDER}/caps", {"day": True}, "orders.northwind-il.caps.day: must be a whole number, not true or false"),
        (f"{ORDER}/caps", {"daily": 5}, "orders.northwind-il.caps.daily: unknown key; did you mean day?"),
        (f"{ORDER}/caps", 5, "orders.northwind-il.caps: must be a mapping (key: value), not a number"),
        (f"{ORDER}/budget", {"day": "-5.00"}, "orders.northwind-il.budget.day: must not be negative, as '-5.00' is"),
        (f"{ORDER}/budget", {"day": None}, f"orders.northwind-il.budget.day: {EMPTY}"),
        ("sellers/acme/budget", {"day": 5}, "sellers.acme.budget: unknown key"),
        ("sellers/acme/caps", {"minute": 5}, "sellers.acme.caps.minute: unknown key"),
        (f"{CAMPAIGN}/duplicates", {}, "campaigns.auto-us.duplicates.window_days: is missing"),
        (f"{CAMPAIGN}/duplicates", {"window_days": 0}, f"campaigns.auto-us.duplicates.window_days: {DAYS} 0"),
        ("buyers/northwind/duplicates", 30, f"buyers.northwind.duplicates: {MAPPING}, not a number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(path: str, value: Any, problem: str) -> None:
    assert problems_of(changed(path, value)) == [problem]
