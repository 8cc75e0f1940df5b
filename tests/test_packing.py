"""What is packed comes out of its pieces as it was, and what is long goes in many."""

import weakref
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.clock import Clock
from exchange.rules.patterns import finder
from exchange.rules.schedule import Timeline
from exchange.takeover import packing
from exchange.takeover.packing import ENTRIES, ENTRIES_MAX, PIECE_BYTES, Packing, Unpacker, long_collections, pack
from exchange.values.market import Period
from exchange.values.schedule import Schedule

MANY = 5 * ENTRIES


def unpacked(value: object, known: list[object] | None = None, theirs: list[object] | None = None) -> object:
    unpacker = Unpacker(theirs or [])
    for piece in pack(value, known or []):
        assert not unpacker.is_complete
        unpacker.take(piece)
    assert unpacker.is_complete
    found: object = unpacker.value
    for _ in unpacker.forget():
        pass
    return found


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 200), 1 << 200) | st.text(max_size=5) | st.sampled_from(Period),
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.lists(inner, max_size=30).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=30)
    ),
    max_leaves=80,
)


@given(values)
def test_any_value_comes_out_as_it_was(value: object) -> None:
    assert unpacked(value) == value


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    others: list["Thing"] = field(default_factory=list)
    size: int = 3
    last: tuple[int, ...] = ()


@dataclass(frozen=True)
class Held:
    name: str


def test_frozen_values_come_out_whole_whatever_of_them_is_as_by_default() -> None:
    things = [Thing("a"), Thing("b", [Thing("c")]), Thing("d", size=4), Thing("e", last=(1,))]
    assert unpacked(things) == things


def test_what_many_pieces_name_is_one_object() -> None:
    shared = Thing("shared")
    found = unpacked({"list": [shared] * MANY, "things": [Thing(f"{number}", [shared]) for number in range(MANY)]})
    assert isinstance(found, dict)
    assert len({id(item) for item in found["list"]} | {id(item.others[0]) for item in found["things"]}) == 1


def test_what_is_known_already_is_not_sent() -> None:
    mine = [Thing(f"a long name that takes its place, {number}") for number in range(MANY)]
    theirs = [Thing(thing.name) for thing in mine]
    found = unpacked([*mine, Thing("new")], list(mine), list(theirs))
    assert isinstance(found, list)
    assert all(item is thing for item, thing in zip(found, theirs, strict=False))
    assert found[-1] == Thing("new")
    assert sum(map(len, pack(mine, list(mine)))) < sum(map(len, pack(mine)))


def test_what_is_known_is_named_and_forgotten_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "AT_ONCE", 3)
    known = [Thing(f"{number}") for number in range(MANY)]
    unpacker = Unpacker(known)
    for piece in pack([*known, known], known):
        unpacker.take(piece)
    found = unpacker.value
    assert all(item is thing for item, thing in zip(found, known, strict=False))
    assert all(item is thing for item, thing in zip(found[-1], known, strict=True))


class Row(NamedTuple):
    values: tuple[int, ...]


def test_what_was_sent_ahead_is_found_wherever_it_is_held() -> None:
    long = tuple(range(MANY))
    value = {"row": Row(long), "short": [{"deep": (long,)}], "thing": Thing("a", last=long)}
    found = unpacked(value)
    assert found == value
    assert isinstance(found, dict)
    assert found["row"].values is found["short"][0]["deep"][0]


def test_what_is_forgotten_is_held_no_longer() -> None:
    unpacker = Unpacker()
    for piece in pack([Held(str(number)) for number in range(MANY)]):
        unpacker.take(piece)
    made = [weakref.ref(item) for item in unpacker.value]
    assert all(item() is not None for item in made)
    for _ in unpacker.forget():
        pass
    assert [item() for item in made] == [None] * MANY


def test_a_long_collection_goes_in_pieces_and_before_what_holds_it() -> None:
    inner = tuple(range(MANY))
    tuples, numbers = [inner] * MANY, list(inner)
    value = {"a": tuples, "b": {"c": numbers}}
    assert list(long_collections(value)) == [inner, tuples, numbers, {"c": numbers}, value]
    in_each = [ENTRIES, 2 * ENTRIES, 2 * ENTRIES]  # they are light: each piece holds up to twice as many as the last
    assert sum(in_each) == MANY
    assert len(list(pack(value))) == 3 * len(in_each) + 3


def test_a_part_that_is_ready_goes_ahead_of_the_rest_and_only_once() -> None:
    ready = {str(number): Thing(f"a name of some length, {number}") for number in range(MANY)}
    known = [ready["7"]]
    value = {"ready": ready, "also": list(ready.values()), "new": [Thing("new")]}
    packing = Packing(known)
    ahead = list(packing.ahead({"before all else": ready}))
    rest = list(packing.whole(value))
    assert sum(map(len, rest)) < sum(map(len, ahead))
    theirs = [Thing(known[0].name)]
    unpacker = Unpacker(theirs)
    for piece in [*ahead, *rest]:
        unpacker.take(piece)
    assert unpacker.value == value
    assert unpacker.value["ready"]["7"] is theirs[0]
    assert unpacker.value["also"][3] is unpacker.value["ready"]["3"]


def test_pieces_of_what_is_heavy_hold_few_entries_and_no_piece_very_many() -> None:
    heavy = [str(number) * PIECE_BYTES for number in range(MANY)]
    assert len(list(pack(heavy))) == MANY // ENTRIES + 1
    light = list(range(10 * ENTRIES_MAX))
    assert len(list(pack(light))) > len(light) // ENTRIES_MAX
    assert unpacked(light) == light


def test_clocks_and_patterns_work_on_the_other_side() -> None:
    clock = Clock({Timeline(Schedule(starts=datetime(2026, 5, 1)), "America/Chicago"): [0, 2]})  # noqa: DTZ001
    before_s = datetime(2026, 5, 1, tzinfo=ZoneInfo("America/Chicago")).timestamp() - 1
    clock.closed(before_s)
    found = unpacked((clock, finder("ab+", folded=True)))
    assert isinstance(found, tuple)
    assert [found[0].closed(before_s), found[0].closed(before_s + 2)] == [0b101, 0]
    assert found[1](b"xABB") is not None
    assert found[1](b"xA") is None
    assert clock.closed(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) == 0b101
