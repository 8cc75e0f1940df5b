"""Prices in the market file: fixed ones, rules for them, and endpoints that nobody is asked at."""

from typing import Any

import pytest
from market_example import changed, example, problems_of, put

from exchange.marketfile import limits
from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.values.filters import Condition, Filter
from exchange.values.market import AmountRule

ORDER = "orders/northwind-il"
PATH = "orders.northwind-il"
RULES = [
    {"when": {"credit": ["good"], "age": {"min": 30}}, "price": "14.00"},
    {"when": {"state": ["IL"]}, "price": 13},
]


def priced(price: Any, prices: Any = None) -> dict[str, Any]:
    document = changed(f"{ORDER}/price", price)
    if prices is not None:
        put(document, f"{ORDER}/prices", prices)
    return document


@pytest.mark.parametrize(
    ("written", "micros"), [("12.00", 12_000_000), (12, 12_000_000), ("0.01", 10_000), ("12.5", 12_500_000)]
)
def test_a_fixed_price_is_read_exactly(written: Any, micros: int) -> None:
    assert read(priced(written)).orders["northwind-il"].price_micros == micros
    assert read(priced("bid")).orders["northwind-il"].price_micros is None


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("12.005", "price: must be whole cents, and at least one, not '12.005'"),
        ("0", "price: must be whole cents, and at least one, not '0'"),
        (0, "price: must be whole cents, and at least one, not 0"),
        ("bit", "price: must be bid or an amount such as \"12.00\", not 'bit'"),
        (-5, 'price: must be bid or an amount such as "12.00", not a number'),
        (1.5, 'price: must be bid or an amount such as "12.00", not a decimal number'),
        (None, 'price: is empty: must be bid or an amount such as "12.00"'),
    ],
)
def test_a_price_that_nobody_could_charge_is_refused(written: Any, problem: str) -> None:
    assert problems_of(priced(written)) == [f"{PATH}.{problem}"]


def test_the_rules_of_a_price_keep_their_order() -> None:
    assert read(priced("12.00", RULES)).orders["northwind-il"].prices == (
        AmountRule(Filter({"credit": Condition(any_of=frozenset({"good"})), "age": Condition(minimum=30)}), 14_000_000),
        AmountRule(Filter({"state": Condition(any_of=frozenset({"IL"}))}), 13_000_000),
    )


@pytest.mark.parametrize(
    ("prices", "problem"),
    [
        ({}, "prices: must be a list, not a mapping"),
        (None, None),
        (["14.00"], "prices[0]: must be a mapping (key: value), not text"),
        ([{"price": "14.00"}], "prices[0].when: is missing"),
        ([{"when": {}}], "prices[0].price: is missing"),
        ([{"when": {}, "price": "bid"}], ('prices[0].price: must be an amount such as "5.00", with up to 12 digits '
         "before and 6 after the point, not 'bid'")),
        ([{"when": {}, "price": 0}], "prices[0].price: must be whole cents, and at least one, not 0"),
        ([{"when": {"credit": "good"}, "prise": 5, "price": 5}], "prices[0].prise: unknown key; did you mean price?"),
        ([RULES[0], {"when": {"credt": "good"}, "price": 5}],
         "prices[1].when.credt: there is no field 'credt'; did you mean credit?"),
        ([{"when": {"age": {"min": 200}}, "price": 5}], "prices[0].when.age: no lead can match: age is at most 110"),
        ([{"when": {"phone": "x"}, "price": 5}],
         "prices[0].when.phone: is sent with the post only: a filter can ask for fields of the ping"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_rule_is_said_with_its_path(prices: Any, problem: str | None) -> None:
    assert problems_of(priced("12.00", prices)) == ([f"{PATH}.{problem}"] if problem else [])


def test_rules_belong_to_a_fixed_price_and_are_bounded() -> None:
    assert problems_of(changed(f"{ORDER}/prices", RULES)) == [
        f"{PATH}.prices: is for orders with a fixed price: give them one, for all other leads"
    ]
    many = [{"when": {}, "price": "1.00"}] * (limits.AMOUNT_RULES_MAX + 1)
    assert problems_of(priced("12.00", many)) == [f"{PATH}.prices: holds more than 100 entries"]


def test_only_an_order_with_a_fixed_price_can_do_without_an_address_for_bids() -> None:
    document = priced("12.00")
    del document["buyers"]["northwind"]["endpoint"]["ping_url"]
    assert read(document).buyers["northwind"].endpoints["default"].ping_url is None
    put(document, f"{ORDER}/price", "bid")
    problem = "price: is bid, but the endpoint has no ping_url to ask for it: give one of both"
    assert problems_of(document) == [f"{PATH}.{problem}"]
    several = example()
    del several["buyers"]["southwind"]["endpoints"]["west"]["ping_url"]
    assert problems_of(several) == [f"orders.southwind-all.{problem}"]
    put(several, "orders/southwind-all/endpoint", "east")
    assert problems_of(several) == []


def test_a_change_of_prices_is_shown() -> None:
    before, after = read(example()), read(priced("12.00", RULES))
    assert [str(change) for change in compare(before, after)] == [
        "+ orders.northwind-il.price: 12.00",
        (
            "+ orders.northwind-il.prices: [{when: {credit: [good], age: {min: 30}}, price: 14.00}, "
            "{when: {state: [IL]}, price: 13.00}]"
        ),
    ]
    turned = read(priced("12.00", RULES[::-1]))
    assert [change.path for change in compare(after, turned)] == ["orders.northwind-il.prices"]
