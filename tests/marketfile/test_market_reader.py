"""A document becomes a market, or the list of everything that is wrong with it."""

from typing import Any

import pytest
from market_example import EXAMPLE, changed, example, problems_of, put

from exchange.errors import MarketFileError
from exchange.marketfile import limits
from exchange.marketfile.reader import load, read
from exchange.values.auth import Auth, AuthKind
from exchange.values.filters import Condition
from exchange.values.market import Buyer, Campaign, Endpoint, Fallback, Margin, Order, Sale, Seller
from exchange.values.vertical import Field, FieldType, Stage

ORDER = "orders/northwind-il"
CAMPAIGN = "campaigns/auto-us"
BUYER = "buyers/northwind"
FIELDS = "verticals/auto_insurance/fields"


def test_the_example_is_read_into_values() -> None:
    market = read(example())
    assert market.currency == "USD"
    vertical = market.verticals["auto_insurance"]
    assert vertical.identity == ("phone", "email")
    assert list(vertical.fields) == [
        "zip", "state", "age", "credit", "insured", "created_at", "born", "occupation", "first_name", "phone", "email",
    ]  # fmt: skip
    assert vertical.fields["age"] == Field("age", FieldType.INTEGER, Stage.PING, minimum=16, maximum=110)
    assert vertical.fields["born"].minimum == "1900-01-01"
    assert vertical.fields["credit"].values == ("poor", "fair", "good", "excellent")
    assert vertical.fields["first_name"] == Field("first_name", FieldType.TEXT, Stage.POST, True, max_length=80)
    assert market.campaigns["auto-us"] == Campaign(
        key="auto-us",
        vertical="auto_insurance",
        time_zone="America/New_York",
        floor_micros=5_000_000,
        margin=Margin(parts_per_million=150_000),
        max_shares=1,
    )
    assert market.sellers["acme"] == Seller("acme", ("auto-us",), Margin(parts_per_million=125_000))
    assert market.sellers["other"].margin == Margin(amount_micros=2_000_000)


def test_the_examples_buyers_are_read_into_values() -> None:
    buyers = read(example()).buyers
    assert buyers["northwind"] == Buyer(
        key="northwind",
        endpoints={
            "default": Endpoint(
                name="default",
                dialect="native",
                ping_url="http://127.0.0.1:9101/bid",
                post_url="http://127.0.0.1:9101/post",
                ping_timeout_ms=500,
                post_timeout_ms=30_000,
                auth=Auth(AuthKind.BEARER, secret="${env:NORTHWIND_TOKEN}"),
            )
        },
        time_zone="America/Chicago",
        max_bid_micros=200_000_000,
    )
    assert set(buyers["southwind"].endpoints) == {"east", "west"}
    assert buyers["southwind"].endpoints["east"].auth == Auth()
    assert buyers["southwind"].endpoints["west"].auth == Auth(AuthKind.BASIC, "exchange", "${env:WEST_PASSWORD}")
    assert buyers["eastwind"].endpoints["default"].auth.name == "X-Api-Key"


def test_the_examples_orders_are_read_into_values() -> None:
    orders = read(example()).orders
    assert orders["northwind-il"] == Order(
        key="northwind-il",
        buyer="northwind",
        campaign="auto-us",
        endpoint="default",
        fields=("zip", "state", "age", "credit"),
        filter={
            "state": Condition(any_of=frozenset({"IL", "WI"})),
            "age": Condition(minimum=25, maximum=65),
            "credit": Condition(none_of=frozenset({"poor"})),
        },
    )
    assert orders["southwind-all"] == Order(
        key="southwind-all",
        buyer="southwind",
        campaign="auto-us",
        endpoint="west",
        sale=Sale.EXCLUSIVE,
        filter={
            "zip": Condition(any_of=frozenset({"01234"})),
            "age": Condition(none_of=frozenset({50, 51}), minimum=21, maximum=80),
            "insured": Condition(any_of=frozenset({True})),
            "born": Condition(maximum="2005-06-30"),
            "occupation": Condition(any_of=frozenset({"teacher", "nurse"}), none_of=frozenset({"pilot"})),
            "credit": Condition(any_of=frozenset({"good"})),
        },
        priority=5,
        exclude_sellers=frozenset({"other"}),
        paused=True,
    )


