"""Price terms in the market file: floors and their rules, boosts and penalties, the price rule."""

from typing import Any

import pytest
from market_example import changed, example, problems_of, put

from exchange.marketfile import limits
from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.values.filters import Condition, Filter
from exchange.values.market import AmountRule
from exchange.values.selling import Adjustment, Method, PriceRule

CAMPAIGN, ORDER, BUYER, SELLER = "campaigns/auto-us", "orders/northwind-il", "buyers/northwind", "sellers/acme"


def test_floors_are_read_in_their_order() -> None:
    document = changed(f"{CAMPAIGN}/floors", [{"when": {"credit": "good"}, "floor": "8.00"}, {"when": {}, "floor": 6}])
    put(document, f"{CAMPAIGN}/payout_floor", "4.00")
    put(document, f"{SELLER}/floor", "6.50")
    put(document, f"{SELLER}/payout_floor", "5.00")
    market = read(document)
    campaign, seller = market.campaigns["auto-us"], market.sellers["acme"]
    assert campaign.floors == (
        AmountRule(Filter({"credit": Condition(any_of=frozenset({"good"}))}), 8_000_000),
        AmountRule(Filter(), 6_000_000),
    )
    assert campaign.payout_floor_micros == 4_000_000
    assert (seller.floor_micros, seller.payout_floor_micros) == (6_500_000, 5_000_000)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (f"{CAMPAIGN}/floors", [{"floor": 5}], "floors[0].when: is missing"),
        (f"{CAMPAIGN}/floors", [{"when": {"zipp": "1"}, "floor": 5}],
         "floors[0].when.zipp: there is no field 'zipp'; did you mean zip?"),
        (f"{CAMPAIGN}/floors", [{"when": {}, "floor": -5}], "floors[0].floor: must not be negative, as '-5' is"),
        (f"{CAMPAIGN}/floors", None, "floors: is empty: give it a value, or leave the key out"),
        (f"{CAMPAIGN}/floors", [{"when": {}, "floor": 5}] * (limits.AMOUNT_RULES_MAX + 1),
         "floors: holds more than 100 entries"),
        (f"{CAMPAIGN}/price_rule", "third_price",
         "price_rule: must be one of first_price, second_price, not 'third_price'; did you mean first_price?"),
        (f"{SELLER}/floor", "x",
         "floor: must be an amount such as \"5.00\", with up to 12 digits before and 6 after the point, not 'x'"),
        (f"{ORDER}/boost", {}, "boost: must say either percent or amount"),
        (f"{ORDER}/boost", {"percent": 5, "amount": 5}, "boost: must say either percent or amount"),
        (f"{BUYER}/penalty", {"percent": 100}, ("penalty.percent: must be a percentage from 0 to less than 100, with "
         "up to 4 digits after the point, not '100'")),
        (f"{BUYER}/penalty", None, "penalty: is empty: give it a value, or leave the key out"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_path(path: str, value: Any, problem: str) -> None:
    assert problems_of(changed(path, value)) == [f"{path.replace('/', '.')}".rpartition(".")[0] + f".{problem}"]


@pytest.mark.parametrize("path", [ORDER, BUYER])
def test_boost_and_penalty_exclude_one_another(path: str) -> None:
    document = changed(f"{path}/boost", {"percent": 5})
    put(document, f"{path}/penalty", {"percent": 5})
    assert problems_of(document) == [f"{path.replace('/', '.')}: must say either boost or penalty"]


@pytest.mark.parametrize(
    ("key", "value", "adjustment"),
    [
        ("boost", {"percent": "12.5"}, Adjustment(parts_per_million=125_000)),
        ("boost", {"amount": "1.50"}, Adjustment(amount_micros=1_500_000)),
        ("penalty", {"percent": 10}, Adjustment(parts_per_million=-100_000)),
        ("penalty", {"amount": 2}, Adjustment(amount_micros=-2_000_000)),
    ],
)
def test_a_boost_adds_and_a_penalty_takes_off(key: str, value: Any, adjustment: Adjustment) -> None:
    assert read(changed(f"{ORDER}/{key}", value)).orders["northwind-il"].adjustment == adjustment
    assert read(changed(f"{BUYER}/{key}", value)).buyers["northwind"].adjustment == adjustment


def test_the_price_rule_is_read() -> None:
    assert read(example()).campaigns["auto-us"].price_rule is PriceRule.FIRST_PRICE
    found = read(changed(f"{CAMPAIGN}/price_rule", "second_price")).campaigns["auto-us"]
    assert found.price_rule is PriceRule.SECOND_PRICE


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (f"{CAMPAIGN}/floors", [{"when": {"age": {"min": 30}}, "floor": "8.00"}],
         "+ campaigns.auto-us.floors: [{when: {age: {min: 30}}, floor: 8.00}]"),
        (f"{CAMPAIGN}/payout_floor", "4", "+ campaigns.auto-us.payout_floor: 4.00"),
        (f"{CAMPAIGN}/price_rule", "second_price", "+ campaigns.auto-us.price_rule: second_price"),
        (f"{SELLER}/floor", "4", "+ sellers.acme.floor: 4.00"),
        (f"{SELLER}/payout_floor", "4", "+ sellers.acme.payout_floor: 4.00"),
        (f"{BUYER}/boost", {"percent": 5}, "+ buyers.northwind.boost: {percent: 5}"),
        (f"{ORDER}/penalty", {"amount": 5}, "+ orders.northwind-il.penalty: {amount: 5.00}"),
    ],
)  # fmt: skip
def test_a_change_of_terms_is_shown(path: str, value: Any, line: str) -> None:
    assert [str(change) for change in compare(read(example()), read(changed(path, value)))] == [line]


