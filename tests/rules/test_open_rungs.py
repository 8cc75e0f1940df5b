"""The rungs of an offer at its post: in their order, none that is closed, none below the promise, none too late."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.market import market

from exchange.marketfile.reader import read
from exchange.rules.book import CampaignBook, compile_book
from exchange.rules.ladder import open_rungs, rest_of
from exchange.values.market import Seller
from exchange.values.trace import Rung

ACME = Seller("acme", ("auto-us",))
NAMES = ("ann", "bob", "cid", "dan")


def book(orders: dict[str, dict[str, Any]]) -> CampaignBook:
    """A campaign of four buyers, compiled; dan's endpoint lacks its secret."""
    found = read(market(dict.fromkeys(NAMES, "http://127.0.0.1:9"), orders=orders))
    headers = {(name, "default"): {"X-Key": name} for name in NAMES[:-1]}
    return compile_book(found, 1, headers).campaigns["auto-us"]


BOOK = book({"bob": {"paused": True}})
RUNGS = st.lists(
    st.builds(Rung, st.sampled_from([*NAMES, "gone"]), st.sampled_from(NAMES), st.integers(0, 30), st.none()).map(
        lambda rung: rung if rung.order == "gone" else rung._replace(buyer=rung.order)
    ),
    max_size=6,
)


@given(RUNGS, st.integers(0, 30))
def test_what_is_open_is_what_can_be_taken_in_the_order_of_the_offer(ladder: list[Rung], payout_micros: int) -> None:
    found = open_rungs(ladder, payout_micros, BOOK, ACME)
    expected = [rung for rung in ladder if rung.order in {"ann", "cid"} and rung.gross_micros >= payout_micros]
    assert [rung for rung, _ in found] == expected
    assert all(entry.key == rung.order for rung, entry in found)


def test_an_order_that_is_another_buyers_by_now_is_not_open() -> None:
    assert open_rungs([Rung("ann", "cid", 20, None)], 10, BOOK, ACME) == ()


def test_an_offer_holds_when_the_hours_are_over_but_not_against_a_pause() -> None:
    orders: dict[str, dict[str, Any]] = {
        "ann": {"schedule": {"until": "2020-01-01"}},
        "cid": {"paused_until": "2026-11-24"},
    }
    now_s = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    ladder = [Rung("ann", "ann", 20, None), Rung("cid", "cid", 20, None)]
    for at_s, expected in [(now_s - 1, ["ann"]), (now_s, ["ann", "cid"])]:
        assert [rung.order for rung, _ in open_rungs(ladder, 10, book(orders), ACME, at_s)] == expected


@pytest.mark.parametrize("closed_by", ["seller", "buyer"])
def test_who_has_been_excluded_since_is_not_open(closed_by: str) -> None:
    document = market(dict.fromkeys(NAMES, "http://127.0.0.1:9"))
    if closed_by == "seller":
        document["sellers"]["acme"]["exclude_buyers"] = ["ann"]
    else:
        document["buyers"]["ann"]["exclude_sellers"] = ["acme"]
    found = read(document)
    campaign = compile_book(found, 1, {(name, "default"): {} for name in NAMES}).campaigns["auto-us"]
    ladder = [Rung("ann", "ann", 20, None), Rung("bob", "bob", 20, None)]
    assert [rung.order for rung, _ in open_rungs(ladder, 10, campaign, found.sellers["acme"])] == ["bob"]


@given(st.lists(st.integers(), max_size=5), st.integers(0, 6), st.integers(0, 1000), st.booleans())
def test_nothing_follows_once_the_seller_is_told_or_too_little_time_is_left(
    plans: list[int], tried: int, remaining_ms: int, is_told: bool
) -> None:
    rest = rest_of(plans, tried, remaining_ms=remaining_ms, attempt_min_ms=500, is_told=is_told)
    assert list(rest) == ([] if is_told or remaining_ms < 500 else plans[tried:])


@pytest.mark.parametrize(("remaining_ms", "count"), [(499, 0), (500, 1)])
def test_just_enough_time_is_enough(remaining_ms: int, count: int) -> None:
    assert len(rest_of((1, 2), 1, remaining_ms=remaining_ms, attempt_min_ms=500, is_told=False)) == count