def test_what_is_left_out_has_the_defaults_of_the_contract() -> None:
    document = example()
    put(document, "buyers/northwind", {"endpoint": {"ping_url": "http://h/a", "post_url": "http://h/b"}})
    put(document, ORDER, {"buyer": "northwind", "campaign": "auto-plain"})
    market = read(document)
    campaign = market.campaigns["auto-plain"]
    assert campaign == Campaign("auto-plain", "auto_insurance")
    assert (campaign.ping_timeout_ms, campaign.post_timeout_ms, campaign.offer_ttl_s) == (800, 8000, 300)
    assert (campaign.sale, campaign.fallback) == (Sale.EXCLUSIVE, Fallback.BREAK_EVEN)
    buyer = market.buyers["northwind"]
    endpoint = Endpoint("default", "native", "http://h/a", "http://h/b", 500, 30_000)
    assert buyer == Buyer("northwind", {"default": endpoint}, "UTC", 0, None, None)
    assert market.orders["northwind-il"] == Order("northwind-il", "northwind", "auto-plain", "default")


def test_load_gives_document_and_market() -> None:
    assert load(EXAMPLE) == (example(), read(example()))


@pytest.mark.parametrize("section", ["verticals", "campaigns", "sellers", "buyers", "orders"])
def test_a_section_may_be_empty_or_absent(section: str) -> None:
    head: dict[str, Any] = {"version": 1, "currency": "EUR"}
    assert read(head) == read({**head, section: {}}) == read({**head, section: None})
    assert problems_of({**head, section: []}) == [f"{section}: must be a mapping (key: value), not a list"]


def test_five_errors_are_five_problems_with_their_paths() -> None:
    document = example()
    put(document, f"{CAMPAIGN}/flor", "5.00")
    put(document, f"{BUYER}/time_zone", "America/NewYork")
    put(document, f"{ORDER}/buyer", "nortwind")
    put(document, f"{ORDER}/filter/age", {"min": "old"})
    put(document, "orders/southwind-all/exclude_sellers", ["acmee"])
    assert problems_of(document) == [
        "campaigns.auto-us.flor: unknown key; did you mean floor?",
        "buyers.northwind.time_zone: there is no time zone 'America/NewYork': write it as America/New_York",
        "orders.northwind-il.buyer: there is no buyer 'nortwind'; did you mean northwind?",
        "orders.northwind-il.filter.age.min: must be a whole number, not text",
        "orders.southwind-all.exclude_sellers: there is no seller 'acmee'; did you mean acme?",
    ]


def test_problems_of_shape_and_reference_in_one_order_are_both_named() -> None:
    document = changed(ORDER, {"buyer": "x", "campaign": "y", "priority": "first", "sal": "either", "fields": 5})
    assert problems_of(document) == [
        "orders.northwind-il.fields: must be a list, not a number",
        "orders.northwind-il.priority: must be a whole number, not text",
        "orders.northwind-il.sal: unknown key; did you mean sale?",
        "orders.northwind-il.buyer: there is no buyer 'x'",
        "orders.northwind-il.campaign: there is no campaign 'y'",
    ]


