"""Routing: every order that its filter lets through is asked, or kept out for exactly one stated reason."""

import copy
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.market import market

from exchange.marketfile.reader import read
from exchange.rules.book import CampaignBook, OrderEntry, compile_book
from exchange.rules.routing import barred, failing_fields, route
from exchange.rules.schedule import Timeline
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


def reasons(
    campaign: CampaignBook, available: dict[str, int], lead: Lead = LEAD, seller: Seller = ACME
) -> dict[str, Reason | None]:
    routing = route(campaign, lead, seller, available, now_s=NOW.timestamp())
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
    assert barred(entry, ACME, 0) is None
    assert barred(entry, Seller("other", ("auto-us",)), 0) is Reason.SELLER_EXCLUDED


NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)  # a Monday
SCHEDULES: list[dict[str, Any]] = [
    {"hours": "08:00-10:30"},
    {"days": ["sun"], "hours": "22:00-16:00"},
    {"days": ["mon"], "holidays": ["2026-11-23"]},
    {"from": "2026-11-23T09:30"},
    {"until": "2026-11-23T15:30"},
]
ORDERS = st.fixed_dictionaries(
    {
        name: st.fixed_dictionaries(
            {},
            optional={
                "paused": st.booleans(),
                "paused_until": st.sampled_from(["2026-11-23T10:30", "2026-11-23T10:31", "2026-11-24"]),
                "exclude_sellers": st.sampled_from([[], ["acme"], ["other"]]),
                "schedule": st.sampled_from(SCHEDULES),
                "consent": st.sampled_from([[], ["called"], ["proof"], ["called", "proof"]]),
                "filter": st.sampled_from([{}, {"state": ["WI"]}, {"age": {"min": 40}}, {"credit": {"not": ["poor"]}}]),
            },
        )
        for name in NAMES
    }
)
LEADS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(st.just("called"), st.booleans()).flatmap(
    lambda called: st.sampled_from([{}, {"proof": "cert-1"}]).map(lambda proof: {**LEAD, **called, **proof})
)


def timed_market(
    orders: dict[str, dict[str, Any]], zones: dict[str, str], exclude_sellers: list[str], exclude_buyers: list[str]
) -> CampaignBook:
    """A campaign whose buyers have zones; ann excludes sellers for all her orders, acme excludes buyers."""
    document = copy.deepcopy(market(dict.fromkeys(NAMES, "http://127.0.0.1:9"), orders=orders))
    for name, zone in zones.items():
        document["buyers"][name]["time_zone"] = zone
    document["buyers"]["ann"]["exclude_sellers"] = exclude_sellers
    document["sellers"]["acme"]["exclude_buyers"] = exclude_buyers
    document["verticals"]["auto"]["fields"] |= {
        "called": {"type": "boolean", "in": "ping"},
        "proof": {"type": "text", "in": "ping"},
    }
    headers = {(name, "default"): {"X-Key": name} for name in NAMES}
    return compile_book(read(document), 1, headers).campaigns["auto-us"]


def reason_for(entry: OrderEntry, seller: Seller, lead: Lead, available: dict[str, int]) -> Reason | None:
    """Why one order that its filter lets through is not asked, each thing looked at by itself."""
    order, buyer, zone = entry.order, entry.buyer, ZoneInfo(entry.buyer.time_zone)
    if order.paused or (order.paused_until is not None and order.paused_until.replace(tzinfo=zone) > NOW):
        return Reason.PAUSED
    if order.schedule is not None and not Timeline(order.schedule, buyer.time_zone).is_open(NOW):
        return Reason.OUTSIDE_SCHEDULE
    if seller.key in order.exclude_sellers | buyer.exclude_sellers or buyer.key in seller.exclude_buyers:
        return Reason.SELLER_EXCLUDED
    if not all(lead.get(name) for name in order.consent):
        return Reason.BUYER_CONSENT_MISSING
    return Reason.INSUFFICIENT_BALANCE if available.get(buyer.key, FLOOR) < FLOOR else None


