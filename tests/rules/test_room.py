"""Room: offers near a limit are no more than can be served, whoever makes them, and no fewer than need be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.market import market

from exchange.auction import Entrant, Terms, decide
from exchange.marketfile.reader import read
from exchange.rules.book import compile_book
from exchange.rules.caps import Cap, Limit, Scope, caps_of_market, window
from exchange.rules.estimates import NO_LIMIT, Left, Open, Row, expected
from exchange.rules.room import UNLIMITED, Room
from exchange.rules.routing import route
from exchange.values.bid import Asked, Bid
from exchange.values.ids import uuid7
from exchange.values.market import Margin, Period, Seller
from exchange.values.reason import Reason
from exchange.values.trace import Offer, PingStatus, PingTrace, Rung

UNIT = 1_000_000
ZONE = "America/Chicago"
ORDER = Scope("order", "ann", ZONE)
ZONES = {"auto-us": ZONE}


def now() -> datetime:
    return datetime.now(UTC)


def limited(leads: int | None, micros: int | None = None, *, scope: Scope = ORDER, period: Period = Period.DAY) -> Cap:
    return Cap(scope, Limit(period, leads, micros))


def room_of(*caps: Cap) -> Room:
    room = Room()
    room.limit(caps, ZONES, now())
    return room


def row(leads: int, micros: int = 0, changes: int = 1, at: datetime | None = None, **more: Any) -> Row:
    starts_us, ends_us = (round(moment.timestamp() * UNIT) for moment in window(Period.DAY, ZONE, at or now()))
    found = Row("order", "ann", "day", starts_us, ends_us, changes, leads, micros)
    return found._replace(**more)


def offer_to(order: str = "ann", gross: int = 10 * UNIT, ttl_s: float = 60) -> PingTrace:
    offer = Offer(gross, now() + timedelta(seconds=ttl_s), (Rung(order, order, gross),))
    return PingTrace(
        uuid7(), "acme", "auto-us", 1, "USD", False, None, None, None, {}, PingStatus.OFFERED, None, offer, (), {}
    )


def test_what_is_left_is_the_least_of_all_limits() -> None:
    room = room_of(limited(10, 500 * UNIT), limited(4, None, period=Period.HOUR), limited(100, period=Period.TOTAL))
    assert room.left == {"ann": Left(4, 500 * UNIT)}
    room.count([row(8, 80 * UNIT)], now())
    assert room.left["ann"] == Left(2, 420 * UNIT)


def test_an_older_state_of_a_row_changes_nothing() -> None:
    room = room_of(limited(10))
    room.count([row(5, changes=7)], now())
    room.count([row(4, changes=6), row(9, changes=7)], now())
    assert room.left["ann"].leads == 5
    room.count([row(4, changes=8)], now())
    assert room.left["ann"].leads == 6


def test_a_window_that_is_over_counts_no_more() -> None:
    room = room_of(limited(10))
    room.count([row(10)], now())
    assert room.left["ann"].leads == 0
    room.tick(window(Period.DAY, ZONE, now()).ends_at, 0)
    assert room.left["ann"].leads == 10


def test_open_offers_are_taken_off_until_they_are_posted_or_expire() -> None:
    room = room_of(limited(3, 100 * UNIT))
    first, second = offer_to(), offer_to(gross=20 * UNIT)
    room.offered(first)
    room.offered(second)
    room.offered(offer_to("bob"))
    assert room.left == {"ann": Left(1, 70 * UNIT)}
    room.count([row(1, 10 * UNIT)], now())
    room.posted(first.ping_id)
    assert room.left["ann"] == Left(1, 70 * UNIT)
    room.posted(first.ping_id)
    room.tick(now() + timedelta(seconds=61), 0)
    assert room.left["ann"] == Left(2, 90 * UNIT)


def test_a_limit_that_is_far_comes_into_sight_as_offers_are_made() -> None:
    room = room_of(limited(200))
    traces = [offer_to() for _ in range(150)]
    for trace in traces:
        room.offered(trace)
    assert room.left["ann"].leads == 50
    for trace in traces:
        room.posted(trace.ping_id)
    assert room.left["ann"].leads == 200


def test_what_others_have_offered_is_taken_off_while_they_say_so() -> None:
    room = room_of(limited(5))
    room.hear("two", ORDER, Open(2, 20 * UNIT), 100)
    room.hear("three", ORDER, Open(1, 10 * UNIT), 102)
    assert room.left["ann"].leads == 2
    room.hear("two", ORDER, Open(1, 10 * UNIT), 103)
    assert room.left["ann"].leads == 3
    room.tick(now(), 107.5)
    assert room.left["ann"].leads == 4
    room.hear("two", Scope("order", "nobody", ZONE), Open(9, 9), 110)


def test_offers_matter_to_others_only_where_little_is_left() -> None:
    far, near = room_of(limited(1000)), room_of(limited(20))
    for room in (far, near):
        room.offered(offer_to())
    assert (far.changed, far.near(), far.tell(ORDER)) == (set(), [], None)
    assert (near.changed, near.near(), near.tell(ORDER)) == ({ORDER}, [ORDER], Open(1, 10 * UNIT))


def test_where_few_offers_are_posted_more_are_made() -> None:
    room = room_of(limited(10))
    for number in range(200):
        trace = offer_to(ttl_s=-1)
        room.offered(trace)
        if number % 10 == 0:
            room.posted(trace.ping_id)
        room.tick(now(), 0)
    made = 0
    while room.left["ann"].leads > 0:
        room.offered(offer_to())
        made += 1
    assert 20 <= made <= 60


def test_limits_that_change_keep_what_is_known() -> None:
    room = room_of(limited(3))
    room.offered(offer_to())
    room.count([row(1)], now())
    room.limit([limited(10), limited(1, scope=Scope("order", "bob", ZONE))], ZONES, now())
    assert {order: left.leads for order, left in room.left.items()} == {"ann": 8, "bob": 1}
    room.limit([], ZONES, now())
    assert room.left == {}
    room.offered(offer_to())
    assert room.left == {}


@pytest.mark.parametrize("kind", ["seller", "campaign"])
def test_a_seller_or_a_campaign_without_room_is_refused(kind: str) -> None:
    scope = Scope(kind, "acme" if kind == "seller" else "auto-us", ZONE)
    room = room_of(limited(2, scope=scope))
    assert not room.refuses("acme", "auto-us")
    room.count([row(1, kind=kind, subject=scope.subject)], now())
    assert not room.refuses("acme", "auto-us")
    room.offered(offer_to("whoever"))
    assert room.refuses("acme", "auto-us")
    assert room.refuses("other", "auto-us") is (kind == "campaign")
    assert not room.refuses("acme", "another")


def test_nothing_limits_a_test() -> None:
    UNLIMITED.offered(offer_to())
    assert UNLIMITED.left == {}
    assert not UNLIMITED.refuses("acme", "auto-us")


@given(st.integers(0, 10_000), st.integers(0, 10**12), st.floats(0, 1))
def test_no_more_is_expected_than_is_open_and_no_less_than_is_usual(offers: int, micros: int, share: float) -> None:
    found = expected(Open(offers, micros if offers else 0), share)
    assert 0 <= found.offers <= offers
    assert found.micros <= micros + 1
    assert found.offers >= share * offers - 1e-6
    assert expected(Open(offers, micros), 1) == (Open(offers, micros) if offers else Open())


@given(st.lists(st.sampled_from(["offer", "post", "look", "expire"]), max_size=60), st.integers(0, 8))
def test_a_gateway_alone_never_offers_more_than_is_left(steps: list[str], cap: int) -> None:
    room, opened, sold, start = room_of(limited(cap)), [], 0, now()
    for number, step in enumerate(steps):
        if step == "offer" and room.left["ann"].leads >= 1:
            opened.append(offer_to())
            room.offered(opened[-1])
        elif step == "post" and opened:
            sold += 1
            room.count([row(sold, changes=number + 1, at=start)], start)
            room.posted(opened.pop().ping_id)
        elif step == "expire" and opened:
            room._close(opened.pop(0).ping_id, was_posted=True)
        assert sold + len(opened) <= cap


def test_an_order_without_room_is_kept_out_and_a_bid_beyond_it_does_not_count() -> None:
    names = ("ann", "bob", "cid", "dan")
    document = market(dict.fromkeys(names, "http://127.0.0.1:9"), floor="5.00")
    book = compile_book(read(document), 1, {(name, "default"): {} for name in names}).campaigns["auto-us"]
    left = {"ann": Left(0, NO_LIMIT), "bob": Left(5, 5 * UNIT - 1), "cid": Left(1, 5 * UNIT)}
    routing = route(book, {"zip": "60601"}, Seller("acme", ("auto-us",)), {}, left, {"dan"})
    assert [entry.key for entry in routing.asked] == ["cid"]
    assert {entry.key: reason for entry, reason in routing.kept_out} == {
        "ann": Reason.CAPPED,
        "bob": Reason.OUT_OF_BUDGET,
        "dan": Reason.DUPLICATE_FOR_BUYER,
    }
    entrant = Entrant("x", "x", 1, None, None, Margin(), Asked("x", Bid(6 * UNIT), 1.0))
    for limit, reason in [
        (None, Reason.WON),
        (Left(1, 6 * UNIT), Reason.WON),
        (Left(1, 6 * UNIT - 1), Reason.OUT_OF_BUDGET),
        (Left(0, NO_LIMIT), Reason.CAPPED),
    ]:
        decision = decide([entrant._replace(left=limit)], Terms(5 * UNIT), uuid7())
        assert decision.outcomes[0].reason is reason


def test_the_limits_of_a_market_are_found_once_each() -> None:
    document = market(dict.fromkeys(("ann", "bob"), "http://127.0.0.1:9"), time_zone=ZONE, caps={"day": 9})
    document["orders"]["ann"] |= {"caps": {"hour": 2}, "budget": {"hour": "5.00", "total": 7}}
    document["buyers"]["ann"]["time_zone"] = "Europe/Berlin"
    document["campaigns"]["auto-2"] = document["campaigns"]["auto-us"] | {"time_zone": "UTC", "caps": {}}
    document["sellers"]["acme"] |= {"campaigns": ["auto-us", "auto-2"], "caps": {"month": 3}}
    assert [(*cap.scope, *cap.limit) for cap in caps_of_market(read(document)) if isinstance(cap, Cap)] == [
        ("order", "ann", "Europe/Berlin", "hour", 2, 5 * UNIT),
        ("order", "ann", "Europe/Berlin", "total", None, 7 * UNIT),
        ("seller", "acme", ZONE, "month", 3, None),
        ("campaign", "auto-us", ZONE, "day", 9, None),
        ("seller", "acme", "UTC", "month", 3, None),
    ]


def test_a_trace_without_an_offer_takes_nothing() -> None:
    room = room_of(limited(3))
    room.offered(offer_to()._replace(status=PingStatus.UNSOLD, reason=Reason.NO_BIDS, offer=None))
    assert room.left["ann"].leads == 3


def test_an_offer_of_shares_counts_for_each_of_its_legs() -> None:
    room = room_of(limited(10), Cap(Scope("seller", "acme", ZONE), Limit(Period.DAY, 10, None)))
    shared = offer_to()
    rungs = Rung("ann", "ann", 10 * UNIT, None, 8 * UNIT), Rung("bob", "bob", 9 * UNIT, None, 7 * UNIT)
    assert shared.offer is not None
    shared = shared._replace(offer=shared.offer._replace(ladder=(*rungs, Rung("cid", "cid", 9 * UNIT))))
    room.offered(shared)
    assert room.tell(Scope("order", "ann", ZONE)) == Open(1, 10 * UNIT)
    assert room.tell(Scope("seller", "acme", ZONE)) == Open(2, 19 * UNIT)
    room.posted(shared.ping_id)
    assert room.tell(Scope("seller", "acme", ZONE)) == Open()
