"""What whose bid lost is told: when, why, at what place, and never what somebody else bid."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.notices import (
    CLAIM_S,
    LOOK_AGAIN_S,
    Fate,
    LostBid,
    Tried,
    bidders,
    first_look,
    lost_bids,
    next_look,
    rounded_up,
)
from exchange.values.ids import moment_of, uuid7
from exchange.values.market import Sale
from exchange.values.notices import NoticeTerms
from exchange.values.reason import Reason
from exchange.values.trace import BidOutcome, OrderOutcome

PING = uuid7()
BEGAN = moment_of(PING)
ALL = NoticeTerms(15, has_rank=True, step_micros=500_000)
PRICES = st.integers(1, 10**9).map(lambda cents: cents * 10_000)


def bid(order: str, cents: int, reason: Reason = Reason.OUTBID, elapsed_ms: float | None = 5.0) -> OrderOutcome:
    return OrderOutcome(order, f"{order}'s", reason, cents * 10_000, f"bid-{order}", elapsed_ms)


def fate(*outcomes: OrderOutcome, post: str | None = "accepted", tried: tuple[Tried, ...] = ()) -> Fate:
    return Fate(PING, outcomes, BEGAN + timedelta(seconds=300), post, tried)


def told(found: Fate, terms: NoticeTerms = ALL) -> dict[str, LostBid]:
    asking = {outcome.buyer for outcome in found.outcomes}
    return {item.order: item for item in lost_bids(found, terms, asking)}


def sold_to(order: str, cents: int, state: str = "accepted") -> Tried:
    return Tried(order, state, Reason.ACCEPTED, cents * 10_000)


def test_nothing_is_looked_at_later_where_nobody_bid_who_asks() -> None:
    outcomes = [bid("a", 500), bid("fixed", 700, elapsed_ms=None), OrderOutcome("n", "n's", Reason.NO_BID)]
    assert first_look({"n's": 60, "fixed's": 60, "other's": 60}, outcomes, PING) is None
    assert first_look({"a's": 60}, outcomes, PING) == BEGAN + timedelta(seconds=60)
    assert list(bidders(outcomes, {"a's", "fixed's", "n's"})) == ["a's"]


@pytest.mark.parametrize("post", ["accepted", "rejected"])
def test_a_post_that_has_ended_is_final(post: str) -> None:
    assert next_look(fate(post=post), BEGAN) is None


@pytest.mark.parametrize("post", ["pending", "in_progress"])
def test_a_post_that_is_open_is_looked_at_again_and_ever_less_often(post: str) -> None:
    assert next_look(fate(post=post), BEGAN) == BEGAN + timedelta(seconds=LOOK_AGAIN_S)
    late = BEGAN + timedelta(hours=4)
    assert next_look(fate(post=post), late) == late + timedelta(hours=1)


def test_an_offer_is_open_until_no_post_can_be_on_its_way() -> None:
    end = BEGAN + timedelta(seconds=300 + CLAIM_S)
    assert next_look(fate(post=None), BEGAN) == end
    assert next_look(fate(post=None), end) is None
    unsold = Fate(PING, (), None, None, ())
    assert next_look(unsold, BEGAN) is None


def test_the_rank_is_the_place_by_price_among_bids_that_could_win() -> None:
    outcomes = (
        bid("best", 2100, Reason.WON), bid("second", 2000), bid("equal", 2000), bid("last", 900),
        bid("low", 100, Reason.BELOW_FLOOR), bid("high", 9900, Reason.ABOVE_MAX_BID),
    )  # fmt: skip
    found = told(fate(*outcomes, tried=(sold_to("best", 2100),)))
    assert {order: item.rank for order, item in found.items()} == {
        "second": 2, "equal": 2, "last": 4, "low": None, "high": None,
    }  # fmt: skip
    assert {item.clearing_micros for item in found.values() if item.rank} == {21_000_000}
    assert {item.clearing_micros for item in found.values() if not item.rank} == {None}


def test_only_who_asks_is_told_and_only_what_the_campaign_allows() -> None:
    found = fate(bid("a", 2100, Reason.WON), bid("b", 2000), bid("c", 1900), tried=(sold_to("a", 2100),))
    [only] = lost_bids(found, NoticeTerms(0), {"c's"})
    assert (only.order, only.rank, only.clearing_micros, only.is_sold) == ("c", None, None, True)


@pytest.mark.parametrize(
    ("reason", "post", "told_as"),
    [
        (Reason.WON, None, Reason.NOT_TAKEN),
        (Reason.WON, "rejected", Reason.OFFER_WITHDRAWN),
        (Reason.BELOW_MIN_PRICE, None, Reason.NOT_TAKEN),
        (Reason.OUTBID, None, Reason.OUTBID),
        (Reason.BELOW_FLOOR, None, Reason.BELOW_FLOOR),
        (Reason.CAPPED, "accepted", Reason.CAPPED),
    ],
)
def test_why(reason: Reason, post: str | None, told_as: Reason) -> None:
    assert told(fate(bid("a", 2000, reason), post=post))["a"].reason is told_as


def test_who_was_posted_to_is_told_how_that_ended_and_who_bought_is_not_told() -> None:
    tried = (
        Tried("no", "rejected", Reason.REJECTED_BY_BUYER, 1), Tried("gone", "not_sent", None, 1),
        Tried("late", "presumed_rejected", Reason.PRESUMED_REJECTED, 1), Tried("open", "unknown", None, 1),
        sold_to("buys", 900, "presumed_accepted"),
    )  # fmt: skip
    orders = ("no", "gone", "late", "open", "buys")
    found = told(fate(*(bid(order, 1000) for order in orders), tried=tried))
    assert {order: item.reason for order, item in found.items()} == {
        "no": Reason.REJECTED_BY_BUYER, "gone": Reason.NOT_SENT, "late": Reason.PRESUMED_REJECTED,
    }  # fmt: skip


def test_of_two_ways_of_selling_the_bid_counts_that_came_furthest_among_those_of_its_kind() -> None:
    ways = (
        BidOutcome(Sale.SHARED, 8_000_000, "s", 2, Reason.OUTBID),
        BidOutcome(Sale.EXCLUSIVE, 30_000_000, "e", None, Reason.BELOW_FLOOR),
    )
    both = OrderOutcome("both", "both's", Reason.OUTBID, 8_000_000, "s", 3.0, "", ways)
    leg = OrderOutcome(
        "leg", "leg's", Reason.WON, 9_000_000, "l", 3.0, "",
        (BidOutcome(Sale.SHARED, 9_000_000, "l", 2, Reason.WON),),
    )  # fmt: skip
    found = told(fate(both, leg, tried=(sold_to("leg", 900), sold_to("other", 1200))))["both"]
    assert (found.sale, found.bid_id, found.gross_micros, found.rank) == (Sale.SHARED, "s", 8_000_000, 2)
    assert found.clearing_micros == 9_000_000  # the cheapest share


@given(price=PRICES, step=st.integers(10, 10**6).map(lambda cents: cents * 10_000))
def test_a_rounded_price_is_the_next_multiple(price: int, step: int) -> None:
    found = rounded_up(price, step)
    assert found % step == 0
    assert 0 <= found - price < step


@given(prices=st.lists(PRICES, min_size=2, max_size=8), step=st.sampled_from([100_000, 500_000, 1_000_000]))
def test_no_notice_tells_more_of_the_others_than_a_step_and_a_place(prices: list[int], step: int) -> None:
    """Whatever was bid: with the same rank and the same rounded price two losers cannot be told apart."""
    best = max(prices)
    outcomes = tuple(
        OrderOutcome(str(number), str(number), Reason.OUTBID, price, None, 1.0) for number, price in enumerate(prices)
    )
    winner = str(prices.index(best))
    tried = (Tried(winner, "accepted", Reason.ACCEPTED, best),)
    found = lost_bids(
        fate(*outcomes, tried=tried), NoticeTerms(0, has_rank=True, step_micros=step), set(map(str, range(9)))
    )
    assert len(found) == len(prices) - 1
    for item in found:
        assert item.order != winner
        assert item.clearing_micros == rounded_up(best, step)
        assert item.gross_micros == prices[int(item.order)]
        assert item.rank == 1 + sum(price > item.gross_micros for price in prices)


def test_the_moments_are_in_utc() -> None:
    found = first_look({"a's": 0}, [bid("a", 500)], uuid7())
    assert found is not None
    assert abs(found - datetime.now(UTC)) < timedelta(minutes=10)
