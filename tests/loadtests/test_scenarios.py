"""The parts of load tests that decide: arrivals over time, percentiles, limits."""

import math
import sys
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

sys.path.append(str(Path(__file__).parents[2] / "loadtests"))  # a folder of scripts, not a package

from open_loop import Part, errands
from samples import RATE_LIMITED, SHED, WRONG, Sample, checks, flood_checks, percentile, times_ms
from scenarios import SCENARIOS, Limits, Scenario, Stage, arrivals, level_at

from exchange.values.brakes import Rate

RAMP = (Stage(100, 0, 2), Stage(100, 2, 2))
LIMITS = Limits(ping_p99_ms=100, post_p99_ms=100, shed_share_max=0.1)


def luck(seed: int) -> Random:
    return Random(seed)  # noqa: S311  # repeatable, not secret


def sample(outcome: str = "offered", took_ms: float = 1.0, what: str = "ping") -> Sample:
    return Sample(what, "calm", 0.0, took_ms, outcome, detail="a lie" if outcome == WRONG else "")


GOOD = [sample() for _ in range(18)] + [sample("accepted", what="post")]


@pytest.mark.parametrize(("at_s", "level"), [(0, 0), (50, 1), (100, 2), (199, 2), (200, 0), (1e9, 0)])
def test_a_load_goes_evenly_from_level_to_level(at_s: float, level: float) -> None:
    assert level_at(RAMP, at_s) == pytest.approx(level)


def test_arrivals_are_independent_and_as_many_as_the_level_says() -> None:
    found = list(arrivals(RAMP, 100, luck(7)))
    assert found == list(arrivals(RAMP, 100, luck(7))) != list(arrivals(RAMP, 100, luck(8)))
    assert found == sorted(found)
    expected = 100 * (100 + 200)
    assert abs(len(found) - expected) < 5 * math.sqrt(expected)
    gaps = [later - earlier for earlier, later in pairwise(found) if earlier > 100]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert spread / mean == pytest.approx(1, abs=0.05)  # as of a Poisson process; of a metronome it would be 0


def test_nobody_comes_where_there_is_no_load() -> None:
    assert list(arrivals((), 100, luck(1))) == list(arrivals((Stage(10, 0, 0),), 100, luck(1))) == []


def test_a_seed_tells_the_whole_story() -> None:
    parts = [Part("calm", "a", RAMP), Part("flood", "b", RAMP)]
    found = errands(parts, ["auto-us", "solar-us"], 2, "1")
    assert found == errands(parts, ["auto-us", "solar-us"], 2, "1") != errands(parts, ["auto-us", "solar-us"], 2, "2")
    assert [errand.at_s for errand in found] == sorted(errand.at_s for errand in found)
    assert {errand.part.seller for errand in found} == {"calm", "flood"}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_scenario_can_take_any_time(scenario: Scenario) -> None:
    short = scenario.lasting(6)
    assert short.seconds == pytest.approx(6)
    for share in (0.1, 0.5, 0.9):
        assert level_at(short.stages, 6 * share) == pytest.approx(level_at(scenario.stages, scenario.seconds * share))
    if scenario.flood:
        assert sum(stage.seconds for stage in short.flood) == pytest.approx(6)


@pytest.mark.parametrize(("share", "value"), [(1, 1), (50, 50), (99, 99), (99.9, 100), (100, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile(list(range(1, 101)), share) == value
    assert math.isnan(percentile([], share))


def test_what_was_turned_away_is_no_measure_of_time() -> None:
    assert times_ms([sample(took_ms=9), sample(SHED, took_ms=1), sample(took_ms=5)], "ping") == [5, 9]


@pytest.mark.parametrize(
    ("samples", "failed"),
    [
        (GOOD, set()),
        ([*GOOD, sample(SHED)], set()),
        ([*GOOD, *[sample(SHED)] * 3], {"turned away"}),
        ([*GOOD, sample(WRONG)], {"wrong answers"}),
        ([*GOOD, sample(took_ms=101)], {"ping p99"}),
        ([*GOOD, sample("pending", took_ms=101, what="post")], {"post p99"}),
        ([sample()], {"sales", "post p99"}),
        ([], {"sales", "ping p99", "post p99"}),
    ],
)
def test_each_limit_is_looked_at(samples: list[Sample], failed: set[str]) -> None:
    assert {check.name for check in checks(samples, LIMITS) if not check.held} == failed


AGREED = Rate(per_s=2, burst=3)


def flood(outcome: str, at_s: float, detail: str = "", what: str = "ping") -> Sample:
    return Sample(what, "flood", at_s, 0.0, outcome, detail=detail)


KEPT_OUT = [flood("offered" if number % 5 == 0 else SHED, number / 10, RATE_LIMITED) for number in range(101)]
"""Ten a second for ten seconds, of which two a second are let in: at most 23 may be."""


@pytest.mark.parametrize(
    ("samples", "failed"),
    [
        (KEPT_OUT, set()),
        ([*KEPT_OUT, *[flood("unsold", 5)] * 2], set()),
        ([*KEPT_OUT, *[flood("unsold", 5)] * 3], {"pings let in, flood"}),
        ([*KEPT_OUT, *[flood("accepted", 5, what="post")] * 3], set()),
        ([*KEPT_OUT, *[flood("accepted", 5, what="post")] * 4], {"posts let in, flood"}),
        ([*KEPT_OUT, *[flood(SHED, 5, "overloaded")] * 11], set()),
        ([*KEPT_OUT, *[flood(SHED, 5, "overloaded")] * 12], {"turned away, flood"}),
        ([*KEPT_OUT, flood(WRONG, 5, "a lie")], {"wrong, flood"}),
        ([flood("offered", 0)], {"turned away, flood"}),
    ],
)
def test_a_flood_is_let_in_as_far_as_was_agreed_and_refused_for_nothing_else(
    samples: list[Sample], failed: set[str]
) -> None:
    assert {check.name for check in flood_checks(samples, AGREED, 0.1) if not check.held} == failed


def test_without_a_rate_a_flood_only_has_to_be_answered_rightly() -> None:
    assert [check.name for check in flood_checks([flood("offered", 0)] * 1_000, None, 0.1)] == ["wrong, flood"]
