"""Auctions that sell shares: which way wins, whose bids make the set, and one reason for every order and every bid."""

import random
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.auction import Decision, Entrant, Terms, decide
from exchange.rules.pricing import payout_of
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.ids import uuid7
from exchange.values.market import Fallback, Margin, Sale
from exchange.values.reason import Reason
from exchange.values.trace import BidOutcome, OrderOutcome, legs_of

CENT = 10_000
PING = UUID("0196f3c0-0000-7000-8000-000000000001")
PERCENT_15 = Margin(parts_per_million=150_000)


def exclusive(cents: int) -> Bid:
    return Bid(cents * CENT, "x")


def shared(cents: int, shares_max: int | None = None) -> Bid:
    return Bid(cents * CENT, "s", Sale.SHARED, shares_max)


def entrant(order: str, *bids: Bid, max_bid: int | None = None, available: int | None = None) -> Entrant:
    """An order of its own buyer, which made these bids, or none."""
    reply = bids[0]._replace(others=bids[1:]) if bids else Refusal(Reason.NO_BID)
    limits = (None if max_bid is None else max_bid * CENT, None if available is None else available * CENT)
    return Entrant(order, f"buyer-{order}", 1, *limits, PERCENT_15, Asked(order, reply, 5.0))


def terms(sale: Sale = Sale.BEST, max_shares: int = 3, **more: Any) -> Terms:
    return Terms(500 * CENT, sale=sale, max_shares=max_shares)._replace(**more)


def legs(decision: Decision) -> list[str]:
    return [rung.order for rung in decision.ladder[: len(legs_of(decision.ladder))]]


def reserve(decision: Decision) -> list[str]:
    return [rung.order for rung in decision.ladder[len(legs_of(decision.ladder)) :]]


def reasons(decision: Decision) -> dict[str, Reason]:
    return {outcome.order: outcome.reason for outcome in decision.outcomes}


# --- which way ----------------------------------------------------------------------------------------------------


def test_the_higher_gross_sum_wins() -> None:
    found = [entrant("one", exclusive(2500)), entrant("ann", shared(1000)), entrant("bob", shared(900))]
    alone = decide(found, terms(), PING)
    assert (alone.ladder[0].order, alone.payout_micros) == ("one", 2125 * CENT)
    assert reasons(alone) == {"one": Reason.WON, "ann": Reason.OUTBID, "bob": Reason.OUTBID}
    together = decide([*found, entrant("cid", shared(700))], terms(), PING)
    assert legs(together) == ["ann", "bob", "cid"]
    assert legs_of(together.ladder) == (850 * CENT, 765 * CENT, 595 * CENT)
    assert together.payout_micros == sum(legs_of(together.ladder))
    assert (alone.sums, together.sums) == ((2500 * CENT, 1900 * CENT, 3), (2500 * CENT, 2600 * CENT, 3))
    assert reasons(together) == dict.fromkeys(("ann", "bob", "cid"), Reason.WON) | {"one": Reason.OUTBID}


def test_a_tie_is_exclusive() -> None:
    found = [entrant("ann", shared(1000)), entrant("bob", shared(1000)), entrant("one", exclusive(2000))]
    assert decide(found, terms(), PING).ladder[0].order == "one"
    assert sorted(legs(decide(found, terms(Sale.SHARED), PING))) == ["ann", "bob"]


def test_what_is_compared_is_gross_and_not_what_the_seller_gets() -> None:
    cheap = entrant("one", exclusive(2000))._replace(margin=Margin())
    found = [cheap, entrant("ann", shared(1100)), entrant("bob", shared(1000))]
    decision = decide(found, terms(), PING)
    assert legs(decision) == ["ann", "bob"]
    assert decision.payout_micros == 1785 * CENT  # the exclusive bid would have paid 20.00


