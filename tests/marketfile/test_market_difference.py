"""What changes between two markets: every difference shown, no secret among them."""

from dataclasses import fields, replace
from typing import Any

import pytest
from market_example import changed, example, put

from exchange.marketfile.difference import Change, ChangeKind, compare
from exchange.marketfile.reader import read
from exchange.values.market import Market

ORDER = "orders/northwind-il"


def test_a_market_does_not_differ_from_itself() -> None:
    assert compare(read(example()), read(example())) == ()


def test_the_first_market_is_all_new() -> None:
    found = compare(None, read(example()))
    assert {change.kind for change in found} == {ChangeKind.ADDED}
    assert [change.path for change in found] == [
        "currency",
        "verticals.auto_insurance",
        "campaigns.auto-us",
        "campaigns.auto-plain",
        "sellers.acme",
        "sellers.other",
        "buyers.northwind",
        "buyers.southwind",
        "buyers.eastwind",
        "orders.northwind-il",
        "orders.southwind-all",
    ]
    assert found[4].after == "{campaigns: [auto-us], margin: {percent: 12.5}}"


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        ("currency", "EUR", ["~ currency: USD -> EUR"]),
        ("campaigns/auto-us/floor", "6", ["~ campaigns.auto-us.floor: 5.00 -> 6.00"]),
        ("campaigns/auto-us/margin", {"amount": "1.5"},
         ["~ campaigns.auto-us.margin: {percent: 15} -> {amount: 1.50}"]),
        ("campaigns/auto-us/changed_fields", "refuse", ["~ campaigns.auto-us.changed_fields: keep -> refuse"]),
        ("sellers/acme", {"campaigns": ["auto-us"]}, ["- sellers.acme.margin: {percent: 12.5}"]),
        ("sellers/new", {"campaigns": []}, ["+ sellers.new: {campaigns: []}"]),
        ("buyers/northwind/max_bid", None, ["- buyers.northwind.max_bid: 200.00"]),
        ("buyers/northwind/endpoint/ping_timeout_ms", 400, ["~ buyers.northwind.endpoint.ping_timeout_ms: 500 -> 400"]),
        ("buyers/northwind/endpoint/auth", "none",
         ["~ buyers.northwind.endpoint.auth: {bearer: ${env:NORTHWIND_TOKEN}} -> none"]),
        ("buyers/northwind/endpoint/auth", {"bearer": "s3cret"},
         ["~ buyers.northwind.endpoint.auth.bearer: ${env:NORTHWIND_TOKEN} -> ***"]),
        (f"{ORDER}/caps", {"day": 5, "hour": 2}, ["+ orders.northwind-il.caps: {hour: 2, day: 5}"]),
        (f"{ORDER}/budget", {"month": 5}, ["+ orders.northwind-il.budget: {month: 5.00}"]),
        ("campaigns/auto-us/duplicates", {"window_days": 7}, ["+ campaigns.auto-us.duplicates: {window_days: 7}"]),
        (f"{ORDER}/paused", True, ["~ orders.northwind-il.paused: false -> true"]),
        (f"{ORDER}/filter", {"state": ["IL", "MN"], "age": {"min": 30}, "insured": True},
         ["~ orders.northwind-il.filter.state: [IL, WI] -> [IL, MN]",
          "~ orders.northwind-il.filter.age.min: 25 -> 30",
          "- orders.northwind-il.filter.age.max: 65",
          "- orders.northwind-il.filter.credit: {not: [poor]}",
          "+ orders.northwind-il.filter.insured: [true]"]),
        (f"{ORDER}/filter/state", {"not": ["IL"]},
         ["~ orders.northwind-il.filter.state: [IL, WI] -> {not: [IL]}"]),
        ("verticals/auto_insurance/fields/age/max", 99, ["~ verticals.auto_insurance.fields.age.max: 110 -> 99"]),
        ("verticals/auto_insurance/fields/new", {"type": "text", "in": "ping"},
         ["+ verticals.auto_insurance.fields.new: {type: text, in: ping, required: false}"]),
        ("verticals/auto_insurance/fields/first_name/multiple", True,
         ["+ verticals.auto_insurance.fields.first_name.multiple: true"]),
    ],
)  # fmt: skip
def test_a_change_reads_as_a_person_would_say_it(path: str, value: Any, lines: list[str]) -> None:
    assert [str(change) for change in compare(read(example()), read(changed(path, value)))] == lines


def test_a_key_that_is_gone_is_removed() -> None:
    document = example()
    del document["orders"]["northwind-il"]["fields"]
    (change,) = compare(read(example()), read(document))
    assert str(change) == "- orders.northwind-il.fields: [zip, state, age, credit]"


def test_an_entry_that_is_gone_is_one_change() -> None:
    document = example()
    del document["orders"]["southwind-all"], document["buyers"]["southwind"]
    found = compare(read(example()), read(document))
    assert [(change.kind, change.path) for change in found] == [
        (ChangeKind.REMOVED, "buyers.southwind"),
        (ChangeKind.REMOVED, "orders.southwind-all"),
    ]
    assert all(change.before and change.after is None for change in found)