@given(
    ORDERS,
    LEADS,
    st.fixed_dictionaries({name: st.sampled_from(["UTC", "America/New_York", "Europe/Berlin"]) for name in NAMES}),
    st.sampled_from([[], ["acme"], ["other"]]),
    st.lists(st.sampled_from(NAMES), unique=True, max_size=2),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2 * FLOOR)),
)
def test_asked_and_kept_out_are_together_what_the_filters_let_through_each_for_its_first_reason(
    orders: dict[str, dict[str, Any]],
    lead: Lead,
    zones: dict[str, str],
    exclude_sellers: list[str],
    exclude_buyers: list[str],
    available: dict[str, int],
) -> None:
    campaign = timed_market(orders, zones, exclude_sellers, exclude_buyers)
    acme = Seller("acme", ("auto-us",), exclude_buyers=frozenset(exclude_buyers))
    let_through = [name for name in NAMES if not failing_fields(campaign, campaign.by_key[name], lead)]
    for seller in (acme, Seller("other", ("auto-us",)), acme):
        found = reasons(campaign, available, lead, seller)
        assert found == {name: reason_for(campaign.by_key[name], seller, lead, available) for name in let_through}
        for name in let_through:
            entry = campaign.by_key[name]
            expected = reason_for(entry, seller, lead, available)
            lasting = expected if expected in {Reason.PAUSED, Reason.SELLER_EXCLUDED} else None
            if expected is not Reason.OUTSIDE_SCHEDULE:
                assert barred(entry, seller, NOW.timestamp()) is lasting


def test_where_nothing_keeps_an_order_out_no_state_is_looked_at() -> None:
    assert book({}).states is None
    assert book({"ann": {"schedule": {"hours": "00:00-24:00"}, "exclude_sellers": [], "consent": []}}).states is None
    assert book({}, without_secret=frozenset({"ann"})).states is not None


def test_many_orders_have_each_their_own_state() -> None:
    orders = {
        f"ann-{number}": {"buyer": "ann", "campaign": "auto-us", "paused": number % 3 == 0, "schedule": schedule}
        for number in range(300)
        for schedule in [{"hours": "08:00-09:00"} if number % 5 == 0 else None]
    }
    found = reasons(book(orders), {})
    for number in range(300):
        closed = Reason.OUTSIDE_SCHEDULE if number % 5 == 0 else None
        assert found[f"ann-{number}"] is (Reason.PAUSED if number % 3 == 0 else closed)


def why(campaign: CampaignBook, lead: Lead = LEAD) -> list[str]:
    return [found.path for found in failing_fields(campaign, campaign.by_key["ann"], lead)]


def test_who_asks_why_is_told_every_key_of_the_filter_that_fails() -> None:
    campaign = book({"ann": {"filter": {"state": ["WI"], "age": {"max": 40}, "credit": ["good"], "zip": "60601"}}})
    assert why(campaign) == ["state", "age", "credit"]
    assert failing_fields(campaign, campaign.by_key["bob"], LEAD) == ()


@pytest.mark.parametrize(
    ("written", "failing"),
    [
        ({"or": [{"state": "WI"}, {"age": {"max": 40}, "zip": "60601"}]}, ["or[0].state", "or[1].age"]),
        ({"or": [{"state": "WI"}, {"age": 41}]}, []),
        ({"and": [{"state": "IL"}, {"age": 40}], "credit": "good"}, ["credit", "and[1].age"]),
        ({"not": {"state": "IL", "age": {"min": 30}}}, ["not.state", "not.age"]),
        ({"not": {"or": [{"state": "WI"}, {"age": 41}]}}, ["not.or[1].age"]),
        ({"not": {"credit": "good"}}, []),
        ({"credit": {"not": {"in": ["good"]}}}, ["credit.not"]),
        ({"age": {"or": [{"max": 20}, {"min": 60}]}}, ["age.or[0]", "age.or[1]"]),
        ({"age": {"and": [{"min": 20}, {"max": 40}]}, "zip": {"prefix": "53"}}, ["age.and[1]", "zip"]),
        ({"credit": {"or": [{"exists": True}, "good"]}}, ["credit.or[0]", "credit.or[1]"]),
        ({"state": {"exists": False}}, ["state"]),
    ],
)
def test_conditions_in_groups_are_told_by_their_path(written: dict[str, Any], failing: list[str]) -> None:
    campaign = book({"ann": {"filter": written}})
    assert why(campaign) == failing
    assert campaign.matcher.matching(LEAD) & 1 == (not failing)
