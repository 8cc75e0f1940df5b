"""Who waits to be let in: sellers take turns, and a flood loses its own pings, not those of others."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.waiting import ROOM_MIN, STANDS_WINDOWS, Lines, has_his_part, pace, room_for, room_next


@dataclass
class Ping:
    seller: str
    since_s: float


sellers = st.sampled_from("abcdef")


@given(st.lists(sellers | st.none(), max_size=200), st.integers(1, 30))
def test_nobody_is_lost_or_let_in_twice(arrivals: list[str | None], room: int) -> None:
    lines: Lines[Ping] = Lines()
    came, left = [], []
    for number, seller in enumerate(arrivals):
        if seller is None:
            gone = lines.take()
        else:
            came.append(Ping(seller, number))
            gone = lines.add(seller, came[-1], room)
        if gone is not None:
            left.append(gone)
        assert lines.size == len(came) - len(left) <= room
    while (ping := lines.take()) is not None:
        left.append(ping)
    assert sorted(map(id, left)) == sorted(map(id, came))
    assert lines.size == 0


@given(st.lists(sellers, min_size=1, max_size=200), st.integers(1, 30))
def test_who_loses_has_as_many_waiting_as_anybody(arrivals: list[str], room: int) -> None:
    lines: Lines[Ping] = Lines()
    waiting: Counter[str] = Counter()
    for number, seller in enumerate(arrivals):
        gone = lines.add(seller, Ping(seller, number), room)
        waiting[seller] += 1
        if gone is not None:
            waiting[gone.seller] -= 1
            assert waiting[gone.seller] + 1 >= max(waiting.values())


@given(st.integers(50, 500), st.integers(1, 10))
def test_a_flood_takes_nothing_from_who_sends_little(flood: int, few: int) -> None:
    lines: Lines[Ping] = Lines()
    refused = [lines.add("flood", Ping("flood", n), 20) for n in range(flood)]
    refused += [lines.add("quiet", Ping("quiet", n), 20) for n in range(few)]
    assert {gone.seller for gone in refused if gone} == {"flood"}
    taken = [lines.take() for _ in range(2 * few)]
    assert sum(ping is not None and ping.seller == "quiet" for ping in taken) == few


@given(st.lists(sellers | st.none() | st.floats(0, 50), max_size=200), st.integers(1, 30))
def test_whose_line_is_longest_is_known_whatever_came_and_went(steps: list[str | float | None], room: int) -> None:
    lines: Lines[Ping] = Lines()
    waiting: Counter[str] = Counter()
    for number, step in enumerate(steps):
        if isinstance(step, str):
            waiting[step] += 1
            gone = [lines.add(step, Ping(step, number), room)]
        elif step is None:
            gone = [lines.take()]
        else:
            gone = list(lines.overdue(number - step))
        waiting.subtract(ping.seller for ping in gone if ping)
        most = max(waiting.values(), default=0)
        assert {seller for seller in "abcdef" if lines.is_longest(seller)} == {
            seller for seller, count in waiting.items() if count and count == most
        }


def test_within_a_line_who_came_first_goes_first() -> None:
    lines: Lines[Ping] = Lines()
    for number, seller in enumerate("aaabbc"):
        lines.add(seller, Ping(seller, number), 10)
    order = [(ping.seller, ping.since_s) for ping in iter(lines.take, None)]
    assert order == [("a", 0), ("b", 3), ("c", 5), ("a", 1), ("b", 4), ("a", 2)]


def test_who_has_waited_too_long_is_taken_out() -> None:
    lines: Lines[Ping] = Lines()
    for number, seller in enumerate("abab"):
        lines.add(seller, Ping(seller, number), 10)
    assert [ping.since_s for ping in lines.overdue(2)] == [0, 1]
    assert lines.size == 2
    assert [ping.since_s for ping in lines.overdue(9)] == [2, 3]
    assert lines.take() is None


def test_the_room_is_what_can_be_let_in_while_one_waits() -> None:
    assert room_for(2_000, 0.2) == 200
    assert room_for(0, 0.2) == ROOM_MIN


def test_a_line_that_stands_becomes_as_short_as_one_waits_in_for_some_milliseconds() -> None:
    room = room_next(200.0, 1_000, 0.3, STANDS_WINDOWS - 1)
    assert room == 200.0  # a burst is given the time to pass
    for windows in range(STANDS_WINDOWS, STANDS_WINDOWS + 10):
        room = room_next(room, 1_000, 0.3, windows)
    assert room == 30.0
    assert room_next(room, 0.0, 0.3, STANDS_WINDOWS) < 30.0


def test_a_line_in_which_all_have_room_may_be_long_again_soon() -> None:
    room = 8.0
    for _ in range(40):
        room = room_next(room, 1_000, 0.3, 0)
    assert room == room_for(1_000, 0.3)


def test_who_waits_goes_in_at_the_pace_of_those_who_come_out() -> None:
    allowed, gone_in = 0.0, 0
    for _ in range(100):
        allowed = pace(allowed, 1_000, 0.01)
        gone_in += int(allowed)
        allowed -= int(allowed)
    assert 1_190 <= gone_in <= 1_200
    assert pace(50.0, 0, 0.01) == 6.0  # what nobody used is not kept


def test_each_seller_has_his_part_of_the_places() -> None:
    inside = {"flood": 9, "quiet": 1}
    assert has_his_part(inside, "flood", 10)
    assert not has_his_part(inside, "quiet", 10)
    assert not has_his_part(inside, "new", 10)
    assert has_his_part({"flood": 10}, "flood", 10)