def test_a_change_of_a_literal_secret_is_shown_without_it() -> None:
    old = read(changed("buyers/northwind/endpoint/auth", {"bearer": "s3cret-1"}))
    new = read(changed("buyers/northwind/endpoint/auth", {"bearer": "s3cret-2"}))
    path = "buyers.northwind.endpoint.auth.bearer"
    assert compare(old, new) == (Change(ChangeKind.CHANGED, path, "***", "***"),)
    for auth in [
        {"basic": {"user": "me", "password": "s3cret"}},
        {"header": {"name": "X-Key", "value": "s3cret ${env:KEY}"}},
    ]:
        market = read(changed("buyers/northwind/endpoint/auth", auth))
        assert "s3cret" not in str(compare(None, market)) + str(compare(old, market)) + str(compare(market, old))


def test_text_that_could_mislead_is_quoted() -> None:
    market = read(changed(f"{ORDER}/filter", {"occupation": ["a, b", "x\x1b[2Jy", "plain words"]}))
    assert str(compare(read(example()), market)[-1]) == (
        '+ orders.northwind-il.filter.occupation: ["a, b", plain words, "x\\u001b[2jy"]'
    )


def _variants(market: Market) -> list[Market]:
    """The market once with every key of the file changed on its own."""
    paths: list[tuple[str, Any]] = [
        ("verticals/auto_insurance/identity", ["phone"]),
        ("verticals/auto_insurance/fields/zip/required", False),
        ("verticals/auto_insurance/fields/zip/in", "post"),
        ("verticals/auto_insurance/fields/first_name/max_length", 5),
        ("verticals/auto_insurance/fields/phone/region", "CA"),
        ("verticals/auto_insurance/fields/credit/values", ["poor", "fair", "good"]),
        ("campaigns/auto-us/time_zone", "UTC"),
        ("campaigns/auto-us/ping_timeout_ms", 900),
        ("campaigns/auto-us/post_timeout_ms", 900),
        ("campaigns/auto-us/offer_ttl_s", 30),
        ("campaigns/auto-us/fallback", "none"),
        ("campaigns/auto-us/caps", {"day": 1}),
        ("campaigns/auto-us/duplicates", {"window_days": 1}),
        ("sellers/acme/campaigns", []),
        ("sellers/acme/caps", {"week": 1}),
        ("sellers/acme/margin", {"percent": 1}),
        ("buyers/northwind/time_zone", "UTC"),
        ("buyers/northwind/credit_limit", 1),
        ("buyers/northwind/duplicates", {"window_days": 1}),
        ("buyers/northwind/margin", {"percent": 0}),
        ("buyers/northwind/endpoint/ping_url", "http://h/"),
        ("buyers/northwind/endpoint/post_url", "http://h/"),
        ("buyers/northwind/endpoint/post_timeout_ms", 900),
        ("buyers/southwind/endpoints/west/auth/basic/user", "other"),
        ("buyers/eastwind/endpoint/auth/header/name", "X-Other"),
        ("orders/northwind-il/buyer", "eastwind"),
        ("orders/northwind-il/campaign", "auto-plain"),
        ("orders/southwind-all/endpoint", "east"),
        ("orders/northwind-il/sale", "exclusive"),
        ("orders/northwind-il/priority", 2),
        ("orders/northwind-il/caps", {"total": 1}),
        ("orders/northwind-il/budget", {"hour": 1}),
        ("orders/northwind-il/exclude_sellers", ["acme"]),
        ("campaigns/auto-us/method", "priority"),
        ("campaigns/auto-us/floors", [{"when": {}, "floor": 1}]),
        ("campaigns/auto-us/payout_floor", 1),
        ("campaigns/auto-us/price_rule", "second_price"),
        ("campaigns/auto-us/max_fanout", 1),
        ("campaigns/auto-us/exploration", 1),
        ("sellers/acme/floor", 1),
        ("sellers/acme/payout_floor", 1),
        ("buyers/northwind/boost", {"percent": 1}),
        ("orders/northwind-il/price", 1),
        ("orders/northwind-il/penalty", {"amount": 1}),
        ("orders/northwind-il/weight", 2),
    ]
    found = [replace(market, currency="EUR")]
    for path, value in paths:
        document = example()
        if path.endswith("zip/in"):
            put(document, "orders/northwind-il/fields", ["age"])
            put(document, "orders/southwind-all/filter", {})
        put(document, path, value)
        found.append(read(document))
    return found


def test_no_difference_goes_unseen() -> None:
    market = read(example())
    for variant in _variants(market):
        assert market != variant
        assert compare(market, variant)
        assert compare(variant, market)
    assert {item.name for item in fields(Market)} == {
        "currency", "verticals", "campaigns", "sellers", "buyers", "orders",
    }  # fmt: skip