def test_an_order_may_bid_both_ways_and_win_with_one() -> None:
    found = [entrant("both", exclusive(1500), shared(1200, 2)), entrant("ann", shared(1000, 2))]
    decision = decide(found, terms(), PING)
    assert legs(decision) == ["both", "ann"]
    assert decision.outcomes[0] == OrderOutcome(
        "both", "buyer-both", Reason.WON, 1200 * CENT, "s", 5.0, "",
        (
            BidOutcome(Sale.SHARED, 1200 * CENT, "s", 2, Reason.WON),
            BidOutcome(Sale.EXCLUSIVE, 1500 * CENT, "x", None, Reason.OUTBID),
        ),
    )  # fmt: skip


def test_the_same_orders_worse_bid_of_a_kind_is_superseded() -> None:
    decision = decide([entrant("both", exclusive(2000), shared(1200), shared(900), exclusive(1800))], terms(), PING)
    bids = [(bid.sale, bid.gross_micros // CENT, bid.reason) for bid in decision.outcomes[0].bids]
    assert bids == [
        (Sale.EXCLUSIVE, 2000, Reason.WON),
        (Sale.SHARED, 1200, Reason.OUTBID),
        (Sale.SHARED, 900, Reason.SUPERSEDED),
        (Sale.EXCLUSIVE, 1800, Reason.SUPERSEDED),
    ]
    alone = decide([entrant("twice", exclusive(2000), exclusive(1800))], Terms(0), PING)
    assert [bid.reason for bid in alone.outcomes[0].bids] == [Reason.WON, Reason.SUPERSEDED]


def test_where_only_shares_are_sold_one_buyer_is_a_share_of_one() -> None:
    decision = decide([entrant("ann", shared(1000))], terms(Sale.SHARED), PING)
    assert (legs(decision), decision.payout_micros) == (["ann"], 850 * CENT)


# --- who makes the set --------------------------------------------------------------------------------------------


def test_the_floor_and_every_limit_hold_for_each_bid() -> None:
    found = [
        entrant("low", shared(499)),
        entrant("at-floor", shared(500)),
        entrant("dear", shared(900), max_bid=899),
        entrant("poor", shared(900), available=899),
        entrant("fine", shared(800)),
    ]
    decision = decide(found, terms(), PING)
    assert legs(decision) == ["fine", "at-floor"]
    assert reasons(decision) == {
        "low": Reason.BELOW_FLOOR,
        "at-floor": Reason.WON,
        "dear": Reason.ABOVE_MAX_BID,
        "poor": Reason.INSUFFICIENT_BALANCE,
        "fine": Reason.WON,
    }


def test_the_campaigns_max_shares_holds_where_a_bid_says_nothing_or_more() -> None:
    found = [entrant(name, shared(900 - number, [None, 9][number % 2])) for number, name in enumerate("abcd")]
    assert legs(decide(found, terms(max_shares=2), PING)) == ["a", "b"]
    assert legs(decide(found, terms(max_shares=4), PING)) == ["a", "b", "c", "d"]


def test_buyers_who_exclude_one_another_do_not_share() -> None:
    found = [entrant("ann", shared(1000)), entrant("bob", shared(900)), entrant("cid", shared(800))]
    apart = {"buyer-ann": frozenset({"buyer-bob"}), "buyer-bob": frozenset({"buyer-ann"})}
    decision = decide(found, terms(apart=apart), PING)
    assert legs(decision) == ["ann", "cid"]
    assert reasons(decision)["bob"] is Reason.OUTBID


@pytest.mark.parametrize(("least", "is_sold"), [(1614, True), (1615, False)])
def test_the_least_price_is_compared_with_the_sum_of_the_payouts(least: int, is_sold: bool) -> None:
    found = [entrant("ann", shared(1000)), entrant("bob", shared(900)), entrant("one", exclusive(1000))]
    decision = decide(found, terms(min_price_micros=(least + 1) * CENT), PING)
    assert (decision.reason is None) == is_sold
    said = Reason.WON if is_sold else Reason.BELOW_MIN_PRICE
    assert reasons(decision) == {"ann": said, "bob": said, "one": Reason.OUTBID}


def flat(item: Entrant, cents: int) -> Entrant:
    return item._replace(margin=Margin(amount_micros=cents * CENT))


def test_a_way_that_pays_the_least_price_comes_before_one_that_does_not() -> None:
    found = [flat(entrant("one", exclusive(1300)), 200)]
    found += [flat(entrant(name, shared(500)), 200) for name in ("ann", "bob", "cid")]
    together = decide(found, terms(min_price_micros=900 * CENT), PING)
    assert (sorted(legs(together)), together.payout_micros) == (["ann", "bob", "cid"], 900 * CENT)
    alone = decide(found, terms(min_price_micros=1100 * CENT), PING)
    assert (alone.ladder[0].order, alone.payout_micros) == ("one", 1100 * CENT)
    assert alone.sums == (1300 * CENT, 1500 * CENT, 3)
    assert reasons(alone) == dict.fromkeys(("ann", "bob", "cid"), Reason.OUTBID) | {"one": Reason.WON}
    assert decide(found, terms(min_price_micros=1101 * CENT), PING).reason is Reason.BELOW_MIN_PRICE


def test_shares_that_pay_the_least_price_come_before_a_higher_bid_that_does_not() -> None:
    dear = entrant("one", exclusive(2500))._replace(margin=Margin(parts_per_million=500_000))
    decision = decide([dear, entrant("ann", shared(1600))], terms(min_price_micros=1300 * CENT), PING)
    assert (legs(decision), decision.payout_micros, decision.sums) == (
        ["ann"],
        1360 * CENT,
        (2500 * CENT, 1600 * CENT, 3),
    )


def test_where_the_highest_shares_pay_too_little_those_that_pay_most_are_taken() -> None:
    half = Margin(parts_per_million=500_000)
    found = [
        entrant("ann", shared(1000))._replace(margin=half),
        entrant("bob", shared(900)),
        entrant("cid", shared(800)),
    ]
    held = terms(Sale.SHARED, 2)
    assert legs(decide(found, held, PING)) == ["ann", "bob"]
    decision = decide(found, held._replace(min_price_micros=1400 * CENT), PING)
    assert (legs(decision), decision.payout_micros) == (["bob", "cid"], 1445 * CENT)
    assert reserve(decision) == ["ann"]
    assert decision.sums == (None, 1700 * CENT, 2)
    assert reasons(decision) == {"ann": Reason.OUTBID, "bob": Reason.WON, "cid": Reason.WON}
    nobody = decide(found, held._replace(min_price_micros=1446 * CENT), PING)
    assert reasons(nobody) == {
        "ann": Reason.BELOW_MIN_PRICE, "bob": Reason.BELOW_MIN_PRICE, "cid": Reason.OUTBID,
    }  # fmt: skip


# --- the ladder ---------------------------------------------------------------------------------------------------


def test_the_reserve_is_who_covers_a_leg_and_shares_with_so_many() -> None:
    found = [
        entrant("ann", shared(1000)),
        entrant("bob", shared(900)),
        entrant("cid", shared(880, 1)),
        entrant("dan", shared(765)),
        entrant("eve", shared(764)),
        entrant("one", exclusive(1000)),
    ]
    decision = decide(found, terms(max_shares=2), PING)
    assert (legs(decision), reserve(decision)) == (["ann", "bob"], ["dan"])
    assert [rung.payout_micros for rung in decision.ladder] == [850 * CENT, 765 * CENT, None]
    none = decide(found, terms(max_shares=2, fallback=Fallback.NONE), PING)
    assert (legs(none), reserve(none)) == (["ann", "bob"], [])


def test_an_exclusive_offer_has_no_shared_rung() -> None:
    found = [entrant("one", exclusive(3000)), entrant("two", exclusive(2900)), entrant("ann", shared(2900))]
    assert [rung.order for rung in decide(found, terms(), PING).ladder] == ["one", "two"]


def test_nobody_was_asked_and_nobody_bid_are_told_apart() -> None:
    assert decide([], terms(), PING).reason is Reason.NO_ELIGIBLE_ORDERS
    assert decide([entrant("ann")], terms(), PING).reason is Reason.NO_BIDS
    assert decide([entrant("ann")], terms(), PING).sums == (None, None, 3)


# --- what holds for every auction ---------------------------------------------------------------------------------

prices = st.integers(0, 12).map(lambda units: units * 100)
replies = st.lists(st.builds(exclusive, prices) | st.builds(shared, prices, st.none() | st.integers(1, 4)), max_size=3)


@st.composite
def auctions(draw: st.DrawFn) -> list[Entrant]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        item = entrant(f"order-{number}", *draw(replies))
        margin = draw(st.sampled_from([Margin(), PERCENT_15, Margin(amount_micros=200 * CENT)]))
        found.append(item._replace(buyer=f"buyer-{number % 4}", margin=margin, priority=draw(st.integers(0, 1))))
    return found


ways = st.builds(
    terms,
    st.sampled_from([Sale.SHARED, Sale.BEST]),
    st.integers(1, 4),
    min_price_micros=st.none() | prices.map(lambda cents: cents * CENT),
)


def best_payout(found: list[Entrant], held: Terms) -> int:
    """The most that any sale would pay the seller: every set of bids is tried."""
    paid: dict[Sale, list[tuple[Entrant, Bid, int]]] = {Sale.EXCLUSIVE: [], Sale.SHARED: []}
    for item in found:
        reply = item.asked.reply
        for bid in (reply, *reply.others) if isinstance(reply, Bid) else ():
            payout_micros = payout_of(bid.gross_micros, item.margin)
            if bid.gross_micros >= held.floor_micros and payout_micros:
                paid[bid.sale].append((item, bid, payout_micros))
    sums = [micros for _, _, micros in paid[Sale.EXCLUSIVE]] if held.sale is Sale.BEST else []
    for size in range(1, held.max_shares + 1):
        for chosen in combinations(paid[Sale.SHARED], size):
            buyers, most = {item.buyer for item, _, _ in chosen}, [bid.shares_max or size for _, bid, _ in chosen]
            if len(buyers) == size <= min(most):
                sums.append(sum(micros for _, _, micros in chosen))
    return max(sums, default=0)


@given(auctions(), ways, st.builds(uuid7), st.randoms(use_true_random=False))
def test_every_auction(found: list[Entrant], held: Terms, ping_id: UUID, shuffle: random.Random) -> None:
    decision = decide(found, held, ping_id)
    by_order = {item.order: item for item in found}
    promised = legs_of(decision.ladder)
    won = decision.ladder[: len(promised) or 1]
    assert sorted(reasons(decision)) == sorted(by_order)
    assert {order for order, reason in reasons(decision).items() if reason is Reason.WON} == {
        rung.order for rung in won
    }
    assert len({rung.order for rung in decision.ladder}) == len(decision.ladder)
    assert len({rung.buyer for rung in won}) == len(won)
    if decision.payout_micros is not None:
        payouts = [payout_of(rung.gross_micros, by_order[rung.order].margin) for rung in won]
        assert (sum(payouts), payouts) == (decision.payout_micros, list(promised) or payouts)
        assert len(promised) <= held.max_shares
        assert all(rung.gross_micros >= min(payouts) for rung in decision.ladder)
        assert decision.payout_micros >= (held.min_price_micros or 1)
        assert decision.sums is not None
        sums = [micros for micros in decision.sums[:2] if micros is not None]
        gross_micros = sum(rung.gross_micros for rung in won)
        assert gross_micros in sums
        assert gross_micros == max(sums) or held.min_price_micros is not None
    if decision.reason is Reason.BELOW_MIN_PRICE:
        assert best_payout(found, held) < (held.min_price_micros or 0)
    shuffled = list(found)
    shuffle.shuffle(shuffled)
    other = decide(shuffled, held, ping_id)
    assert (other.ladder, other.sums, reasons(other)) == (decision.ladder, decision.sums, reasons(decision))
