"""Sellers' buckets: never more than the burst and the rate, and the wait that is told is enough."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.rates import Buckets
from exchange.values.brakes import Rate

rates = st.builds(Rate, st.integers(1, 50), st.integers(1, 50))
pauses_s = st.lists(st.floats(0, 2), min_size=1, max_size=150)


@given(rates, pauses_s)
def test_no_span_of_time_sees_more_than_burst_and_rate(rate: Rate, pauses: list[float]) -> None:
    buckets, now_s, taken = Buckets(), 0.0, [0.0]
    for pause_s in pauses:
        now_s += pause_s
        if not buckets.take("acme", rate, now_s):
            taken.append(now_s)
    for first, since_s in enumerate(taken[1:]):
        for more, until_s in enumerate(taken[first + 1 :], 1):
            assert more <= rate.burst + rate.per_s * (until_s - since_s) + 1e-6


@given(rates, pauses_s)
def test_after_the_wait_that_was_told_there_is_a_token(rate: Rate, pauses: list[float]) -> None:
    buckets, now_s = Buckets(), 0.0
    for pause_s in pauses:
        now_s += pause_s
        told_s = buckets.wait_s("acme", rate, now_s)
        assert buckets.take("acme", rate, now_s) == told_s
        if told_s:
            now_s += told_s + 1e-6
            assert buckets.take("acme", rate, now_s) == 0


def test_sellers_do_not_share() -> None:
    buckets, rate = Buckets(), Rate(1, 2)
    assert [buckets.take("acme", rate, 0.0) for _ in range(3)] == [0, 0, 1]
    assert buckets.take("other", rate, 0.0) == 0


def test_a_debt_makes_the_wait_longer() -> None:
    buckets, rate = Buckets(), Rate(2, 10)
    buckets.take("acme", rate, 0.0)
    buckets.taken.clear()
    buckets.heard({"acme": -9.0}, 0.0)
    assert buckets.wait_s("acme", rate, 0.0) == 5
    assert buckets.take("acme", rate, 4.9) == 1
    assert buckets.take("acme", rate, 5.0) == 0


def test_what_was_taken_since_is_not_given_twice() -> None:
    buckets, rate = Buckets(), Rate(1, 10)
    for _ in range(4):
        buckets.take("acme", rate, 0.0)
    buckets.heard({"acme": 6.0, "nobody": 3.0}, 0.0)  # it did not know of the four yet
    assert [buckets.take("acme", rate, 0.0) for _ in range(3)] == [0, 0, 1]
    assert len(buckets) == 1


def test_a_new_rate_holds_at_once_and_a_full_bucket_is_forgotten() -> None:
    buckets = Buckets()
    buckets.take("acme", Rate(1, 100), 0.0)
    assert [buckets.take("acme", Rate(1, 2), 0.0) for _ in range(3)] == [0, 0, 1]
    buckets.taken.clear()
    buckets.forget_full(1.0)
    assert len(buckets) == 1
    buckets.forget_full(2.0)
    assert len(buckets) == 0


def test_a_clock_that_goes_back_fills_nothing() -> None:
    buckets, rate = Buckets(), Rate(1, 1)
    assert buckets.take("acme", rate, 100.0) == 0
    assert buckets.take("acme", rate, 50.0) == 1
