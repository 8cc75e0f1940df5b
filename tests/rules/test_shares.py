"""The best set of shared bids is exactly the best: compared with trying them all."""

import random
import time
from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.rules import shares
from exchange.rules.shares import Apart, Share, best_shares

BUYERS = [f"buyer-{number}" for number in range(6)]

bids = st.lists(
    st.builds(Share, st.sampled_from(BUYERS), st.integers(1, 9).map(lambda units: units * 500_000), st.integers(1, 5)),
    max_size=9,
).map(lambda found: sorted(found, key=lambda bid: -bid.gross_micros))  # as they are given: highest first
pairs = st.lists(st.tuples(st.sampled_from(BUYERS), st.sampled_from(BUYERS)).filter(lambda pair: pair[0] != pair[1]))

MANY_BUYERS = [f"buyer-{number}" for number in range(12)]
many_bids = st.lists(
    st.builds(
        Share, st.sampled_from(MANY_BUYERS), st.integers(1, 40).map(lambda units: units * 10_000), st.integers(1, 4)
    ),
    min_size=8,
    max_size=14,
).map(lambda found: sorted(found, key=lambda bid: -bid.gross_micros))
many_pairs = st.lists(
    st.tuples(st.sampled_from(MANY_BUYERS), st.sampled_from(MANY_BUYERS)).filter(lambda pair: pair[0] != pair[1]),
    max_size=20,
)


def both_sides(found: list[tuple[str, str]]) -> Apart:
    return {
        buyer: frozenset({b for a, b in found if a == buyer} | {a for a, b in found if b == buyer})
        for buyer in {buyer for pair in found for buyer in pair}
    }


def is_allowed(found: list[Share], shares_max: int, apart: Apart) -> bool:
    """Whether these bids may have one lead together, in the contract's words."""
    buyers = [bid.buyer for bid in found]
    return (
        1 <= len(found) <= shares_max
        and all(bid.shares_max >= len(found) for bid in found)
        and len(set(buyers)) == len(buyers)
        and not any(b in apart.get(a, ()) for a, b in combinations(buyers, 2))
    )


def tried_all(found: list[Share], shares_max: int, apart: Apart) -> tuple[int, ...]:
    """The best set of all: the highest sum, then the fewest legs, then the highest ranks."""
    by_gross = sorted(range(len(found)), key=lambda index: -found[index].gross_micros)
    sets = [
        chosen
        for size in range(1, min(len(found), shares_max) + 1)
        for chosen in combinations(by_gross, size)  # in the order of the ranks
        if is_allowed([found[index] for index in chosen], shares_max, apart)
    ]
    return max(sets, key=lambda chosen: sum(found[index].gross_micros for index in chosen), default=())


@given(bids, st.integers(1, 10), pairs)
@settings(max_examples=400)
def test_it_is_the_best_of_all_sets(found: list[Share], shares_max: int, excluded: list[tuple[str, str]]) -> None:
    apart = both_sides(excluded)
    assert best_shares(found, shares_max, apart) == tried_all(found, shares_max, apart)


@given(many_bids, st.integers(1, 4), many_pairs)
@settings(max_examples=100)
def test_of_many_bids_those_left_out_could_not_have_been_in_it(
    found: list[Share], shares_max: int, excluded: list[tuple[str, str]]
) -> None:
    apart = both_sides(excluded)
    assert best_shares(found, shares_max, apart) == tried_all(found, shares_max, apart)


@pytest.mark.parametrize(("lowest", "best"), [(45, (1, 2, 5)), (44, (1, 2, 5)), (43, (0, 3, 4))])
def test_a_low_bid_counts_where_the_highest_make_up_for_it(lowest: int, best: tuple[int, ...]) -> None:
    """Taking what fits brings 240; the two that the first bid excludes bring more with the lowest, or as much."""
    bids = [("ann", 100), ("bob", 99), ("cid", 98), ("dan", 90), ("eve", 50), ("fay", lowest)]
    apart = both_sides([("ann", "bob"), ("ann", "cid"), ("dan", "bob"), ("eve", "cid")])
    assert best_shares([Share(buyer, gross, 3) for buyer, gross in bids], 3, apart) == best


