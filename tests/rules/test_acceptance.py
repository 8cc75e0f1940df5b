"""Acceptance: sales of attempts, smoothed towards the campaign's mean, in whole parts per million."""

from fractions import Fraction
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.acceptance import MILLION, Tally, acceptances, known
from exchange.rules.ranking import Candidate, Ranking, inputs_of, measured_for, order_of
from exchange.values.selling import Method

PING = UUID("0196f3c0-0000-7000-8000-000000000001")

tallies = st.dictionaries(
    st.sampled_from("abcdef"),
    st.integers(0, 200).flatmap(lambda tried: st.builds(Tally, st.just(tried), st.integers(0, tried))),
)


@given(tallies)
def test_acceptance_is_smoothed_towards_the_mean_of_the_campaign(found: dict[str, Tally]) -> None:
    tried = sum(tally.tried for tally in found.values())
    measured = acceptances("abcdef", found)
    if not tried:
        assert measured == {}
        return
    mean = Fraction(sum(tally.accepted for tally in found.values()), tried)
    for order in "abcdef":
        own = found.get(order, Tally())
        exact = (own.accepted + 10 * mean) / (own.tried + 10)
        assert measured[order] == exact * MILLION // 1
        assert 0 <= measured[order] <= MILLION


def test_few_attempts_say_little_and_many_say_much() -> None:
    found = acceptances(
        ["new", "few", "many", "good"], {"few": Tally(1, 0), "many": Tally(90, 0), "good": Tally(99, 95)}
    )
    assert found == {"new": 500_000, "few": 454_545, "many": 50_000, "good": 917_431}


def test_nobody_to_count_is_nothing() -> None:
    assert acceptances([], {}) == {}


def test_who_has_not_been_measured_counts_as_the_mean_of_the_others() -> None:
    assert known(["ann", "bob", "cid"], {"ann": 500_000, "cid": 100_001}) == [500_000, 300_000, 100_001]
    assert known(["ann"], {}) == [MILLION]
    assert known([], {"ann": 5}) == []


def test_the_best_expectation_wins_and_its_record_ranks_alike() -> None:
    candidates = [Candidate("ann", 2_000, 1), Candidate("bob", 1_500, 1), Candidate("new", 2_600, 1)]
    ranking = Ranking({}, Method.PERFORMANCE, {}, {"ann": 400_000, "bob": 600_000})
    assert [candidates[place].order for place in order_of(candidates, ranking, PING)] == ["new", "bob", "ann"]
    inputs = inputs_of(measured_for(ranking, ["ann", "bob", "new"]))
    assert inputs is not None
    assert inputs.values == {"ann": 400_000, "bob": 600_000, "new": 500_000}
    assert order_of(candidates, ranking._replace(measured=inputs.values), PING) == order_of(candidates, ranking, PING)
