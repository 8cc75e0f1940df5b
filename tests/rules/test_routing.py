"""Routing: every order that its filter lets through is asked, or kept out for exactly one stated reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.market import market

from exchange.marketfile.reader import read
from exchange.rules.book import CampaignBook, compile_book
from exchange.rules.routing import closed, failing_fields, route
from exchange.values.market import Seller
from exchange.values.reason import Reason
from exchange.values.vertical import Lead

ACME = Seller("acme", ("auto-us",))
LEAD: Lead = {"zip": "60601", "state": "IL", "age": 41}
NAMES = ("ann", "bob", "cid", "dan")
FLOOR = 5_000_000


def book(orders: dict[str, dict[str, Any]], without_secret: frozenset[str] = frozenset()) -> CampaignBook:
    """A campaign of four buyers, compiled; the endpoints of `without_secret` lack theirs."""
    found = read(market(dict.fromkeys(NAMES, "http://127.0.0.1:9"), orders=orders))
    headers = {(name, "default"): {"X-Key": name} for name in NAMES if name not in without_secret}
    return compile_book(found, 1, headers).campaigns["auto-us"]


def reasons(campaign: CampaignBook, available: dict[str, int]) -> dict[str, Reason | None]:
    routing = route(campaign, LEAD, ACME, available)
    asked: dict[str, Reason | None] = {entry.key: None for entry in routing.asked}
    kept_out: dict[str, Reason | None] = {entry.key: reason for entry, reason in routing.kept_out}
    assert not asked.keys() & kept_out.keys()
    return asked | kept_out


def test_orders_are_asked_unless_something_keeps_them_out() -> None:
    campaign = book({"bob": {"paused": True}, "cid": {"exclude_sellers": ["acme"]}}, frozenset({"dan"}))
    assert reasons(campaign, {}) == {
        "ann": None,
        "bob": Reason.PAUSED,
        "cid": Reason.SELLER_EXCLUDED,
        "dan": Reason.PAUSED,
    }


def test_an_order_that_its_filter_keeps_out_is_neither_asked_nor_listed() -> None:
    campaign = book({"ann": {"filter": {"state": ["WI"]}}, "bob": {"filter": {"state": ["IL"]}, "paused": True}})
    assert reasons(campaign, {}) == {"bob": Reason.PAUSED, "cid": None, "dan": None}


@pytest.mark.parametrize(("available", "reason"), [(FLOOR, None), (FLOOR - 1, Reason.INSUFFICIENT_BALANCE), (0, 205)])
def test_a_buyer_is_asked_while_he_can_pay_the_floor(available: int, reason: Reason | None) -> None:
    assert reasons(book({}), {"ann": available})["ann"] == reason
    assert reasons(book({}), {"ann": available})["bob"] is None


def test_another_seller_is_not_excluded() -> None:
    entry = book({"ann": {"exclude_sellers": ["other"]}}).by_key["ann"]
    assert closed(entry, ACME, {}, FLOOR) is None
    assert closed(entry, Seller("other", ("auto-us",)), {}, FLOOR) is Reason.SELLER_EXCLUDED


@given(
    st.fixed_dictionaries(
        {
            name: st.fixed_dictionaries(
                {},
                optional={
                    "paused": st.booleans(),
                    "exclude_sellers": st.sampled_from([[], ["acme"], ["other"]]),
                    "filter": st.sampled_from(
                        [{}, {"state": ["WI"]}, {"age": {"min": 40}}, {"credit": {"not": ["poor"]}}]
                    ),
                },
            )
            for name in NAMES
        }
    ),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2 * FLOOR)),
)
def test_asked_and_kept_out_are_together_what_the_filters_let_through(
    orders: dict[str, dict[str, Any]], available: dict[str, int]
) -> None:
    campaign = book(orders)
    found = reasons(campaign, available)
    assert found.keys() == {name for name in NAMES if not failing_fields(campaign, campaign.by_key[name], LEAD)}
    for name, reason in found.items():
        is_open = (
            not orders[name].get("paused")
            and "acme" not in orders[name].get("exclude_sellers", [])
            and available.get(name, FLOOR) >= FLOOR
        )
        assert (reason is None) == is_open


def test_who_asks_why_is_told_every_key_of_the_filter_that_fails() -> None:
    campaign = book({"ann": {"filter": {"state": ["WI"], "age": {"max": 40}, "credit": ["good"], "zip": "60601"}}})
    assert failing_fields(campaign, campaign.by_key["ann"], LEAD) == ("state", "age", "credit")
    assert failing_fields(campaign, campaign.by_key["bob"], LEAD) == ()
