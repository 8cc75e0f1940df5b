"""Price terms of the auction: floors on payouts, boosts and penalties, second prices; all of it pure and exact."""

import random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.auctions import CENT, PERCENT_15, amounts, entrant, entrants, gross_of, ping_ids, reasons

from exchange.auction import Entrant, Terms, decide
from exchange.rules.pricing import gross_for, payout_of
from exchange.rules.ranking import Candidate, Ranking, worth
from exchange.values.ids import uuid7
from exchange.values.market import Fallback, Margin
from exchange.values.money import ceil_to_cent
from exchange.values.reason import Reason
from exchange.values.selling import Adjustment, Method

PING = UUID("0196f3c0-0000-7000-8000-000000000001")

adjustments = st.dictionaries(
    st.sampled_from([f"order-{number}" for number in range(7)]),
    st.one_of(
        st.integers(-900_000, 900_000).map(lambda parts: Adjustment(parts_per_million=parts)),
        st.integers(-500, 500).map(lambda cents: Adjustment(amount_micros=cents * CENT)),
    ),
)
rankings = st.none() | st.builds(Ranking, adjustments, st.just(Method.HIGHEST_BID))
terms = st.builds(
    Terms,
    floor_micros=amounts,
    fallback=st.sampled_from(Fallback),
    min_price_micros=st.none() | amounts,
    payout_floor_micros=st.just(0) | amounts,
    ranking=rankings,
    second_price=st.booleans(),
)


# --- what holds for every auction ---------------------------------------------------------------------------------


@given(entrants(), terms, ping_ids)
def test_everybody_on_the_ladder_pays_at_most_his_bid_and_covers_the_promise(
    found: list[Entrant], terms: Terms, ping_id: UUID
) -> None:
    decision = decide(found, terms, ping_id)
    by_order = {item.order: item for item in found}
    for place, rung in enumerate(decision.ladder):
        item, promised = by_order[rung.order], decision.payout_micros
        assert promised is not None
        assert promised <= rung.gross_micros <= gross_of(item)
        assert rung.gross_micros % CENT == promised % CENT == 0
        assert rung.gross_micros >= (terms.floor_micros if place == 0 else 0)
        assert item.asked.elapsed_ms is not None or rung.gross_micros == gross_of(item)
        if place == 0:
            assert promised == payout_of(rung.gross_micros, item.margin)
            assert promised >= max(1, terms.payout_floor_micros, terms.min_price_micros or 0)


@given(entrants(), terms, ping_ids, st.randoms(use_true_random=False))
def test_who_answered_first_changes_nothing(
    found: list[Entrant], terms: Terms, ping_id: UUID, shuffle: random.Random
) -> None:
    decision, shuffled = decide(found, terms, ping_id), list(found)
    shuffle.shuffle(shuffled)
    other = decide(shuffled, terms, ping_id)
    assert (other.reason, other.payout_micros, other.ladder) == (
        decision.reason,
        decision.payout_micros,
        decision.ladder,
    )
    assert reasons(other) == reasons(decision)


@given(entrants(), terms, ping_ids)
def test_what_the_winner_pays_changes_nobody_s_rank(found: list[Entrant], terms: Terms, ping_id: UUID) -> None:
    first, second = (decide(found, terms._replace(second_price=flag), ping_id) for flag in (False, True))
    assert reasons(first) == reasons(second)
    if first.ladder:
        assert second.payout_micros is not None
        assert first.payout_micros is not None
        assert second.payout_micros <= first.payout_micros
        names = [rung.order for rung in second.ladder]
        assert names[: len(first.ladder)] == [rung.order for rung in first.ladder]  # a lower promise, a longer ladder


@given(entrants(), terms, ping_ids)
def test_a_lead_is_sold_whenever_some_valid_bid_pays_the_seller_s_least_price(
    found: list[Entrant], terms: Terms, ping_id: UUID
) -> None:
    decision = decide(found, terms._replace(ranking=terms.ranking or Ranking()), ping_id)
    valid = [item for item in found if reasons(decision)[item.order] in {Reason.WON, Reason.OUTBID}]
    if any(payout_of(gross_of(item), item.margin) >= (terms.min_price_micros or 0) for item in valid):
        assert decision.reason is None


@given(entrants(), terms, ping_ids)
def test_ranking_by_price_alone_is_ranking_without_terms(found: list[Entrant], terms: Terms, ping_id: UUID) -> None:
    plain = terms._replace(ranking=None, min_price_micros=None)
    assert decide(found, plain, ping_id) == decide(found, plain._replace(ranking=Ranking()), ping_id)


@given(entrants(), terms, ping_ids)
def test_the_winner_is_worth_the_most_of_those_that_pay_enough(
    found: list[Entrant], terms: Terms, ping_id: UUID
) -> None:
    ranking = terms.ranking or Ranking()
    decision = decide(found, terms._replace(ranking=ranking), ping_id)
    if not decision.ladder:
        return

    def rank(item: Entrant) -> tuple[int, int]:
        candidate = Candidate(item.order, gross_of(item), item.priority)
        return -worth(candidate, ranking.adjustments.get(item.order)), item.priority

    enough = [
        item
        for item in found
        if reasons(decision)[item.order] in {Reason.WON, Reason.OUTBID}
        and payout_of(gross_of(item), item.margin) >= (terms.min_price_micros or 0)
    ]
    winner = next(item for item in found if item.order == decision.ladder[0].order)
    assert rank(winner) == min(map(rank, enough))


