"""The dimensions of a matcher: each answers one kind of question about one field for all alternatives at once.

Every dimension is made from its literals and the sets that ask them. What is not asked is met: a set holds those whose
question is answered yes and those who ask none.
"""

from array import array
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from exchange.geodata.centroids import known
from exchange.rules.bitsets import bits, union
from exchange.rules.literals import Aged, Begins, Listed, Matches, Near, OfSeveral, Start, Stepped, Tested
from exchange.rules.patterns import Finder, finder
from exchange.values.vertical import Value

Test = TypeVar("Test")

FEW_MAX: Final = 32
"""So many are named one by one, where their set is large: it is put together again in some microseconds."""

_BITS_EACH: Final = 64
"""What a name takes of a set's bits, twice: a set that is smaller is kept."""

_NUMBERS: Final = "I"  # unsigned, of four bytes


class Dimension(Protocol):
    """One question that filters ask: `matching(value)` is the set of those whose filter stands that value."""

    def matching(self, value: Value | None) -> int: ...


@dataclass(frozen=True, slots=True)
class Membership:
    """The set of each value that anybody names, and of all others, which is the first.

    Values with the same set share it: of a large market a set takes kilobytes. Where a value's set differs from the
    first in a few places only, these are kept: most ZIP codes are named by a few orders.
    """

    by_value: Mapping[Value, int]
    """The number of each value's set."""
    sets: Sequence[int]
    absent: int
    few: Mapping[Value, bytes] = field(default_factory=dict)
    """The places in which a value's set is another than the first: four bytes each."""

    def matching(self, value: Value | None) -> int:
        if value is None:
            return self.absent
        number = self.by_value.get(value, 0)
        if not number and (few := self.few.get(value)) is not None:
            differing = 0
            for place in array(_NUMBERS, few):  # of so few this is quicker than `set_of`
                differing |= 1 << place
            return self.sets[0] ^ differing
        return self.sets[number]


