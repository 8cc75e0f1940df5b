"""What a filter comes down to: single questions about single fields, each with its exact opposite.

A condition on an absent field is false, its opposite is true. Questions about the same field can be put together: two
value lists, or two bounds, become one; so an alternative of a filter asks few questions, however it was written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Generic, Self, TypeVar

from exchange.values.filters import Condition, Radius
from exchange.values.vertical import Single

Test = TypeVar("Test")


@dataclass(frozen=True, slots=True)
class Listed:
    """Whether a value is one of `values`, or with `but` is none of them; `absent` is the answer where there is none."""

    values: frozenset[Single]
    but: bool = False
    absent: bool = False

    def opposite(self) -> "Listed":
        return Listed(self.values, not self.but, not self.absent)

    def also(self, other: "Listed") -> "Listed":
        """Both in one."""
        absent = self.absent and other.absent
        if self.but and other.but:
            return Listed(self.values | other.values, but=True, absent=absent)
        if self.but:
            return Listed(other.values - self.values, absent=absent)
        return Listed(self.values - other.values if other.but else self.values & other.values, absent=absent)


Start = tuple[Single, bool]
"""Where something changes along the values: at the value itself (False), or right after it (True)."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """Where along the values the answer is yes: it is `first` below all `steps` and turns over at each of them."""

    first: bool
    steps: tuple[Start, ...]
    absent: bool = False

    def opposite(self) -> "Stepped":
        return Stepped(not self.first, self.steps, not self.absent)

    def also(self, other: "Stepped") -> "Stepped":
        """Both in one."""
        mine, others = self.first, other.first
        first = current = mine and others
        steps: list[Start] = []
        for step in sorted({*self.steps, *other.steps}):
            mine ^= step in self.steps
            others ^= step in other.steps
            if (mine and others) is not current:
                current = not current
                steps.append(step)
        return Stepped(first, tuple(steps), self.absent and other.absent)

    def holds(self, value: Single) -> bool:
        return self.first ^ (sum(step <= (value, False) for step in self.steps) % 2 == 1)


@dataclass(frozen=True, slots=True)
class Aged:
    """At which ages of a value, in seconds, the answer is yes."""

    ages: Stepped

    def opposite(self) -> "Aged":
        return Aged(self.ages.opposite())

    def also(self, other: "Aged") -> "Aged":
        """Both in one."""
        return Aged(self.ages.also(other.ages))


@dataclass(frozen=True, slots=True)
class Tested(Generic[Test]):
    """Whether a text passes one of the tests; `turned` is the opposite, which an absent value meets."""

    tests: frozenset[Test]
    turned: bool = False

    def opposite(self) -> Self:
        return replace(self, turned=not self.turned)


@dataclass(frozen=True, slots=True)
class Begins(Tested[str]):
    """Whether a text begins with one of these."""


@dataclass(frozen=True, slots=True)
class Matches(Tested[str]):
    """Whether one of these patterns is found in a text."""


@dataclass(frozen=True, slots=True)
class Near(Tested[Radius]):
    """Whether a ZIP code lies inside one of these."""


@dataclass(frozen=True, slots=True)
class OfSeveral:
    """Whether any of several values answers a question with yes, or with `turned` none; `absent` is as in `Listed`."""

    question: Listed | Stepped | Begins | Matches | Near
    turned: bool = False
    absent: bool = False

    def opposite(self) -> "OfSeveral":
        return OfSeveral(self.question, not self.turned, not self.absent)

    @property
    def of_each(self) -> Listed | Stepped | Begins | Matches | Near:
        """What is asked of each value: any of them must answer yes, or with `turned` all."""
        return self.question.opposite() if self.turned else self.question


Literal = Listed | Stepped | Aged | Begins | Matches | Near | OfSeveral

PRESENT = Listed(frozenset(), but=True)
SEVERAL_PRESENT = OfSeveral(Listed(frozenset()), turned=True)


def presence(condition: Condition) -> Literal:
    """Whether there is a value at all."""
    return SEVERAL_PRESENT if condition.of_several else PRESENT


def parts(condition: Condition) -> list[Literal]:
    """The questions that a condition asks besides its groups; all must be answered yes."""
    found: list[Literal] = _of_several(condition) if condition.of_several else _of_one(condition)
    if condition.exists is not None:
        found.append(presence(condition) if condition.exists else presence(condition).opposite())
    return found if found or condition.groups else [presence(condition)]


def _of_several(condition: Condition) -> list[Literal]:
    """Each question for itself: what several values answer cannot be put into one."""
    wanted = replace(condition, none_of=frozenset(), of_several=False)
    found: list[Literal] = [
        OfSeveral(literal) for literal in _of_one(wanted) if not isinstance(literal, Aged | OfSeveral)
    ]
    return [*found, OfSeveral(Listed(condition.none_of), turned=True)] if condition.none_of else found


def _of_one(condition: Condition) -> list[Literal]:
    found: list[Literal] = []
    if condition.any_of is not None:
        found.append(Listed(condition.any_of - condition.none_of))
    elif condition.none_of:
        found.append(Listed(condition.none_of, but=True))
    if condition.minimum is not None or condition.maximum is not None:
        found.append(_between(condition.minimum, condition.maximum))
    if condition.min_age_s is not None or condition.max_age_s is not None:
        found.append(Aged(_between(condition.min_age_s, condition.max_age_s)))
    if condition.prefixes:
        found.append(Begins(condition.prefixes))
    if condition.patterns:
        found.append(Matches(condition.patterns))
    if condition.within is not None:
        found.append(Near(frozenset({condition.within})))
    return found


def kind_of(literal: Literal) -> type[Literal]:
    """The kind of question that a literal asks of a value."""
    return type(literal.question if isinstance(literal, OfSeveral) else literal)


def together(literals: Sequence[Literal]) -> list[Literal]:
    """The same questions about one field, as few as can be, those of a kind beside one another."""
    if len(literals) == 1:
        return list(literals)
    if isinstance(literals[0], OfSeveral):  # and so are all of its field
        return sorted(dict.fromkeys(literals), key=lambda literal: kind_of(literal).__name__)
    listed = [item for item in literals if isinstance(item, Listed)]
    stepped = [item for item in literals if isinstance(item, Stepped)]
    aged = [item for item in literals if isinstance(item, Aged)]
    found: list[Literal] = []
    if listed:
        found.append(reduce(Listed.also, listed))
    if stepped:
        found.append(reduce(Stepped.also, stepped))
    if aged:
        found.append(reduce(Aged.also, aged))
    found += _tested([item for item in literals if isinstance(item, Begins)])
    found += _tested([item for item in literals if isinstance(item, Matches)])
    found += _tested([item for item in literals if isinstance(item, Near)])
    return found


TestedKind = TypeVar("TestedKind", Begins, Matches, Near)


def _tested(items: Sequence[TestedKind]) -> list[TestedKind]:
    """Whoever wants none of several tests passed asks once for all; what each must pass stays apart."""
    found = [item for item in items if not item.turned]
    turned = [item for item in items if item.turned]
    if turned:
        found.append(reduce(lambda one, other: replace(one, tests=one.tests | other.tests), turned))
    return found


def _between(least: Single | None, greatest: Single | None) -> Stepped:
    if least is not None and greatest is not None and least > greatest:  # type: ignore[operator]  # of one type
        return Stepped(first=False, steps=())
    starts: list[Start] = [] if least is None else [(least, False)]
    ends: list[Start] = [] if greatest is None else [(greatest, True)]
    return Stepped(first=least is None, steps=(*starts, *ends))