@given(entrants(), terms, ping_ids, st.data())
def test_without_a_loser_the_winner_is_the_same(
    found: list[Entrant], terms: Terms, ping_id: UUID, data: st.DataObject
) -> None:
    decision = decide(found, terms, ping_id)
    losers = [item for item in found if reasons(decision)[item.order] is not Reason.WON]
    if decision.ladder and losers:
        gone = data.draw(st.sampled_from(losers))
        other = decide([item for item in found if item is not gone], terms, ping_id)
        assert other.ladder[0].order == decision.ladder[0].order
        assert (other.payout_micros or 0) <= (decision.payout_micros or 0)


@given(
    st.integers(0, 10**14),
    st.integers(0, 999_999).map(lambda parts: Margin(parts_per_million=parts)) | amounts.map(lambda a: Margin(0, a)),
)
def test_the_least_price_for_a_payout_is_enough_and_a_cent_less_is_not(payout_micros: int, margin: Margin) -> None:
    gross = gross_for(payout_micros, margin)
    assert gross is not None
    assert gross % CENT == 0
    assert payout_of(gross, margin) >= payout_micros
    if payout_micros:
        assert gross == 0 or payout_of(gross - CENT, margin) < ceil_to_cent(payout_micros)


def test_no_price_is_enough_where_the_margin_is_all_of_it() -> None:
    assert gross_for(1, Margin(parts_per_million=1_000_000)) is None


# --- cases --------------------------------------------------------------------------------------------------------


def second_price(floor: int = 500, **more: Any) -> Terms:
    return Terms(floor * CENT, second_price=True, **more)


@pytest.mark.parametrize(
    ("bids", "floor", "paid"),
    [
        ([2100, 1800], 500, [1800, 1800]),  # the second pays what keeps the promise, up to his own bid
        ([2100, 1800, 900], 500, [1800, 1800]),
        ([2100], 500, [500]),
        ([2100, 499], 500, [500]),
        ([2100, 2100], 500, [2100, 2100]),
        ([2100, 600, 550], 500, [600, 600, 550]),
    ],
)
def test_the_winner_pays_the_second_price_or_the_floor(bids: list[int], floor: int, paid: list[int]) -> None:
    found = [entrant(f"order-{number}", cents) for number, cents in enumerate(bids)]
    decision = decide(found, second_price(floor), PING)
    assert [rung.gross_micros // CENT for rung in decision.ladder] == paid
    assert decision.payout_micros == payout_of(paid[0] * CENT, PERCENT_15)
    assert [outcome.gross_micros for outcome in decision.outcomes] == [cents * CENT for cents in bids]


def test_the_second_price_rises_to_what_the_seller_must_get() -> None:
    found = [entrant("high", 2100), entrant("low", 800)]
    decision = decide(found, second_price(min_price_micros=1000 * CENT), PING)
    assert (decision.ladder[0].gross_micros, decision.payout_micros) == (1177 * CENT, 1000 * CENT)
    decision = decide(found, second_price(payout_floor_micros=650 * CENT), PING)
    assert (decision.ladder[0].gross_micros, decision.payout_micros) == (800 * CENT, 680 * CENT)
    assert decide(found, second_price(min_price_micros=1786 * CENT), PING).reason is Reason.BELOW_MIN_PRICE


def test_a_fixed_price_is_paid_as_it_is_and_still_counts_for_others() -> None:
    fixed, bid = entrant("fixed", 1200, fixed=True), entrant("bid", 1500)
    assert [rung.gross_micros // CENT for rung in decide([fixed, bid], second_price(), PING).ladder] == [1200, 1200]
    assert [rung.gross_micros // CENT for rung in decide([fixed], second_price(), PING).ladder] == [1200]


def test_a_payout_below_the_least_is_below_the_floor() -> None:
    found = [entrant("just", 1177), entrant("short", 1176), entrant("cheap", 1000, margin=Margin())]
    decision = decide(found, Terms(0, payout_floor_micros=1000 * CENT), PING)
    assert reasons(decision) == {"just": Reason.WON, "short": Reason.BELOW_FLOOR, "cheap": Reason.OUTBID}


def test_boost_and_penalty_change_the_ranking_and_not_the_bill() -> None:
    found = [entrant("high", 2000), entrant("boosted", 1950), entrant("held", 2100)]
    ranking = Ranking({"boosted": Adjustment(50_000), "held": Adjustment(amount_micros=-200 * CENT)})
    decision = decide(found, Terms(0, ranking=ranking), PING)
    assert [(rung.order, rung.gross_micros // CENT) for rung in decision.ladder] == [
        ("boosted", 1950),
        ("high", 2000),
        ("held", 2100),
    ]
    assert decision.payout_micros == payout_of(1950 * CENT, PERCENT_15)


def test_a_boost_is_exact_and_equals_are_told_apart_by_priority() -> None:
    ranking = Ranking({"boosted": Adjustment(1)})
    found = [entrant("plain", 2000, priority=1), entrant("boosted", 2000, priority=2)]
    assert decide(found, Terms(0, ranking=ranking), uuid7()).ladder[0].order == "boosted"
    assert decide(found, Terms(0, ranking=Ranking({})), uuid7()).ladder[0].order == "plain"