def test_terms_that_a_method_has_no_use_for_are_refused() -> None:
    document = changed(f"{CAMPAIGN}/method", "priority")
    put(document, f"{CAMPAIGN}/tiers", {"share": 60})
    campaign = read(document).campaigns["auto-us"]
    assert (campaign.method, campaign.tier_share_percent) == (Method.PRIORITY, 60)
    put(document, f"{CAMPAIGN}/price_rule", "second_price")
    assert problems_of(document) == ["campaigns.auto-us.price_rule: second_price goes with method highest_bid only"]
    assert problems_of(changed(f"{CAMPAIGN}/tiers", {"share": 60})) == [
        "campaigns.auto-us.tiers: goes with method priority only"
    ]


@pytest.mark.parametrize("method", Method)
def test_a_second_method_goes_with_exclusive_sales_at_first_prices(method: Method) -> None:
    document = changed(f"{CAMPAIGN}/fallback_method", method.value)
    assert read(document).campaigns["auto-us"].fallback_method is method
    assert [str(change) for change in compare(read(example()), read(document))] == [
        f"+ campaigns.auto-us.fallback_method: {method}"
    ]
    for path, value in ((f"{CAMPAIGN}/price_rule", "second_price"), (f"{CAMPAIGN}/sale", "best")):
        wrong = changed(f"{CAMPAIGN}/fallback_method", method.value)
        put(wrong, path, value)
        assert problems_of(wrong) == [
            "campaigns.auto-us.fallback_method: goes with exclusive sales and first prices only"
        ]


def test_tiers_are_those_of_either_method() -> None:
    document = changed(f"{CAMPAIGN}/fallback_method", "priority")
    put(document, f"{CAMPAIGN}/tiers", {"share": 60})
    assert read(document).campaigns["auto-us"].tier_share_percent == 60


@pytest.mark.parametrize(("written", "weight"), [(60, 60), (None, 1), (1, 1)])
def test_a_weight_is_one_unless_given(written: Any, weight: int) -> None:
    assert read(changed(f"{ORDER}/weight", written)).orders["northwind-il"].weight == weight
    assert read(example()).orders["northwind-il"].weight == 1


@pytest.mark.parametrize(
    ("written", "problem"),
    [(0, "must be from 1 to 1000000, not 0"), ("x", "must be a whole number, not text")],
)
def test_a_weight_is_a_whole_number_above_nothing(written: Any, problem: str) -> None:
    assert problems_of(changed(f"{ORDER}/weight", written)) == [f"orders.northwind-il.weight: {problem}"]


@pytest.mark.parametrize("method", Method)
def test_every_method_is_read(method: Method) -> None:
    assert read(changed(f"{CAMPAIGN}/method", method.value)).campaigns["auto-us"].method is method


def test_how_many_are_asked_is_read() -> None:
    campaign = read(example()).campaigns["auto-us"]
    assert (campaign.fanout_max, campaign.exploration) == (None, 100_000)
    document = changed(f"{CAMPAIGN}/max_fanout", 20)
    put(document, f"{CAMPAIGN}/exploration", "2.5")
    campaign = read(document).campaigns["auto-us"]
    assert (campaign.fanout_max, campaign.exploration) == (20, 25_000)
    assert [str(change) for change in compare(read(example()), read(document))] == [
        "+ campaigns.auto-us.max_fanout: 20",
        "+ campaigns.auto-us.exploration: 2.5",
    ]
    assert problems_of(changed(f"{CAMPAIGN}/max_fanout", 0)) == [
        "campaigns.auto-us.max_fanout: must be from 1 to 10000, not 0"
    ]
