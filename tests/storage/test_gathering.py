"""News are told at once where there are few, and together where there are many."""

import pytest

from exchange.storage import gathering
from exchange.storage.gathering import BUSY_PAUSE_S, BUSY_PER_S, PAUSE_S, Gathering


class Clock:
    """A clock that goes as it is told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(gathering, "time", made)
    return made


def tell(clock: Clock, found: Gathering, per_s: float, seconds: float) -> float:
    """The pause after so many news a second have been told for a while."""
    left_s, pause_s = seconds, PAUSE_S
    while left_s > 0:
        clock.now_s += max(pause_s, 1 / per_s)
        left_s -= max(pause_s, 1 / per_s)
        pause_s = found.pause_s(max(1, round(per_s * pause_s)))
    return pause_s


def test_few_news_are_told_at_once(clock: Clock) -> None:
    assert tell(clock, Gathering(), BUSY_PER_S / 2, 5) == PAUSE_S


def test_many_gather(clock: Clock) -> None:
    assert tell(clock, Gathering(), BUSY_PER_S * 3, 2) == BUSY_PAUSE_S


def test_when_it_is_quiet_again_news_are_told_at_once(clock: Clock) -> None:
    found = Gathering()
    tell(clock, found, BUSY_PER_S * 3, 2)

    assert tell(clock, found, 1, 2) == PAUSE_S


def test_a_single_burst_does_not_count_as_many(clock: Clock) -> None:
    found = Gathering()
    clock.now_s += 10

    assert found.pause_s(100) == PAUSE_S