@dataclass(frozen=True, slots=True)
class Folded:
    """A dimension of a text field, where upper and lower case are the same."""

    dimension: Dimension

    def matching(self, value: Value | None) -> int:
        return self.dimension.matching(value.casefold() if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Bounds of one field: between two neighbouring `starts` the set does not change.

    `sets[i]` holds for values from `starts[i - 1]` up to, not including, `starts[i]`.
    """

    starts: Sequence[Start]
    sets: Sequence[int]
    absent: int

    def matching(self, value: Value | None) -> int:
        return self.absent if value is None else self.sets[bisect_right(self.starts, (value, False))]


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The set of each prefix that anybody names, what its own prefixes say included; the longest one decides."""

    by_prefix: Mapping[str, int]
    lengths: Sequence[int]
    otherwise: int

    def matching(self, value: Value | None) -> int:
        if isinstance(value, str):
            for length in self.lengths:
                found = self.by_prefix.get(value[:length])
                if found is not None:
                    return found
        return self.otherwise


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns of one field, each with those who ask for it; a lead tries each at most once."""

    finders: Sequence[tuple[Finder, int]]
    otherwise: int

    def narrowed(self, found: int, value: Value | None) -> int:
        """What is left of a set. Patterns that nobody in it asks for are not tried."""
        if not isinstance(value, str):
            return found & self.otherwise
        text, turned = value.encode(), 0
        for find, asking in self.finders:
            if asking & found & ~turned and find(text) is not None:
                turned |= asking
        return found & (self.otherwise ^ turned)


@dataclass(frozen=True, slots=True)
class Several:
    """A dimension of a field with several values: one must do for those of `any_of`, and all of them for the others."""

    dimension: Dimension
    any_of: int
    absent: int

    def matching(self, value: Value | None) -> int:
        if not isinstance(value, list):
            return self.absent
        either, every = 0, -1
        for one in value:
            found = self.dimension.matching(one)
            either |= found
            every &= found
        return (either & self.any_of) | (every & ~self.any_of)


@dataclass(frozen=True, slots=True)
class SeveralPatterns:
    """Patterns of a field with several values, as in `Several`."""

    patterns: Patterns
    any_of: int
    absent: int

    def narrowed(self, found: int, value: Value | None) -> int:
        """What is left of a set."""
        if not isinstance(value, list):
            return found & self.absent
        either, every = 0, -1
        for one in value:
            left = self.patterns.narrowed(found, one)
            either |= left
            every &= left
        return found & ((either & self.any_of) | (every & ~self.any_of))


def of_each(asked: Mapping[OfSeveral, int]) -> dict[Any, int]:
    """What is asked of each of several values, with those who ask it."""
    found: dict[Any, int] = {}
    for literal, asking in asked.items():
        found[literal.of_each] = found.get(literal.of_each, 0) | asking
    return found


def by_any(asked: Mapping[OfSeveral, int]) -> int:
    """Those for whom one of several values is enough."""
    return union(asking for literal, asking in asked.items() if not literal.turned)


def by_none(everyone: int, asked: Mapping[OfSeveral, int]) -> int:
    """Those whom an absent field suits."""
    return _free(everyone, asked) | union(asking for literal, asking in asked.items() if literal.absent)


def membership(everyone: int, asked: Mapping[Listed, int]) -> Membership:
    """Value lists and lists of values that are not wanted."""
    free = _free(everyone, asked)
    otherwise = free | union(asking for literal, asking in asked.items() if literal.but)
    absent = free | union(asking for literal, asking in asked.items() if literal.absent)
    few_max = min(FEW_MAX, everyone.bit_length() // _BITS_EACH)
    by_value: dict[Value, list[_Asking]] = {}
    for literal, members in asked.items():
        asking = _asking(members, few_max)
        for value in literal.values:
            by_value.setdefault(value, []).append(asking)
    return _membership(by_value, otherwise, absent, few_max)


def intervals(everyone: int, asked: Mapping[Stepped, int]) -> Intervals:
    """Bounds."""
    free = _free(everyone, asked)
    turns: dict[Start, int] = {}
    for literal, asking in asked.items():
        for step in literal.steps:
            turns[step] = turns.get(step, 0) ^ asking
    starts = sorted(turns)
    sets = [free | union(asking for literal, asking in asked.items() if literal.first)]
    for start in starts:
        sets.append(sets[-1] ^ turns[start])
    return Intervals(starts, sets, free | union(asking for literal, asking in asked.items() if literal.absent))


def prefixes(everyone: int, asked: Mapping[Begins, int]) -> Prefixes:
    """Beginnings of texts."""
    otherwise, by_test = _by_test(_free(everyone, asked), asked.items())
    sets: dict[str, int] = {}
    for prefix in sorted(by_test, key=len):
        asking = by_test[prefix]
        for length in range(1, len(prefix)):
            asking |= by_test.get(prefix[:length], 0)
        sets[prefix] = otherwise ^ asking
    return Prefixes(sets, sorted({len(prefix) for prefix in sets}, reverse=True), otherwise)


def patterns(everyone: int, asked: Mapping[Matches, int], *, folded: bool) -> Patterns:
    """Patterns."""
    otherwise, by_test = _by_test(_free(everyone, asked), asked.items())
    return Patterns([(finder(pattern, folded=folded), asking) for pattern, asking in by_test.items()], otherwise)


def radii(everyone: int, asked: Mapping[Near, int]) -> Membership:
    """Radii: each distinct one becomes the ZIP codes inside, so that a lead looks its own up once."""
    otherwise, by_test = _by_test(_free(everyone, asked), asked.items())
    centroids = known()
    around: dict[str, list[int]] = {}
    for number, radius in enumerate(by_test):
        for zip_code in centroids.within(radius):
            around.setdefault(zip_code, []).append(number)
    return _shared(_sets_around(around, list(by_test.values()), otherwise), otherwise, otherwise)


class _Asking(NamedTuple):
    """Some who ask the same, how many they are, and their numbers where they are few."""

    members: int
    many: int
    numbers: bytes


def _asking(members: int, few_max: int) -> _Asking:
    many = members.bit_count()
    return _Asking(members, many, array(_NUMBERS, bits(members)).tobytes() if many <= few_max else b"")


def _membership(by_value: Mapping[Value, Sequence[_Asking]], otherwise: int, absent: int, few_max: int) -> Membership:
    """Whoever names a value wants what he else does not. Nobody names it twice."""
    sets: dict[Value, int] = {}
    few: dict[Value, bytes] = {}
    for value, asking in by_value.items():
        many = 0
        for item in asking:
            many += item.many
        if many <= few_max:
            few[value] = b"".join([item.numbers for item in asking])
        else:
            sets[value] = otherwise ^ union([item.members for item in asking])
    return replace(_shared(sets, otherwise, absent), few=few)


def _shared(by_value: Mapping[Value, int], otherwise: int, absent: int) -> Membership:
    numbers = {otherwise: 0}
    by_number = {value: numbers.setdefault(members, len(numbers)) for value, members in by_value.items()}
    return Membership(by_number, list(numbers), absent)


def _sets_around(around: Mapping[str, Sequence[int]], asking: Sequence[int], otherwise: int) -> dict[Value, int]:
    """The set of each ZIP code; those inside the same radii share one, as most of a town do."""
    shared: dict[tuple[int, ...], int] = {}
    sets: dict[Value, int] = {}
    for zip_code, numbers in around.items():
        key = tuple(numbers)
        found = shared.get(key)
        if found is None:
            found = shared[key] = otherwise ^ union(asking[number] for number in numbers)
        sets[zip_code] = found
    return sets


def ages(everyone: int, asked: Mapping[Aged, int]) -> Intervals:
    """Ages: bounds in seconds."""
    return intervals(everyone, {literal.ages: asking for literal, asking in asked.items()})


def _by_test(free: int, asked: Collection[tuple[Tested[Test], int]]) -> tuple[int, dict[Test, int]]:
    """The set where no test is passed, which is also that of an absent value, and who asks for each test."""
    otherwise = free | union(asking for literal, asking in asked if literal.turned)
    by_test: dict[Test, int] = {}
    for literal, asking in asked:
        for test in literal.tests:
            by_test[test] = by_test.get(test, 0) | asking
    return otherwise, by_test


def _free(everyone: int, asked: Mapping[Any, int]) -> int:
    """Those who ask nothing here."""
    return everyone & ~union(asked.values())
