"""Turns: each order gets its weight's part of the leads that it could have had, over all gateways."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.rules.ranking import Candidate, Ranking, inputs_of, measured_for, order_of
from exchange.rules.turns import LEAD, Turns, parts
from exchange.values.ids import uuid7
from exchange.values.selling import Method

PING = UUID("0196f3c0-0000-7000-8000-000000000001")


def give(turns: Turns, orders: Sequence[str], weights: Mapping[str, int], ping_id: UUID = PING) -> str:
    """Offers a lead that these orders could have to the one whose turn it is."""
    ranking = Ranking({}, Method.WEIGHTED, weights, turns.credits)
    candidates = [Candidate(order, 1_000_000, 1) for order in orders]
    winner = orders[order_of(candidates, ranking, ping_id)[0]]
    turns.offered(orders, weights, winner)
    return winner


@pytest.mark.parametrize("gateways", [1, 4, 16])
def test_ten_thousand_leads_are_shared_to_within_a_percent_over_all_gateways(gateways: int) -> None:
    weights = {"ann": 60, "bob": 20, "cid": 20}
    rng = random.Random(5)  # noqa: S311  # a fixed series, not a secret
    workers = [Turns() for _ in range(gateways)]
    wins = Counter(give(rng.choice(workers), list(weights), weights, uuid7()) for _ in range(10_000))
    assert all(abs(wins[order] - weight * 100) <= gateways for order, weight in weights.items())


def test_equal_weights_go_round() -> None:
    turns = Turns()
    wins = [give(turns, ["ann", "bob", "cid"], {}) for _ in range(9)]
    assert all(sorted(wins[start : start + 3]) == ["ann", "bob", "cid"] for start in (0, 3, 6))


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 100), min_size=2),
    st.integers(0, 2**32),
    st.integers(50, 400),
)
def test_whoever_takes_part_each_has_his_part_of_what_he_could_have_had(
    weights: dict[str, int], seed: int, leads: int
) -> None:
    rng, turns = random.Random(seed), Turns()  # noqa: S311  # a fixed series, not a secret
    due: dict[str, Fraction] = {order: Fraction() for order in weights}
    wins: Counter[str] = Counter()
    for _ in range(leads):
        orders = rng.sample(sorted(weights), rng.randint(1, len(weights)))
        total = sum(weights[order] for order in orders)
        for order in orders:
            due[order] += Fraction(weights[order], total)
        wins[give(turns, orders, weights)] += 1
    assert sum(wins.values()) == leads
    assert all(abs(wins[order] - share) < len(weights) for order, share in due.items())


def test_who_was_away_does_not_catch_up() -> None:
    turns = Turns()
    for _ in range(1_000):
        give(turns, ["ann"], {})
    wins = Counter(give(turns, ["ann", "bob"], {}, uuid7()) for _ in range(10))
    assert wins == {"ann": 5, "bob": 5}


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=20))
def test_parts_are_no_more_than_a_lead(weights: list[int]) -> None:
    orders = [str(number) for number in range(len(weights))]
    found = parts(orders, dict(zip(orders, weights, strict=True)))
    assert LEAD - len(orders) < sum(found) <= LEAD


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(-LEAD, LEAD), min_size=1), st.builds(uuid7))
def test_the_record_of_a_turn_ranks_alike(given_credits: dict[str, int], ping_id: UUID) -> None:
    orders = sorted(given_credits)
    candidates = [Candidate(order, 1_000_000, 1) for order in orders]
    ranking = Ranking({}, Method.WEIGHTED, {"a": 7}, given_credits | {"elsewhere": 5})
    inputs = inputs_of(measured_for(ranking, orders))
    assert inputs is not None
    assert inputs.values == given_credits
    assert order_of(candidates, ranking._replace(measured=inputs.values), ping_id) == order_of(
        candidates, ranking, ping_id
    )


def test_the_credits_that_are_kept_are_bounded() -> None:
    turns = Turns(at_most=2)
    for order in ("ann", "bob", "ann", "cid"):
        turns.offered([order], {}, order)
    assert list(turns.credits) == ["ann", "cid"]
