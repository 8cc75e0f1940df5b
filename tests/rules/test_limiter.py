"""The limit on pings in hand: it stays in its bounds, falls where work stands in line, and is nobody's trouble else."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.limiter import REST, Bounds, Limit, Strain, Window, adjusted

BOUNDS = Bounds(least=20, most=1_000, lag_ms=4.0, own_ms=100.0)
CALM = Window(lag_ms=0.4, own_ms=5.0, in_hand=3, held_back=False)
LATE = Window(lag_ms=12.0, own_ms=60.0, in_hand=200, held_back=True)

times_ms = st.floats(0, 60_000, allow_nan=False)
windows = st.builds(Window, times_ms, st.none() | times_ms, st.integers(0, 2_000), st.booleans())


def after(limit: Limit, *windows: Window, bounds: Bounds = BOUNDS) -> Limit:
    for window in windows:
        limit = adjusted(limit, window, bounds)
    return limit


@given(st.lists(windows, max_size=60))
def test_it_never_leaves_its_bounds(seen: list[Window]) -> None:
    limit = Limit(1_000.0)
    for window in seen:
        limit = adjusted(limit, window, BOUNDS)
        assert BOUNDS.least <= limit.at <= BOUNDS.most


@given(windows, st.floats(20, 1_000))
def test_few_in_hand_are_never_what_strains_a_gateway(window: Window, at: float) -> None:
    few = window._replace(in_hand=20)
    assert adjusted(Limit(at), few, BOUNDS).at >= min(at, REST)


@given(windows, st.floats(20, 1_000), st.floats(1.01, 100))
def test_more_lag_never_means_a_higher_limit(window: Window, at: float, times: float) -> None:
    later = window._replace(lag_ms=window.lag_ms * times)
    assert adjusted(Limit(at), later, BOUNDS).at <= adjusted(Limit(at), window, BOUNDS).at


def test_a_loop_that_is_late_brings_it_down_from_what_is_in_hand() -> None:
    fallen = after(Limit(1_000.0), LATE)
    assert fallen.at == 200 * 0.7
    assert fallen.strain is Strain.LOOP_LAG
    assert after(fallen, *[LATE._replace(in_hand=100)] * 20).at == BOUNDS.least


def test_a_slow_record_brings_it_down_too() -> None:
    usual = after(Limit(1_000.0), *[CALM] * 10)
    slow = after(usual, CALM._replace(own_ms=400.0, in_hand=300))
    assert slow.at < 300
    assert slow.strain is Strain.OWN_TIME


def test_what_is_always_slow_is_no_strain() -> None:
    disk = CALM._replace(own_ms=150.0, in_hand=100, held_back=True)
    assert after(Limit(REST), *[disk] * 600).at == BOUNDS.most


def test_it_rises_soon_where_it_holds_pings_back_and_slowly_where_it_does_not() -> None:
    held = CALM._replace(in_hand=20, held_back=True)
    assert after(Limit(20.0), *[held] * 20).at > 130
    assert after(Limit(20.0), *[held] * 60).at == BOUNDS.most
    assert 25 < after(Limit(20.0), *[CALM] * 20).at < 40


def test_in_calm_it_comes_to_rest() -> None:
    for at in (20.0, 1_000.0):
        assert after(Limit(at), *[CALM] * 250).at == REST
