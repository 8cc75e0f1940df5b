"""What a market file says of shares: how campaigns sell, what orders take, and who does not share with whom."""

from typing import Any

import pytest
from market_example import changed, example, problems_of

from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.rules.book import compile_book
from exchange.rules.routing import route
from exchange.values.market import Sale
from exchange.values.vertical import Lead

CAMPAIGN = "campaigns/auto-us"
NOT_WITH = "buyers/northwind/not_with"


@pytest.mark.parametrize("sale", ["exclusive", "shared", "best"])
def test_how_a_campaign_sells(sale: str) -> None:
    assert read(changed(f"{CAMPAIGN}/sale", sale)).campaigns["auto-us"].sale is Sale(sale)


def test_a_shared_lead_is_bought_by_three_unless_said_otherwise() -> None:
    assert read(example()).campaigns["auto-plain"].max_shares == 3
    assert read(changed(f"{CAMPAIGN}/max_shares", 10)).campaigns["auto-us"].max_shares == 10


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (f"{CAMPAIGN}/sale", "either", "must be one of exclusive, shared, best, not 'either'"),
        (f"{CAMPAIGN}/max_shares", 0, "must be from 1 to 10, not 0"),
        (f"{CAMPAIGN}/max_shares", 11, "must be from 1 to 10, not 11"),
        (f"{CAMPAIGN}/max_shares", True, "must be a whole number, not true or false"),
        ("orders/northwind-il/sale", "best", "must be one of exclusive, shared, either, not 'best'"),
        (NOT_WITH, ["southwnd"], "there is no buyer 'southwnd'; did you mean southwind?"),
        (NOT_WITH, ["southwind", "southwind"], "'southwind' is listed twice"),
        (NOT_WITH, ["northwind"], "names the buyer himself: nobody is sold one lead twice"),
        (NOT_WITH, "southwind", "must be a list, not text"),
    ],
)
def test_what_cannot_be_meant(path: str, value: Any, problem: str) -> None:
    assert problems_of(changed(path, value)) == [f"{path.replace('/', '.')}: {problem}"]


def test_a_change_reads_as_a_person_would_say_it() -> None:
    found = [
        str(change)
        for path, value in [(f"{CAMPAIGN}/max_shares", 4), (f"{CAMPAIGN}/sale", "best"), (NOT_WITH, ["southwind"])]
        for change in compare(read(example()), read(changed(path, value)))
    ]
    assert found == [
        "~ campaigns.auto-us.max_shares: 1 -> 4",
        "~ campaigns.auto-us.sale: exclusive -> best",
        "+ buyers.northwind.not_with: [southwind]",
    ]


@pytest.mark.parametrize(
    ("sold", "taken", "asked"),
    [
        ("exclusive", "either", "exclusive"),
        ("exclusive", "exclusive", "exclusive"),
        ("exclusive", "shared", None),
        ("shared", "either", "shared"),
        ("shared", "shared", "shared"),
        ("shared", "exclusive", None),
        ("best", "either", "either"),
        ("best", "shared", "shared"),
        ("best", "exclusive", "exclusive"),
    ],
)
def test_an_order_is_asked_for_what_it_and_its_campaign_allow(sold: str, taken: str, asked: str | None) -> None:
    document = changed(f"{CAMPAIGN}/sale", sold)
    document["orders"]["northwind-il"]["sale"] = taken
    market = read(document)
    book = compile_book(market, 1, {}).campaigns["auto-us"]
    entry = book.by_key["northwind-il"]
    assert entry.sale == asked
    lead: Lead = {"zip": "60601", "state": "IL", "age": 40, "credit": "good"}
    routed = route(book, lead, market.sellers["acme"], {})
    assert any(found is entry for found, _ in routed.kept_out) == (asked is not None)  # its endpoint has no secret here


def test_if_one_of_two_does_not_want_to_share_neither_does() -> None:
    market = read(changed(NOT_WITH, ["southwind", "eastwind"]))
    book = compile_book(market, 1, {}).campaigns["auto-us"]  # eastwind has no order here
    assert book.apart == {"northwind": {"southwind"}, "southwind": {"northwind"}}
