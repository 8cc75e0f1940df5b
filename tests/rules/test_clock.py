"""The clock: asked about whatever instants in whatever order, the closed orders are those that are closed then."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.bitsets import bits
from exchange.rules.clock import Clock
from exchange.rules.schedule import HORIZON_DAYS, Timeline
from exchange.values.schedule import Hours, Schedule, Window

BEGIN_S = datetime(2026, 10, 20, tzinfo=UTC).timestamp()
DAY_S = 86_400
SCHEDULES = [
    Schedule((Window(hours=Hours(480, 1200)),)),
    Schedule((Window(frozenset({0, 1, 2, 3, 4}), Hours(540, 1020)),)),
    Schedule((Window(frozenset({4, 5}), Hours(1320, 360)),)),
    Schedule(starts=datetime(2026, 10, 27, 9)),  # noqa: DTZ001  # a time on the wall
    Schedule(starts=datetime(2026, 11, 20)),  # noqa: DTZ001
    Schedule(ends=datetime(2026, 10, 22, 12)),  # noqa: DTZ001
]
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]
timelines = st.builds(Timeline, st.sampled_from(SCHEDULES), st.sampled_from(ZONES))
ordered = st.lists(st.tuples(timelines, st.integers(1, 3)), min_size=1, max_size=6)
steps = st.floats(-2 * DAY_S, 3 * DAY_S) | st.sampled_from([0, 1, 60, 900, 3600, -3600, 20 * DAY_S])


def numbered(found: Sequence[tuple[Timeline, int]]) -> dict[Timeline, list[int]]:
    """Gives each timeline so many orders."""
    numbers = iter(range(100))
    return {timeline: [next(numbers) for _ in range(count)] for timeline, count in found}


@given(ordered, st.lists(steps, min_size=1, max_size=30))
def test_the_closed_orders_are_those_that_are_closed_at_that_instant(
    found: list[tuple[Timeline, int]], steps: list[float]
) -> None:
    orders, now_s = numbered(found), BEGIN_S
    clock = Clock(orders)
    for step in steps:
        now_s += step
        now = datetime.fromtimestamp(now_s, UTC)
        closed = [number for timeline, numbers in orders.items() if not timeline.is_open(now) for number in numbers]
        assert bits(clock.closed(now_s)) == sorted(closed)


def test_nothing_is_worked_out_twice_until_something_changes() -> None:
    class Counting(Timeline):
        asked = 0

        def standing(self, now):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            Counting.asked += 1
            return super().standing(now)

    clock = Clock({Counting(schedule, "UTC"): [number] for number, schedule in enumerate(SCHEDULES[:2])})
    eight, nine = BEGIN_S + 8 * 3600, BEGIN_S + 9 * 3600
    asked = []
    for now_s in [eight - 1, eight - 0.5, eight, eight + 1, nine - 1, nine, nine + 1]:
        clock.closed(now_s)
        asked.append(Counting.asked)
    assert asked == [2, 2, 3, 3, 3, 4, 4]


def test_a_change_beyond_the_horizon_is_not_missed() -> None:
    clock = Clock({Timeline(SCHEDULES[4], "UTC"): [7]})
    assert clock.closed(BEGIN_S) == 1 << 7
    starts_s = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
    assert starts_s > BEGIN_S + 3 * HORIZON_DAYS * DAY_S
    assert clock.closed(starts_s - 1) == 1 << 7
    assert clock.closed(starts_s) == 0