def test_an_entry_that_is_wrong_is_not_missing_to_those_that_refer_to_it() -> None:
    document = example()
    put(document, f"{BUYER}/max_bid", "-1")
    put(document, f"{CAMPAIGN}/floor", "five")
    put(document, f"{FIELDS}/age", {"type": "integr", "in": "ping"})
    assert [problem.split(":")[0] for problem in problems_of(document)] == [
        "verticals.auto_insurance.fields.age.type",
        "campaigns.auto-us.floor",
        "buyers.northwind.max_bid",
    ]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("version", 2, "version: must be 1, not 2"),
        ("version", "1", "version: must be 1, not '1'"),
        ("version", True, "version: must be 1, not true or false"),
        ("sellers/acme/margin", None, "sellers.acme.margin: is empty: give it a value, or leave the key out"),
        (f"{ORDER}/fields", None, "orders.northwind-il.fields: is empty: give it a value, or leave the key out"),
        ("currency", "usd", "currency: must be three capital letters such as USD, not 'usd'"),
        ("currency", None, "currency: is empty: must be three capital letters such as USD"),
        ("order", {}, "order: unknown key; did you mean orders?"),
        (f"{ORDER}/sale", "both", "orders.northwind-il.sale: must be one of exclusive, shared, either, not 'both'"),
        (f"{ORDER}/sale", ["either"], "orders.northwind-il.sale: must be one of exclusive, shared, either, not a list"),
        (f"{ORDER}/paused", "yes", "orders.northwind-il.paused: must be true or false, not text"),
        (f"{ORDER}/paused", 1, "orders.northwind-il.paused: must be true or false, not a number"),
        (f"{ORDER}/priority", True, "orders.northwind-il.priority: must be a whole number, not true or false"),
        (f"{ORDER}/priority", 1.0, "orders.northwind-il.priority: must be a whole number, not a decimal number"),
        (f"{ORDER}/priority", 10**30,
         "orders.northwind-il.priority: must be from -1000000 to 1000000, not so large a number"),
        (f"{ORDER}/fields", ["zip", "zip"], "orders.northwind-il.fields: 'zip' is listed twice"),
        (f"{ORDER}/fields", ["zipp"], "orders.northwind-il.fields: there is no field 'zipp'; did you mean zip?"),
        (f"{ORDER}/fields", ["phone"],
         "orders.northwind-il.fields: 'phone' is sent with the post only: an order sees it when it buys"),
        (f"{ORDER}/fields", ["zip", None], "orders.northwind-il.fields[1]: is empty: must be text"),
        (f"{ORDER}/filter", [], "orders.northwind-il.filter: must be a mapping (key: value), not a list"),
        (f"{ORDER}/filter", None, "orders.northwind-il.filter: is empty: must be a mapping (key: value)"),
        (f"{ORDER}/endpoint", "east",
         "orders.northwind-il.endpoint: there is no endpoint of northwind called 'east'"),
        (f"{ORDER}/buyer", "southwind",
         "orders.northwind-il.endpoint: is missing: southwind has several (east, west)"),
        (f"{ORDER}/exclude_sellers", "acme", "orders.northwind-il.exclude_sellers: must be a list, not text"),
        ("orders/x", None, "orders.x: is empty: must be a mapping (key: value)"),
        ("orders/x", "y", "orders.x: must be a mapping (key: value), not text"),
        ("orders/X", {"buyer": "northwind", "campaign": "auto-us"},
         ("orders.X: a key is up to 64 lower-case letters, digits, '-', '_' and '.', "
         "and starts with a letter or digit")),
        (f"{CAMPAIGN}/vertical", "auto", "campaigns.auto-us.vertical: there is no vertical 'auto'"),
        (f"{CAMPAIGN}/ping_timeout_ms", 49, "campaigns.auto-us.ping_timeout_ms: must be from 50 to 30000, not 49"),
        (f"{CAMPAIGN}/post_timeout_ms", 120_001,
         "campaigns.auto-us.post_timeout_ms: must be from 500 to 120000, not 120001"),
        (f"{CAMPAIGN}/offer_ttl_s", 0, "campaigns.auto-us.offer_ttl_s: must be from 1 to 86400, not 0"),
        (f"{CAMPAIGN}/method", "higest_bid",
         ("campaigns.auto-us.method: must be one of highest_bid, priority, weighted, round_robin, performance, "
          "not 'higest_bid'; did you mean highest_bid?")),
        (f"{CAMPAIGN}/fallback", "some", "campaigns.auto-us.fallback: must be one of break_even, none, not 'some'"),
        (f"{CAMPAIGN}/changed_fields", True,
         "campaigns.auto-us.changed_fields: must be one of keep, refuse, not true or false"),
        (f"{CAMPAIGN}/floor", "-5.00", "campaigns.auto-us.floor: must not be negative, as '-5.00' is"),
        (f"{CAMPAIGN}/floor", -5, "campaigns.auto-us.floor: must not be negative, as '-5' is"),
        (f"{CAMPAIGN}/floor", "$5", ('campaigns.auto-us.floor: must be an amount such as "5.00", '
         "with up to 12 digits before and 6 after the point, not '$5'")),
        (f"{CAMPAIGN}/floor", 5.1, ('campaigns.auto-us.floor: must be an amount such as "5.00", '
         "with up to 12 digits before and 6 after the point, not a decimal number")),
        (f"{CAMPAIGN}/margin", 15, "campaigns.auto-us.margin: must be a mapping (key: value), not a number"),
        (f"{CAMPAIGN}/margin", {}, "campaigns.auto-us.margin: must say either percent or amount"),
        (f"{CAMPAIGN}/margin", {"percent": 5, "amount": "1"},
         "campaigns.auto-us.margin: must say either percent or amount"),
        (f"{CAMPAIGN}/margin", {"percent": 100}, ("campaigns.auto-us.margin.percent: must be a percentage from 0 to "
         "less than 100, with up to 4 digits after the point, not '100'")),
        (f"{CAMPAIGN}/margin", {"percent": "1.00001"}, ("campaigns.auto-us.margin.percent: must be a percentage from 0 "
         "to less than 100, with up to 4 digits after the point, not '1.00001'")),
        (f"{CAMPAIGN}/margin", {"percnt": 5}, "campaigns.auto-us.margin.percnt: unknown key; did you mean percent?"),
        ("sellers/acme/campaigns", ["auto-us", "auto-us"], "sellers.acme.campaigns: 'auto-us' is listed twice"),
        ("sellers/acme/campaigns", ["auto-uk"],
         "sellers.acme.campaigns: there is no campaign 'auto-uk'; did you mean auto-us?"),
        ("sellers/acme", {}, "sellers.acme.campaigns: is missing"),
        (f"{BUYER}/endpoints", {"x": {"ping_url": "http://h/", "post_url": "http://h/"}},
         "buyers.northwind: must say either endpoint or endpoints"),
        (f"{BUYER}/credit_limit", None, ('buyers.northwind.credit_limit: is empty: must be an amount such as "5.00", '
         "with up to 12 digits before and 6 after the point")),
        ("buyers/empty", {}, "buyers.empty: has no endpoint"),
        ("buyers/empty", {"endpoints": {}}, "buyers.empty: has no endpoint"),
        ("buyers/southwind/endpoints/east/ping_timeout_ms", "500",
         "buyers.southwind.endpoints.east.ping_timeout_ms: must be a whole number, not text"),
        ("buyers/southwind/endpoints/east/colour", 5, "buyers.southwind.endpoints.east.colour: unknown key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_plain_words(path: str, value: Any, problem: str) -> None:
    assert problems_of(changed(path, value)) == [problem]


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ({"type": "integer"}, "in: is missing"),
        ({"in": "ping"}, "type: is missing"),
        ({"type": "zip", "in": "ping"},
         ("type: must be one of text, integer, boolean, date, date_time, enum, us_zip, us_state, phone, email, "
          "not 'zip'; did you mean us_zip?")),
        ({"type": "text", "in": "pign"}, "in: must be one of ping, post, not 'pign'; did you mean ping?"),
        ({"type": "phone", "in": "ping"}, "in: phone names a person: it is sent with the post, never with a ping"),
        ({"type": "email", "in": "ping"}, "in: email names a person: it is sent with the post, never with a ping"),
        ({"type": "text", "in": "post", "min": 5},
         "min: is for date, date_time and integer fields only, this one is text"),
        ({"type": "us_zip", "in": "post", "max": 5},
         "max: is for date, date_time and integer fields only, this one is us_zip"),
        ({"type": "integer", "in": "ping", "max_length": 5},
         "max_length: is for text fields only, this one is integer"),
        ({"type": "text", "in": "ping", "max_length": 0}, "max_length: must be from 1 to 65536, not 0"),
        ({"type": "text", "in": "ping", "values": ["a"]}, "values: is for enum fields only, this one is text"),
        ({"type": "email", "in": "post", "region": "US"}, "region: is for phone fields only, this one is email"),
        ({"type": "phone", "in": "post", "multiple": True},
         "multiple: is for enum, integer, text, us_state and us_zip fields only, this one is phone"),
        ({"type": "text", "in": "post", "multiple": "yes"}, "multiple: must be true or false, not text"),
        ({"type": "phone", "in": "post", "region": "UK"},
         "region: there is no region 'UK': write two capital letters such as US"),
        ({"type": "enum", "in": "ping"}, "values: an enum needs the list of its values"),
        ({"type": "enum", "in": "ping", "values": []}, "values: an enum needs the list of its values"),
        ({"type": "enum", "in": "ping", "values": ["a", "b", "a"]}, "values: 'a' is listed twice"),
        ({"type": "enum", "in": "ping", "values": [1, "1"]}, "values: '1' is listed twice"),
        ({"type": "enum", "in": "ping", "values": [True]}, "values[0]: must be text, not true or false"),
        ({"type": "enum", "in": "ping", "values": [" a"]}, "values[0]: has blanks at its ends"),
        ({"type": "enum", "in": "ping", "values": ["a\0"]}, "values[0]: holds a control character"),
        ({"type": "integer", "in": "ping", "min": "5"}, "min: must be a whole number, not '5'"),
        ({"type": "integer", "in": "ping", "min": True}, "min: must be a whole number, not True"),
        ({"type": "integer", "in": "ping", "min": None}, "min: is empty: must be a whole number"),
        ({"type": "date", "in": "ping", "min": "2020-02-30"},
         "min: must be a date written YYYY-MM-DD, not '2020-02-30'"),
        ({"type": "date", "in": "ping", "max": 2020}, "max: must be a date written YYYY-MM-DD, not 2020"),
        ({"type": "integer", "in": "ping", "requird": True}, "requird: unknown key; did you mean required?"),
    ],
)  # fmt: skip
def test_a_field_must_make_sense(field: dict[str, Any], problem: str) -> None:
    assert problems_of(changed(f"{FIELDS}/new", field)) == [f"verticals.auto_insurance.fields.new.{problem}"]


