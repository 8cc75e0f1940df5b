"""Deadlines: one moment, asked for what remains, that only ever comes nearer."""

import time

from hypothesis import given
from hypothesis import strategies as st

from exchange.values.deadline import Deadline

milliseconds = st.integers(min_value=0, max_value=10**7)


@given(milliseconds)
def test_what_remains_is_never_more_than_was_given(given_ms: int) -> None:
    deadline = Deadline.after_ms(given_ms)
    assert 0 <= deadline.remaining_s() <= given_ms / 1000
    assert 0 <= deadline.remaining_ms() <= given_ms


def test_time_that_passed_before_the_deadline_was_made_counts() -> None:
    arrived_s = time.monotonic() - 5
    left_s = Deadline.after_ms(60_000, arrived_s).remaining_s()
    assert 54 < left_s <= 55


@given(milliseconds)
def test_a_deadline_that_has_passed_has_nothing_left(late_ms: int) -> None:
    deadline = Deadline.after_ms(late_ms, time.monotonic() - late_ms / 1000 - 1)
    assert (deadline.remaining_s(), deadline.remaining_ms()) == (0.0, 0)


def test_what_remains_is_told_in_whole_milliseconds_rounded_down() -> None:
    deadline = Deadline(time.monotonic() + 100.0009)
    assert deadline.remaining_ms() <= 100_000
    assert isinstance(deadline.remaining_ms(), int)


@given(milliseconds, milliseconds)
def test_what_is_kept_back_makes_the_deadline_earlier_by_as_much(given_ms: int, kept_ms: int) -> None:
    deadline = Deadline.after_ms(given_ms, 1_000.0)
    assert abs(deadline.at_s - deadline.less_ms(kept_ms).at_s - kept_ms / 1000) < 1e-6


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_sooner_of_two_deadlines_is_the_one_that_comes_first(one_s: float, other_s: float) -> None:
    assert Deadline(one_s).sooner(Deadline(other_s)).at_s == min(one_s, other_s)
