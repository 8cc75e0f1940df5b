"""Ids: UUIDv7 that rise strictly, whatever the clock and the threads do, and that know their day."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import RFC_4122, UUID, uuid1, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.values.ids import Uuid7Generator, day_of, first_of, moment_of, uuid7

NOON_MS = 1_780_000_000_000
MOMENT_MAX_MS = 2**48 - 1


def uuid7_at(milliseconds: int, low: int = 0) -> UUID:
    """The UUIDv7 of a moment, put together by hand."""
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62 | low)


def ids_at(clock_ms: list[int]) -> list[UUID]:
    """The ids that a new generator makes while the clock shows these times, one after the other."""
    generator = Uuid7Generator()
    with pytest.MonkeyPatch.context() as patch:
        readings = iter(clock_ms)
        patch.setattr(time, "time_ns", lambda: next(readings) * 1_000_000)
        return [generator() for _ in clock_ms]


def test_an_id_is_a_uuid_of_version_7_made_now() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=2)
    made = uuid7()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= moment_of(made) <= datetime.now(UTC) + timedelta(seconds=1)


def test_ids_made_at_once_rise_strictly() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert all(one < next_one for one, next_one in pairwise(made))


def test_ids_of_many_threads_are_all_different_and_rise_in_each() -> None:
    generator = Uuid7Generator()
    with ThreadPoolExecutor(8) as pool:
        by_thread = list(pool.map(lambda _: [generator() for _ in range(2_000)], range(8)))
    assert len({made for ids in by_thread for made in ids}) == 16_000
    assert all(one < next_one for ids in by_thread for one, next_one in pairwise(ids))


@given(st.lists(st.integers(min_value=-5_000, max_value=5_000), max_size=60))
def test_ids_rise_strictly_while_the_clock_steps_to_and_fro(steps_ms: list[int]) -> None:
    made = ids_at([NOON_MS + step for step in steps_ms])
    assert all(one < next_one for one, next_one in pairwise(made))
    assert all((one.version, one.variant) == (7, RFC_4122) for one in made)


def test_more_ids_than_a_millisecond_holds_borrow_from_the_next() -> None:
    made = ids_at([NOON_MS] * 10_000)
    assert all(one < next_one for one, next_one in pairwise(made))
    assert moment_of(made[-1]) - moment_of(made[0]) <= timedelta(milliseconds=4)


def test_an_id_carries_the_clock_once_the_clock_is_ahead_again() -> None:
    made = ids_at([NOON_MS, NOON_MS - 1_000, NOON_MS + 1])
    assert [int(moment_of(one).timestamp() * 1000) for one in made] == [NOON_MS, NOON_MS, NOON_MS + 1]


def test_ids_of_the_same_millisecond_cannot_be_guessed_from_one_another() -> None:
    made = ids_at([NOON_MS] * 100)
    assert len({one.int & (1 << 62) - 1 for one in made}) == 100


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)), st.integers(0, 2**62 - 1))  # noqa: DTZ001  # made aware below
def test_the_day_of_an_id_is_the_utc_day_of_its_moment(moment: datetime, low: int) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert day_of(uuid7_at(milliseconds, low)) == moment.date()


def test_the_day_changes_at_midnight_in_utc() -> None:
    midnight_ms = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)
    assert day_of(uuid7_at(midnight_ms - 1)) == date(2026, 11, 22)
    assert day_of(uuid7_at(midnight_ms)) == date(2026, 11, 23)


@pytest.mark.parametrize(
    "other", [uuid4(), uuid1(), UUID(int=0), uuid7_at(MOMENT_MAX_MS)], ids=["4", "1", "nil", "far"]
)
def test_what_has_no_day_in_the_calendar_is_refused(other: UUID) -> None:
    with pytest.raises(ValueError, match=r"UUIDv7|out of range"):
        day_of(other)


def test_a_moment_begins_before_all_ids_of_its_millisecond() -> None:
    moment = datetime.fromtimestamp(NOON_MS / 1000, UTC)
    first = first_of(moment)
    assert (first.version, first.variant, moment_of(first)) == (7, RFC_4122, moment)
    [made] = ids_at([NOON_MS])
    [before] = ids_at([NOON_MS - 1])
    assert before < first <= made