def test_a_fields_bounds_must_be_in_order() -> None:
    for kind, least, greatest in [("integer", 6, 5), ("date", "2020-01-02", "2020-01-01")]:
        document = changed(f"{FIELDS}/new", {"type": kind, "in": "ping", "min": least, "max": greatest})
        assert problems_of(document) == [f"verticals.auto_insurance.fields.new: min {least} is above max {greatest}"]
        put(document, f"{FIELDS}/new/min", greatest)
        assert problems_of(document) == []


def test_identity_names_fields() -> None:
    document = changed("verticals/auto_insurance/identity", ["phone", "mail", "phone"])
    assert problems_of(document) == [
        "verticals.auto_insurance.identity: there is no field 'mail'; did you mean email?",
        "verticals.auto_insurance.identity: 'phone' is listed twice",
    ]


def test_whole_numbers_are_taken_for_the_text_they_read_as() -> None:
    document = changed(f"{FIELDS}/cars", {"type": "enum", "values": [1, 2, "3+"], "in": "ping"})
    put(document, f"{ORDER}/filter", {"cars": [1, "3+"], "zip": 60601, "occupation": 42})
    market = read(document)
    assert market.verticals["auto_insurance"].fields["cars"].values == ("1", "2", "3+")
    asked = market.orders["northwind-il"].filter
    assert asked["cars"].any_of == frozenset({"1", "3+"})
    assert asked["zip"].any_of == frozenset({"60601"})
    assert asked["occupation"].any_of == frozenset({"42"})


