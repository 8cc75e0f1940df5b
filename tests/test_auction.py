"""The auction, which is pure: who wins, at what price, who comes next, and one reason for every order."""

import random
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.auction import Decision, Entrant, Terms, decide
from exchange.rules.pricing import payout_of
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.ids import uuid7
from exchange.values.market import MAX_SHARES, Fallback, Margin, Sale
from exchange.values.reason import Reason

CENT = 10_000
PING = UUID("0196f3c0-0000-7000-8000-000000000001")
PERCENT_15 = Margin(parts_per_million=150_000)

amounts = st.integers(0, 30).map(lambda units: units * 100 * CENT // 2)  # coarse, so that ties are common
refusals = st.sampled_from(
    [
        (Refusal(Reason.NO_BID), 3.0),
        (Refusal(Reason.TIMEOUT), 400.0),
        (Refusal(Reason.SERVER_ERROR), 9.0),
        (Refusal(Reason.NO_TIME_LEFT), None),
    ]
)
margins = st.one_of(
    st.sampled_from([Margin(), PERCENT_15, Margin(parts_per_million=1_000_000)]),
    amounts.map(lambda amount: Margin(amount_micros=amount)),
)


@st.composite
def entrants(draw: st.DrawFn) -> list[Entrant]:
    """Orders of different keys, each with a reply; some are asked twice the same, some are limited."""
    found = []
    for number in range(draw(st.integers(0, 8))):
        key = f"order-{number}"
        reply, elapsed_ms = draw(st.one_of(refusals, amounts.map(lambda gross: (Bid(gross, "b"), 5.0))))
        found.append(
            Entrant(
                order=key,
                buyer=f"buyer-{number % 3}",
                priority=draw(st.integers(0, 2)),
                max_bid_micros=draw(st.none() | amounts),
                available_micros=draw(st.none() | amounts),
                margin=draw(margins),
                asked=Asked(key, reply, elapsed_ms),
            )
        )
    return found


terms = st.builds(
    Terms,
    floor_micros=amounts,
    fallback=st.sampled_from(Fallback),
    min_price_micros=st.none() | amounts,
    payout_floor_micros=st.just(0) | amounts,
    ranking=st.none(),
    second_price=st.just(False),
    sale=st.just(Sale.EXCLUSIVE),
    max_shares=st.just(MAX_SHARES),
    apart=st.just({}),
)
ping_ids = st.builds(uuid7)


def entrant(
    order: str,
    gross: int | Reason,
    *,
    priority: int = 1,
    max_bid: int | None = None,
    available: int | None = None,
    margin: Margin = PERCENT_15,
) -> Entrant:
    """An order that bid so many cents, or was refused."""
    reply = Refusal(gross) if isinstance(gross, Reason) else Bid(gross * CENT, f"bid-of-{order}")
    limits = (None if max_bid is None else max_bid * CENT, None if available is None else available * CENT)
    return Entrant(order, f"buyer-of-{order}", priority, *limits, margin, Asked(order, reply, 5.0))


def gross_of(item: Entrant) -> int:
    assert isinstance(item.asked.reply, Bid)
    return item.asked.reply.gross_micros


def is_valid(item: Entrant, terms: Terms) -> bool:
    """Whether a reply may win, in the contract's words."""
    if not isinstance(item.asked.reply, Bid):
        return False
    gross = item.asked.reply.gross_micros
    return (
        gross >= terms.floor_micros
        and (item.max_bid_micros is None or gross <= item.max_bid_micros)
        and (item.available_micros is None or gross <= item.available_micros)
        and payout_of(gross, item.margin) >= max(1, terms.payout_floor_micros)
    )


def reasons(decision: Decision) -> dict[str, Reason]:
    return {outcome.order: outcome.reason for outcome in decision.outcomes}


# --- what holds for every auction ---------------------------------------------------------------------------------


@given(entrants(), terms, ping_ids)
def test_the_winner_is_valid_and_no_valid_bid_is_higher(found: list[Entrant], terms: Terms, ping_id: UUID) -> None:
    decision = decide(found, terms, ping_id)
    valid = {item.order: item for item in found if is_valid(item, terms)}
    if not decision.ladder:
        return
    winner = valid[decision.ladder[0].order]

    def rank(item: Entrant) -> tuple[bool, int, int]:
        """Who leaves the seller his least price comes first, then the highest bid, then priority."""
        pays_less = payout_of(gross_of(item), item.margin) < (terms.min_price_micros or 0)
        return pays_less, -gross_of(item), item.priority

    assert all(rank(item) >= rank(winner) for item in valid.values())
    assert decision.payout_micros == payout_of(gross_of(winner), winner.margin)
    assert decision.payout_micros >= (terms.min_price_micros or 1)


@given(entrants(), terms, ping_ids)
def test_a_lead_is_sold_whenever_a_valid_bid_pays_enough(found: list[Entrant], terms: Terms, ping_id: UUID) -> None:
    decision = decide(found, terms, ping_id)
    valid = [item for item in found if is_valid(item, terms)]
    was_asked = any(item.asked.elapsed_ms is not None for item in found)
    if not valid:
        assert decision.reason is (Reason.NO_BIDS if was_asked else Reason.NO_ELIGIBLE_ORDERS)
    elif terms.min_price_micros is None:
        assert decision.reason is None
    assert (decision.reason is None) == bool(decision.ladder) == (decision.payout_micros is not None)


@given(entrants(), terms, ping_ids)
def test_every_order_has_exactly_one_reason(found: list[Entrant], terms: Terms, ping_id: UUID) -> None:
    decision = decide(found, terms, ping_id)
    assert [outcome.order for outcome in decision.outcomes] == [item.order for item in found]
    assert Reason.BID not in reasons(decision).values()
    assert Counter(reasons(decision).values())[Reason.WON] == (1 if decision.ladder else 0)
    for item in found:
        reason = reasons(decision)[item.order]
        if isinstance(item.asked.reply, Refusal):
            assert reason is item.asked.reply.reason
        else:
            is_ranked = reason in {Reason.WON, Reason.OUTBID, Reason.BELOW_MIN_PRICE}
            assert is_ranked == is_valid(item, terms)


@given(entrants(), terms, ping_ids, st.randoms(use_true_random=False))
def test_who_answered_first_changes_nothing(
    found: list[Entrant], terms: Terms, ping_id: UUID, shuffle: random.Random
) -> None:
    decision = decide(found, terms, ping_id)
    shuffled = list(found)
    shuffle.shuffle(shuffled)
    other = decide(shuffled, terms, ping_id)
    assert (other.reason, other.payout_micros, other.ladder) == (
        decision.reason,
        decision.payout_micros,
        decision.ladder,
    )
    assert reasons(other) == reasons(decision)


@given(entrants(), terms, ping_ids, st.data())
def test_without_a_loser_the_winner_and_the_price_are_the_same(
    found: list[Entrant], terms: Terms, ping_id: UUID, data: st.DataObject
) -> None:
    decision = decide(found, terms, ping_id)
    losers = [item for item in found if reasons(decision)[item.order] is not Reason.WON]
    if not decision.ladder or not losers:
        return
    gone = data.draw(st.sampled_from(losers))
    other = decide([item for item in found if item is not gone], terms, ping_id)
    assert other.payout_micros == decision.payout_micros
    assert other.ladder == tuple(rung for rung in decision.ladder if rung.order != gone.order)


@given(entrants(), terms, ping_ids)
def test_the_ladder_covers_the_promise_best_first(found: list[Entrant], terms: Terms, ping_id: UUID) -> None:
    decision = decide(found, terms, ping_id)
    by_order = {item.order: item for item in found}
    ladder = [by_order[rung.order] for rung in decision.ladder]
    assert [rung.gross_micros for rung in decision.ladder] == [gross_of(item) for item in ladder]
    least_micros = terms.min_price_micros or 0  # whoever pays it comes before all who do not
    ranks = [(payout_of(gross_of(item), item.margin) < least_micros, -gross_of(item), item.priority) for item in ladder]
    assert ranks == sorted(ranks)
    assert len({rung.order for rung in decision.ladder}) == len(ladder)
    if decision.payout_micros is None:
        return
    enough = {item.order for item in found if is_valid(item, terms) and gross_of(item) >= decision.payout_micros}
    expected = {decision.ladder[0].order} if terms.fallback is Fallback.NONE else enough
    assert {item.order for item in ladder} == expected


@given(entrants(), terms, ping_ids)
def test_price_is_payout_and_margin_on_every_rung(found: list[Entrant], terms: Terms, ping_id: UUID) -> None:
    decision = decide(found, terms, ping_id)
    if decision.payout_micros is not None:
        assert all(rung.gross_micros - decision.payout_micros >= 0 for rung in decision.ladder)
        assert decision.payout_micros % CENT == 0


@given(entrants(), terms, ping_ids)
def test_the_same_arguments_decide_the_same(found: list[Entrant], terms: Terms, ping_id: UUID) -> None:
    assert decide(found, terms, ping_id) == decide(list(found), Terms(*terms), UUID(int=ping_id.int))


# --- cases --------------------------------------------------------------------------------------------------------


def test_the_highest_bid_wins_and_the_seller_gets_it_less_the_margin() -> None:
    decision = decide([entrant("low", 1800), entrant("high", 2100)], Terms(500 * CENT), PING)
    assert decision.payout_micros == 1785 * CENT
    assert [(rung.order, rung.buyer, rung.bid_id) for rung in decision.ladder] == [
        ("high", "buyer-of-high", "bid-of-high"),
        ("low", "buyer-of-low", "bid-of-low"),
    ]
    assert reasons(decision) == {"low": Reason.OUTBID, "high": Reason.WON}


def test_the_ladder_ends_where_a_bid_no_longer_covers_the_payout() -> None:
    found = [entrant("high", 2100), entrant("even", 1785), entrant("short", 1784)]
    decision = decide(found, Terms(0), PING)
    assert [rung.order for rung in decision.ladder] == ["high", "even"]


def test_without_a_fallback_the_ladder_is_the_winner_alone() -> None:
    decision = decide([entrant("high", 2100), entrant("even", 2100, priority=2)], Terms(0, Fallback.NONE), PING)
    assert [rung.order for rung in decision.ladder] == ["high"]


def test_the_floor_and_the_buyers_own_limit_are_inclusive() -> None:
    found = [
        entrant("at-floor", 500),
        entrant("below-floor", 499),
        entrant("at-limit", 600, max_bid=600),
        entrant("above-limit", 700, max_bid=699),
    ]
    assert reasons(decide(found, Terms(500 * CENT), PING)) == {
        "at-floor": Reason.OUTBID,
        "below-floor": Reason.BELOW_FLOOR,
        "at-limit": Reason.WON,
        "above-limit": Reason.ABOVE_MAX_BID,
    }


def test_a_bid_that_the_balance_does_not_cover_cannot_win() -> None:
    found = [entrant("poor", 2100, available=2099), entrant("just", 2000, available=2000)]
    decision = decide(found, Terms(0), PING)
    assert reasons(decision) == {"poor": Reason.INSUFFICIENT_BALANCE, "just": Reason.WON}
    assert [rung.order for rung in decision.ladder] == ["just"]


@pytest.mark.parametrize(("least", "is_sold"), [(1785, True), (1786, False)])
def test_the_sellers_least_price_is_compared_with_the_payout_and_shrinks_no_margin(least: int, is_sold: bool) -> None:
    found = [entrant("high", 2100), entrant("low", 2000)]
    decision = decide(found, Terms(0, min_price_micros=least * CENT), PING)
    assert (decision.reason is None) == is_sold
    assert reasons(decision) == {"high": Reason.WON if is_sold else Reason.BELOW_MIN_PRICE, "low": Reason.OUTBID}


def test_nobody_was_asked_and_nobody_bid_are_told_apart() -> None:
    unasked = entrant("a", Reason.NO_TIME_LEFT)._replace(asked=Asked("a", Refusal(Reason.NO_TIME_LEFT)))
    assert decide([], Terms(0), PING).reason is Reason.NO_ELIGIBLE_ORDERS
    assert decide([unasked], Terms(0), PING).reason is Reason.NO_ELIGIBLE_ORDERS
    assert decide([unasked, entrant("b", Reason.TIMEOUT)], Terms(0), PING).reason is Reason.NO_BIDS


def test_a_lower_priority_number_wins_a_tie_whatever_the_ping() -> None:
    found = [entrant("second", 2000, priority=2), entrant("first", 2000, priority=1)]
    assert {decide(found, Terms(0), uuid7()).ladder[0].order for _ in range(200)} == {"first"}


def test_equals_win_about_equally_often_over_many_pings() -> None:
    found = [entrant(name, 2000) for name in ("ann", "bob", "cid", "dan")]
    made = random.Random(7)  # noqa: S311  # a fixed series, not a secret
    ids = [UUID(int=made.getrandbits(128), version=4) for _ in range(4_000)]
    wins = Counter(decide(found, Terms(0), ping_id).ladder[0].order for ping_id in ids)
    assert set(wins) == {"ann", "bob", "cid", "dan"}
    assert all(880 <= count <= 1_120 for count in wins.values())  # four standard deviations


def test_a_third_equal_does_not_change_who_of_the_others_is_ahead() -> None:
    pair = [entrant("ann", 2000), entrant("bob", 2000)]
    for _ in range(50):
        ping_id = uuid7()
        two = [rung.order for rung in decide(pair, Terms(0), ping_id).ladder]
        three = [rung.order for rung in decide([*pair, entrant("cid", 2000)], Terms(0), ping_id).ladder]
        assert [order for order in three if order != "cid"] == two