def test_rivals_at_the_top_do_not_make_it_look_at_bids_that_are_too_low() -> None:
    low = [Share(f"low-{number}", 10, 3) for number in range(40)]
    looked_at = []

    def given_one_by_one() -> Iterator[Share]:
        for bid in [Share("ann", 100, 3), Share("bob", 90, 3), Share("cid", 80, 3), Share("dan", 70, 3), *low]:
            looked_at.append(bid.buyer)
            yield bid

    assert best_shares(given_one_by_one(), 3, both_sides([("ann", "bob")])) == (0, 2, 3)
    assert looked_at == ["ann", "bob", "cid", "dan", "low-0"]


@given(bids, st.integers(1, 10))
def test_it_is_the_best_of_all_sets_where_nobody_excludes_anybody(found: list[Share], shares_max: int) -> None:
    assert best_shares(found, shares_max, {}) == tried_all(found, shares_max, {})


def test_who_shares_with_fewer_is_only_in_a_small_set() -> None:
    found = [Share("ann", 12, 1), Share("bob", 8, 3), Share("cid", 7, 2), Share("dan", 6, 3)]
    assert best_shares(found, 3, {}) == (1, 2)
    assert best_shares([*found, Share("eve", 5, 3)], 3, {}) == (1, 3, 4)


def test_of_equal_sums_the_smaller_set_wins_then_the_higher_rank() -> None:
    assert best_shares([Share("ann", 10, 1), Share("bob", 5, 2), Share("cid", 5, 2)], 2, {}) == (0,)
    assert best_shares([Share("ann", 5, 2), Share("bob", 5, 2), Share("cid", 5, 2)], 2, {}) == (0, 1)
    assert best_shares(
        [Share("ann", 5, 2), Share("bob", 5, 2), Share("cid", 5, 2)], 2, both_sides([("ann", "bob")])
    ) == (
        0,
        2,
    )


def test_the_highest_bid_is_left_out_where_the_others_bring_more_without_it() -> None:
    found = [Share("ann", 10, 3), Share("bob", 8, 3), Share("cid", 7, 3)]
    assert best_shares(found, 3, both_sides([("ann", "bob"), ("ann", "cid")])) == (1, 2)


@pytest.mark.parametrize("density", [0.02, 0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("span", [1, 3, 1000])
def test_fifty_bids_of_buyers_who_exclude_one_another_are_searched_to_the_end(
    density: float, span: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    luck = random.Random(f"{density}{span}")  # noqa: S311  # luck need not be secret
    names = [f"b{number}" for number in range(50)]
    apart = both_sides([pair for pair in combinations(names, 2) if luck.random() < density])
    found = [Share(name, luck.randint(1, span) * 10_000, luck.randint(1, 10)) for name in names]
    found.sort(key=lambda bid: -bid.gross_micros)
    within = best_shares(found, 10, apart)
    monkeypatch.setattr(shares, "STEPS_MAX", 10**9)
    assert best_shares(found, 10, apart) == within
    assert is_allowed([found[index] for index in within], 10, apart)


def test_cliques_of_rivals_do_not_multiply() -> None:
    """Nine groups of five rivals at one price: ten legs cannot be had, and that is seen without trying."""
    names = [f"b{number}" for number in range(45)]
    apart = both_sides([(a, b) for a, b in combinations(names, 2) if int(a[1:]) // 5 == int(b[1:]) // 5])
    assert len(best_shares([Share(name, 10_000, 10) for name in names], 10, apart)) == 9


def test_a_usual_auction_takes_no_time() -> None:
    found = [Share(f"b{number}", 20_000_000 - number * 300_000, 3 + number % 3) for number in range(10)]
    took_s = []
    for _ in range(50):
        started_s = time.perf_counter()
        assert len(best_shares(found, 4, {})) == 4
        took_s.append(time.perf_counter() - started_s)
    assert min(took_s) < 0.0001