def test_what_an_order_sees_is_kept_in_the_order_of_the_catalogue() -> None:
    assert read(changed(f"{ORDER}/fields", ["age", "zip"])).orders["northwind-il"].fields == ("zip", "age")
    assert read(changed(f"{ORDER}/fields", [])).orders["northwind-il"].fields == ()


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        ("5.00", 5_000_000),
        (5, 5_000_000),
        ("5.1", 5_100_000),
        ("0.000001", 1),
        (0, 0),
        ("9" * 12, 999_999_999_999 * 10**6),
    ],
)
def test_amounts_are_exact(written: Any, micros: int) -> None:
    assert read(changed(f"{CAMPAIGN}/floor", written)).campaigns["auto-us"].floor_micros == micros


@pytest.mark.parametrize(
    ("written", "parts"), [(0, 0), (15, 150_000), ("12.5", 125_000), ("0.0001", 1), ("99.9999", 999_999)]
)
def test_percentages_are_exact(written: Any, parts: int) -> None:
    found = read(changed(f"{CAMPAIGN}/margin", {"percent": written})).campaigns["auto-us"].margin
    assert found == Margin(parts_per_million=parts)


def test_a_seller_can_be_free_of_margin() -> None:
    market = read(changed("sellers/acme/margin", {"percent": 0}))
    assert market.sellers["acme"].margin == Margin()


@pytest.mark.parametrize(
    "document", [None, [], "market", 5, True, {}, {5: 6}, {"orders": {5: {}}}, {"orders": {"a": {5: 1}}}]
)
def test_what_is_no_market_is_refused(document: object) -> None:
    with pytest.raises(MarketFileError):
        read(document)


def test_sections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["VERTICALS_MAX", "CAMPAIGNS_MAX", "SELLERS_MAX", "BUYERS_MAX", "ORDERS_MAX"]:
        monkeypatch.setattr(limits, name, 0)
    found = problems_of(example())
    for section in ["verticals", "campaigns", "sellers", "buyers", "orders"]:
        assert f"{section}: holds more than 0 entries" in found


def test_the_fields_of_a_vertical_and_the_endpoints_of_a_buyer_are_bounded() -> None:
    fields = {f"f{i}": {"type": "text", "in": "ping"} for i in range(limits.FIELDS_MAX + 1)}
    assert problems_of(changed("verticals/wide", {"fields": fields})) == [
        "verticals.wide.fields: holds more than 200 entries"
    ]
    endpoint = {"ping_url": "http://h/", "post_url": "http://h/"}
    endpoints = {f"e{i}": endpoint for i in range(limits.ENDPOINTS_MAX + 1)}
    assert problems_of(changed("buyers/many", {"endpoints": endpoints})) == [
        "buyers.many.endpoints: holds more than 50 entries"
    ]


def test_a_file_with_very_many_problems_lists_them_all_in_time() -> None:
    document = example()
    for i in range(5_000):
        put(document, f"orders/order-{i}", {"buyer": f"nortwind-{i}", "campaign": "auto-us", "sal": 1})
    assert len(problems_of(document)) == 10_000
