"""Token buckets: never more than the burst and what has flowed in since, whatever the clock does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.buckets import Bucket

STEPS = st.lists(st.floats(-5, 5), max_size=200)
RATES = st.floats(0.01, 1_000)
BURSTS = st.floats(0, 100)


@given(RATES, BURSTS, STEPS)
def test_no_more_is_taken_than_was_there_and_has_flowed_in(per_s: float, burst: float, steps: list[float]) -> None:
    bucket, now_s, taken, flowed = Bucket(per_s, burst), 100.0, 0, 0.0
    for step in steps:
        taken += bucket.take(now_s)
        assert taken <= max(1.0, burst) + flowed * per_s + 1e-6 * (1 + len(steps))
        now_s += step
        flowed += max(0.0, step)


@given(RATES, BURSTS)
def test_a_full_bucket_gives_its_burst_and_then_waits_for_the_next_token(per_s: float, burst: float) -> None:
    bucket = Bucket(per_s, burst)
    assert sum(bucket.take(0.0) for _ in range(200)) == int(max(1.0, burst))
    wait_s = bucket.wait_s(0.0)
    assert 0 < wait_s <= 1 / per_s
    assert not bucket.take(wait_s * 0.9)
    assert bucket.take(wait_s * 1.001)


def test_other_numbers_do_not_give_back_what_was_taken() -> None:
    bucket = Bucket(1.0, 10.0)
    assert all(bucket.take(0.0) for _ in range(10))
    bucket.change(2.0, 20.0, 0.0)
    assert not bucket.take(0.0)
    assert bucket.wait_s(0.0) == pytest.approx(0.5)
    bucket.change(2.0, 1.0, 100.0)
    assert [bucket.take(100.0) for _ in range(2)] == [True, False]
