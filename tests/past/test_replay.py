"""Run again from its record an auction comes out the same, and a record that was changed does not."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from support.market import LEAD, market
from support.past_pings import NAMES, READ_LEAD, ping_of, rules

from exchange.marketfile.reader import read
from exchange.past.explanation import WANTS_CHARS_MAX, explain
from exchange.past.recall import rules_of
from exchange.past.replay import replay
from exchange.past.told import told
from exchange.values.bid import Bid, Refusal
from exchange.values.reason import Reason
from exchange.values.selling import Method
from exchange.values.trace import Inputs, PingStatus

APPLIED_AT = datetime(2026, 1, 1, tzinfo=UTC)
DOLLARS = st.integers(0, 60).map(lambda dollars: dollars * 1_000_000)
NO_BIDS = st.sampled_from([Reason.NO_BID, Reason.TIMEOUT, Reason.LATE, Reason.CONNECT_FAILED])
FULL = st.sampled_from([Reason.CAPPED, Reason.OUT_OF_BUDGET, Reason.INSUFFICIENT_BALANCE])
REPLIES = st.one_of(
    st.tuples(DOLLARS, st.none() | st.just("b-1")).map(lambda parts: Bid(*parts)),
    NO_BIDS.map(Refusal),
    FULL.map(lambda reason: Refusal(reason, "", 90_000_000)),
)


@given(
    st.dictionaries(st.sampled_from(NAMES), REPLIES),
    st.sampled_from(["break_even", "none"]),
    st.sampled_from([None, 5_000_000, 25_000_000]),
)
def test_the_record_of_any_auction_gives_the_same_auction(
    replies: dict[str, Bid | Refusal], fallback: str, min_price_micros: int | None
) -> None:
    book = rules(fallback=fallback)
    ping = ping_of(book, replies, min_price_micros)
    found = replay(ping, book)
    assert found is not None
    assert found.differences == ()
    assert found.payout_micros == ping.payout_micros


@given(
    st.dictionaries(st.sampled_from(NAMES), REPLIES, min_size=2),
    st.sampled_from([None, 5_000_000, 25_000_000]),
    st.tuples(st.sampled_from(Method), st.sampled_from(Method)),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 999_999)),
    st.booleans(),
)
def test_with_two_methods_too_whichever_of_them_decided(
    replies: dict[str, Bid | Refusal],
    min_price_micros: int | None,
    methods: tuple[Method, Method],
    measured: dict[str, int],
    second: bool,
) -> None:
    book = rules(method=methods[0].value, fallback_method=methods[1].value)
    decided = Inputs(methods[1], measured) if second else Inputs(methods[0], measured, Inputs(methods[1], measured))
    ping = ping_of(book, replies, min_price_micros, decided)
    found = replay(ping, book)
    assert found is not None
    assert found.differences == ()
    if ping.inputs is not None and methods[0] is not methods[1]:
        assert ping.inputs.method is methods[second]


@given(st.dictionaries(st.sampled_from(NAMES), REPLIES), st.sampled_from(["break_even", "none"]))
def test_an_explanation_has_every_order_once_and_its_sums_add_up(
    replies: dict[str, Bid | Refusal], fallback: str
) -> None:
    book = rules(fallback=fallback)
    ping = ping_of(book, replies)
    found = explain(ping, APPLIED_AT, book.campaigns["auto-us"])
    orders = [story.outcome.order for story in found.orders]
    assert sorted(orders) == sorted(book.market.orders)
    assert all(story.outcome.reason is not Reason.BID for story in found.orders)
    ranks = [story.rank for story in found.orders if story.rank is not None]
    assert ranks == list(range(1, len(ranks) + 1))
    bids = [story.outcome.gross_micros or 0 for story in found.orders if story.rank is not None]
    assert bids == sorted(bids, reverse=True)
    document = told(found)
    assert document["market_applied_at"] == "2026-01-01T00:00:00.000Z"
    if ping.payout_micros is None:
        assert (document["gross"], document["payout"], document["margin"]) == (None, None, None)
    else:
        assert found.gross_micros == ping.payout_micros + (found.margin_micros or 0)
        assert document["orders"][0]["reason"]["name"] == "won"


def test_filtered_orders_say_which_condition_failed() -> None:
    book = rules()
    found = explain(ping_of(book, {}), None, book.campaigns["auto-us"])
    failed = {story.outcome.order: story.failed for story in found.orders if story.outcome.reason is Reason.FILTERED}
    assert {order: [tuple(item) for item in items] for order, items in failed.items()} == {
        "old": [("age", "age", "{min: 60}", 41)],
        "far": [("state", "state", "[MN, WI]", "IL")],
    }


def test_each_condition_of_a_group_tells_what_it_wants_itself() -> None:
    asked = {
        "or": [{"state": "CA"}, {"age": {"min": 60}}],
        "not": {"credit": ["good", "fair"]},
        "age": {"min": 20, "or": [{"max": 30}, {"not": {"between": [40, 50]}}]},
    }
    document = market({"ann": "http://127.0.0.1:9"}, orders={"ann": {"filter": asked}})
    book = rules_of(read(document), 1).campaigns["auto-us"]
    [kept_out] = explain(replace(ping_of(rules(), {}), outcomes=()), None, book).orders
    assert {item.path: item.wants for item in kept_out.failed} == {
        "or[0].state": "[CA]",
        "or[1].age": "{min: 60}",
        "not.credit": "not [fair, good]",
        "age.or[0]": "{max: 30}",
        "age.or[1].not": "not {min: 40, max: 50}",
    }


def test_of_a_test_the_orders_whose_buyers_could_not_tell_are_explained_and_run_again_as_kept_out() -> None:
    reply = {"format": "json", "success": {"status": 200}}
    asked = {"body": "json", "fields": {"zip": "zip"}, "reply": {**reply, "price": "price"}}
    told_nothing = {"body": "json", "fields": {"zip": "zip"}, "reply": reply}
    document = market(dict.fromkeys(("ann", "bob"), "http://127.0.0.1:9"))
    document["buyers"]["bob"]["endpoint"] |= {"dialect": "mapped", "mapping": {"ping": asked, "post": told_nothing}}
    book = rules_of(read(document), 1)
    ping = replace(ping_of(rules(), {"ann": Bid(21_000_000)}), test=True)
    ping = replace(ping, outcomes=tuple(item for item in ping.outcomes if item.order == "ann"))
    found = replay(ping, book)
    assert found is not None
    assert found.differences == ()
    [_, kept_out] = explain(ping, None, book.campaigns["auto-us"]).orders
    assert kept_out.outcome[:3] == ("bob", "bob", Reason.FILTERED)
    assert kept_out.outcome.detail == "its buyer could not tell a test from a lead"
    lead = replay(replace(ping, test=False), book)
    assert lead is not None
    assert [str(item) for item in lead.differences] == [
        "order bob: recorded kept out by its filter, now let through by it"
    ]


def test_a_condition_with_very_many_values_is_told_by_its_beginning() -> None:
    zips = [f"{number:05}" for number in range(10_000, 10_500)]
    document = market({"ann": "http://127.0.0.1:9"}, orders={"ann": {"filter": {"zip": zips}}})
    book = rules_of(read(document), 1).campaigns["auto-us"]
    [kept_out] = explain(replace(ping_of(rules(), {}), outcomes=()), None, book).orders
    assert kept_out.failed[0].wants.startswith("[10000, 10001, ")
    assert len(kept_out.failed[0].wants) == WANTS_CHARS_MAX + 1


def test_an_absent_field_is_told_as_none() -> None:
    book = rules()
    ping = replace(ping_of(book, {}), lead={"zip": "60601", "credit": "good"})
    found = explain(ping, None, book.campaigns["auto-us"])
    [old] = [story for story in found.orders if story.outcome.order == "old"]
    assert [tuple(item) for item in old.failed] == [("age", "age", "{min: 60}", None)]


def test_without_its_market_version_the_record_is_told_and_the_gap_named() -> None:
    ping = ping_of(rules(), {"ann": Bid(21_000_000)})
    found = explain(ping, None, None)
    assert {story.outcome.order for story in found.orders} == set(NAMES)
    assert found.gross_micros == 21_000_000
    assert "Market version 1 cannot be read" in found.notes[0]


def test_a_changed_record_is_seen() -> None:
    book = rules()
    ping = ping_of(book, {"ann": Bid(21_000_000), "bob": Bid(18_000_000)})
    paid_more = replace(ping, payout_micros=18_000_000)
    found = replay(paid_more, book)
    assert found is not None
    assert [str(item) for item in found.differences] == ["the payout: recorded 18.00, now 17.85"]
    swapped = replace(ping, outcomes=(ping.outcomes[1], *ping.outcomes[2:]))
    found = replay(swapped, book)
    assert found is not None
    assert {item.what for item in found.differences} >= {"the winner", "order ann"}


def test_other_rules_come_out_otherwise() -> None:
    ping = ping_of(rules(), {"ann": Bid(21_000_000), "bob": Bid(18_000_000)})
    found = replay(ping, rules(floor="20.00", margin={"percent": 20}))
    assert found is not None
    assert {item.what: (item.recorded, item.again) for item in found.differences} == {
        "the payout": ("17.85", "16.80"),
        "the ladder": ("ann 21.00 > bob 18.00", "ann 21.00"),
        "order bob": ("307 outbid", "301 below_floor"),
    }


def test_a_refused_ping_had_no_auction() -> None:
    book = rules()
    ping = replace(ping_of(book, {}), status=PingStatus.REFUSED, reason=Reason.DUPLICATE, outcomes=())
    assert replay(ping, book) is None
    found = explain(ping, None, book.campaigns["auto-us"])
    assert (found.orders, found.notes) == ((), ("It was refused before any order was looked at.",))


def test_the_lead_of_these_tests_is_the_usual_one() -> None:
    assert READ_LEAD.items() >= LEAD.items()
