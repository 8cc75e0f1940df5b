"""What a simulated buyer decides: a pure function of manners, seed and ids, in the stated shares."""

from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.simulation.conduct import Decision, PingMove, PostMove, plan_ping, plan_post
from exchange.simulation.manners import Manners, demo_buyers, farm_buyers

IDS = [str(UUID(int=number)) for number in range(4000)]
PING_SHARES = {
    "ping_error_pct": PingMove.ERROR,
    "ping_garbage_pct": PingMove.GARBAGE,
    "ping_silence_pct": PingMove.SILENCE,
    "absurd_price_pct": PingMove.ABSURD_PRICE,
}
POST_SHARES = {
    "reject_pct": PostMove.REJECT,
    "duplicate_pct": PostMove.DUPLICATE,
    "drop_reply_pct": PostMove.ACCEPT_THEN_DROP,
    "post_error_pct": PostMove.ACCEPT_THEN_ERROR,
    "slow_accept_pct": PostMove.ACCEPT_SLOWLY,
    "late_accept_pct": PostMove.ACCEPT_LATE,
}


def with_share(field: str, share: float) -> Manners:
    changes: dict[str, Any] = {field: share}
    return replace(Manners("b", bid_low_cents=100, bid_high_cents=900), **changes)


@pytest.mark.parametrize(("field", "move"), PING_SHARES.items())
def test_each_share_at_ping_is_kept_and_the_rest_is_bids(field: str, move: PingMove) -> None:
    moves = Counter(plan_ping(with_share(field, 30), 1, ping_id, "o").move for ping_id in IDS)
    assert set(moves) == {move, PingMove.BID}
    assert 0.27 < moves[move] / len(IDS) < 0.33


@pytest.mark.parametrize(("field", "move"), POST_SHARES.items())
def test_each_share_at_post_is_kept_and_the_rest_is_accepted(field: str, move: PostMove) -> None:
    moves = Counter(plan_post(with_share(field, 30), 1, attempt_id).move for attempt_id in IDS)
    assert set(moves) == {move, PostMove.ACCEPT}
    assert 0.27 < moves[move] / len(IDS) < 0.33


def test_appetite_and_the_kinds_of_no_bid() -> None:
    plans = [plan_ping(Manners("b", appetite=0.4, empty_no_bid_pct=25), 1, ping_id, "o") for ping_id in IDS]
    refusals = [plan for plan in plans if plan.move is PingMove.NO_BID]
    assert 0.57 < len(refusals) / len(IDS) < 0.63
    assert 0.2 < sum(plan.empty for plan in refusals) / len(refusals) < 0.3


@given(st.integers(), st.uuids(), st.uuids(), st.sampled_from(demo_buyers()))
def test_a_plan_is_repeatable_and_within_the_stated_ranges(seed: int, ping: UUID, attempt: UUID, who: Manners) -> None:
    plan = plan_ping(who, seed, str(ping), "order")
    assert plan == plan_ping(who, seed, str(ping), "order")
    assert who.think_ms[0] <= plan.think_ms <= who.think_ms[1]
    assert (plan.bid_micros is not None) == (plan.bid_id is not None) == (plan.move is PingMove.BID)
    if plan.bid_micros is not None:
        assert who.bid_low_cents <= plan.bid_micros / 10_000 <= who.bid_high_cents
        assert plan.bid_micros % 10_000 == 0
    post = plan_post(who, seed, str(attempt))
    assert post == plan_post(who, seed, str(attempt))
    assert post.wait_ms >= who.think_ms[0]
    assert (post.decision is Decision.ACCEPTED) == post.move.startswith("accept")


def test_orders_buyers_and_seeds_have_luck_of_their_own() -> None:
    who, other = (
        Manners("a", bid_low_cents=1, bid_high_cents=10**6),
        Manners("b", bid_low_cents=1, bid_high_cents=10**6),
    )
    bids = {
        plan_ping(manners, seed, IDS[0], order).bid_micros
        for manners in (who, other)
        for seed in (1, 2)
        for order in ("x", "y")
    }
    assert len(bids) == 8


def test_the_well_behaved_farm_bids_by_port() -> None:
    farm = farm_buyers(40)
    prices = [plan_ping(manners, 7, IDS[3], "o").bid_micros for manners in farm]
    assert prices == [5_000_000 + 400_000 * index for index in range(40)]
    assert {plan_post(manners, 7, attempt_id).move for manners in farm for attempt_id in IDS[:20]} == {PostMove.ACCEPT}
    assert len({manners.name for manners in farm}) == 40


@pytest.mark.parametrize(
    "wrong",
    [
        {"reject_pct": -1},
        {"closed_pct": 101},
        {"reject_pct": 60, "duplicate_pct": 60},
        {"ping_error_pct": 60, "ping_silence_pct": 60},
        {"appetite": 1.1},
        {"think_ms": (5, 4)},
        {"bid_low_cents": 0},
        {"bid_low_cents": 501},
    ],
)
def test_manners_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="b: "):
        Manners("b", **wrong)
