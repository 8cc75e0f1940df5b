"""The breaker: it opens for a share of many calls, is half open by pings alone, closes on proof, whatever the clock."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exchange.rules.breaker import PROBE_S, Breaker, BreakerTerms, State

USUAL = BreakerTerms(
    window_s=30.0,
    calls_min=20,
    failed_percent=80,
    rest_first_s=5.0,
    rest_longest_s=300.0,
    probe_percent=5,
    probes_min=3,
)


def opened(terms: BreakerTerms = USUAL, now_s: float = 100.0) -> Breaker:
    breaker = Breaker(terms, now_s)
    while not breaker.note(failed=True, began_s=now_s, now_s=now_s):
        pass
    return breaker


def half_opened(terms: BreakerTerms = USUAL) -> Breaker:
    breaker = opened(terms)
    assert breaker.tick(breaker.until_s)
    return breaker


def test_a_few_failures_in_a_row_open_nothing() -> None:
    breaker = Breaker(USUAL, 0.0)
    for _ in range(USUAL.calls_min - 1):
        assert not breaker.note(failed=True, began_s=0.0, now_s=0.0)
    assert breaker.note(failed=True, began_s=0.0, now_s=0.0)
    assert breaker.state is State.OPEN


@pytest.mark.parametrize(("good", "opens"), [(20, True), (21, False)])
def test_it_opens_at_its_share_and_not_below(good: int, opens: bool) -> None:
    breaker = Breaker(USUAL, 0.0)
    for _ in range(good):
        breaker.note(failed=False, began_s=0.0, now_s=1.0)
    for _ in range(80):
        breaker.note(failed=True, began_s=0.0, now_s=2.0)
    assert (breaker.state is State.OPEN) is opens


def test_what_is_older_than_the_window_does_not_count() -> None:
    breaker = Breaker(USUAL, 0.0)
    for _ in range(1_000):
        breaker.note(failed=False, began_s=0.0, now_s=0.0)
    breaker.note(failed=True, began_s=0.0, now_s=0.0)
    assert breaker.counted() == (1_001, 1)
    for _ in range(USUAL.calls_min):
        breaker.note(failed=True, began_s=0.0, now_s=30.1)
    assert breaker.state is State.OPEN


@given(st.integers(0, 10_000), st.floats(0, 1_000))
def test_successes_are_counted_as_evenly_as_they_may_have_come(good: int, took_s: float) -> None:
    breaker = Breaker(USUAL, 0.0)
    for _ in range(good):
        breaker.note(failed=False, began_s=0.0, now_s=0.0)
    breaker.note(failed=True, began_s=took_s, now_s=took_s)
    calls, failures = breaker.counted()
    assert failures == 1
    assert abs(calls - 1 - good * min(1.0, 30.0 / max(took_s, 0.001))) <= 1
    breaker.note(failed=True, began_s=took_s, now_s=took_s + 15.0)
    later, _ = breaker.counted()
    assert later <= calls + 1
    if took_s >= 30.0:
        assert abs(later - 2 - (calls - 1) / 2) <= max(10, good * 0.11)


def test_failures_that_are_far_apart_open_nothing() -> None:
    breaker = Breaker(USUAL, 0.0)
    for number in range(1_000):
        assert not breaker.note(failed=True, began_s=number * 2.0, now_s=number * 2.0)


def test_rests_become_longer_up_to_a_limit() -> None:
    breaker, rests = opened(), []
    for _ in range(10):
        rests.append(breaker.until_s - breaker._opened_s)
        assert not breaker.tick(breaker.until_s - 0.01)
        assert breaker.tick(breaker.until_s)
        assert breaker.probe(breaker.until_s)
        assert breaker.note(failed=True, began_s=breaker.until_s, now_s=breaker.until_s + 1)
    assert rests == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]
    assert breaker.openings == 11


@given(st.floats(0, 1))
def test_luck_moves_a_rest_by_a_quarter_at_most(luck: float) -> None:
    breaker = Breaker(USUAL, 0.0)
    while not breaker.note(failed=True, began_s=0.0, now_s=0.0, luck=luck):
        pass
    assert 0.75 * 5 <= breaker.until_s <= 1.25 * 5


def test_one_probe_at_a_time_until_enough_have_succeeded() -> None:
    breaker, now_s = half_opened(), 200.0
    for number in range(USUAL.probes_min):
        asked = 0
        while not breaker.probe(now_s):
            asked += 1
        assert asked == (0 if number == 0 else 9)
        assert not any(breaker.probe(now_s) for _ in range(10))
        assert breaker.note(failed=False, began_s=now_s, now_s=now_s) is (number == USUAL.probes_min - 1)
        now_s += 1
    assert breaker.state is State.CLOSED
    assert breaker.counted() == (0, 0)


def test_a_probe_of_which_nothing_is_heard_is_forgotten() -> None:
    breaker = half_opened()
    assert breaker.probe(200.0)
    assert not any(breaker.probe(200.0 + PROBE_S - 1) for _ in range(50))
    assert breaker.probe(200.0 + PROBE_S)


def test_after_a_probe_that_proves_nothing_there_is_another() -> None:
    breaker = half_opened()
    assert breaker.probe(200.0)
    breaker.probed(199.0)  # was none
    assert not any(breaker.probe(200.0) for _ in range(50))
    breaker.probed(200.0)
    assert breaker.probe(201.0)


def test_a_call_from_before_the_rest_proves_nothing() -> None:
    breaker = half_opened()
    for failed in (True, False, False, False):
        assert not breaker.note(failed=failed, began_s=breaker.until_s - 1, now_s=breaker.until_s + 1)
    assert breaker.state is State.HALF_OPEN


def test_signs_of_life_close_it_and_open_it_never() -> None:
    breaker = half_opened()
    signs = [breaker.note_sign(began_s=200.0, now_s=200.0) for _ in range(USUAL.probes_min)]
    assert signs == [False, False, True]
    assert breaker.state is State.CLOSED
    assert not any(breaker.note_sign(began_s=200.0, now_s=200.0) for _ in range(100))


def test_who_was_open_lately_is_judged_by_fewer_calls_until_he_has_been_well_for_a_while() -> None:
    breaker = opened(now_s=0.0)
    breaker.close(10.0)
    for _ in range(9):
        assert not breaker.note(failed=True, began_s=11.0, now_s=11.0)
    assert breaker.note(failed=True, began_s=11.0, now_s=11.0)
    assert (breaker.openings, breaker.since_s) == (2, 0.0)
    breaker.close(20.0)
    later_s = 20.0 + USUAL.rest_longest_s + 1
    for _ in range(19):
        assert not breaker.note(failed=True, began_s=later_s, now_s=later_s)
    assert breaker.note(failed=True, began_s=later_s, now_s=later_s)
    assert (breaker.openings, breaker.since_s) == (1, later_s)


class Machine(RuleBasedStateMachine):
    """A breaker in a world whose clock goes anywhere, beside what must hold of it."""

    @initialize(calls_min=st.integers(1, 40), percent=st.integers(1, 100), probes=st.integers(1, 5))
    def begin(self, calls_min: int, percent: int, probes: int) -> None:
        self.terms = BreakerTerms(30.0, calls_min, percent, 5.0, 300.0, 10, probes)
        self.now_s = 1_000.0
        self.breaker = Breaker(self.terms, self.now_s)
        self.asked = self.probes = self.good = 0
        self.is_out = False

    @property
    def state(self) -> str:
        return str(self.breaker.state)

    @rule(seconds=st.floats(-1_000, 1_000))
    def time_goes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(failed=st.booleans(), times=st.integers(1, 50))
    def calls_end(self, failed: bool, times: int) -> None:
        for _ in range(times):
            if self.state != "closed":
                return
            changed = self.breaker.note(failed=failed, began_s=self.now_s, now_s=self.now_s)
            assert changed is (self.state == "open")
            assert failed or not changed

    @rule()
    def rest_ends(self) -> None:
        before = self.breaker.state
        if self.breaker.tick(self.now_s):
            assert (before, self.breaker.state) == (State.OPEN, State.HALF_OPEN)
            self.asked = self.probes = self.good = 0

    @rule(times=st.integers(1, 60))
    def pings_ask(self, times: int) -> None:
        for _ in range(times):
            self.asked += 1
            if self.breaker.probe(self.now_s):
                assert self.breaker.state is State.HALF_OPEN
                self.probes += 1
                self.is_out = True
        if self.breaker.state is State.HALF_OPEN:
            assert self.probes <= 1 + self.asked * self.terms.probe_percent / 100

    @rule(failed=st.booleans())
    def a_probe_ends(self, failed: bool) -> None:
        if not self.is_out or self.breaker.state is not State.HALF_OPEN:
            return
        self.is_out = False
        began_s = max(self.now_s, self.breaker.until_s)
        changed = self.breaker.note(failed=failed, began_s=began_s, now_s=began_s)
        self.good = 0 if failed else self.good + 1
        assert changed is (failed or self.good >= self.terms.probes_min)
        assert self.breaker.state is (State.OPEN if failed else State.CLOSED if changed else State.HALF_OPEN)

    @rule()
    def posts_ask(self) -> None:
        """A post is no probe: there is nothing that it could ask."""
        before = self.breaker.state
        assert not self.breaker.note_sign(began_s=self.breaker.until_s - 1, now_s=self.now_s)
        assert self.breaker.state is before

    @invariant()
    def rests_end(self) -> None:
        breaker: Any = getattr(self, "breaker", None)
        if breaker is None or breaker.state is not State.OPEN:
            return
        if not breaker.tick(self.now_s):
            assert 0 < breaker.until_s - self.now_s <= 1.25 * self.terms.rest_longest_s
        else:
            self.asked = self.probes = self.good = 0


TestMachine = Machine.TestCase
