"""Which orders' filters accept a lead, as set algebra: every field maps a value to a bit set of the orders it suits.

Bit `i` of a set stands for the campaign's order `i`. A field's set holds the orders that accept the value and those
that do not ask about the field; the AND over the fields is the answer. An absent value fails every condition on its
field, `not` included (contract, section 3).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.values.market import Condition
from exchange.values.vertical import FieldType, Lead, Value, Vertical

Filter = Mapping[str, Condition]


class Dimension(Protocol):
    """One question that filters ask: `matching(value)` is the set of orders whose filter stands that value."""

    def matching(self, value: Value | None) -> int: ...


@dataclass(frozen=True, slots=True)
class Membership:
    """Value lists and `not` lists of one field: the set of each value that any of them names, and of all others."""

    by_value: Mapping[Value, int]
    otherwise: int
    absent: int

    def matching(self, value: Value | None) -> int:
        return self.absent if value is None else self.by_value.get(value, self.otherwise)


@dataclass(frozen=True, slots=True)
class FoldedMembership:
    """A membership of a text field, where upper and lower case are the same."""

    folded: Membership

    def matching(self, value: Value | None) -> int:
        return self.folded.matching(value.casefold() if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Bounds of one field: between two neighbouring `starts` the set of orders does not change.

    `sets[i]` holds for values from `starts[i - 1]` up to, not including, `starts[i]`. A start is a value and a flag:
    False where something begins at the value itself, True where something ends after it.
    """

    starts: Sequence[tuple[Value, bool]]
    sets: Sequence[int]
    absent: int

    def matching(self, value: Value | None) -> int:
        return self.absent if value is None else self.sets[bisect_right(self.starts, (value, False))]


@dataclass(frozen=True, slots=True)
class Matcher:
    """The compiled filters of a campaign's orders."""

    everyone: int
    dimensions: tuple[tuple[str, Dimension], ...]

    def matching(self, lead: Lead) -> int:
        """The set of orders whose filters accept this lead."""
        found = self.everyone
        for name, dimension in self.dimensions:
            found &= dimension.matching(lead.get(name))
            if not found:
                break
        return found


def compile_filters(vertical: Vertical, filters: Sequence[Filter]) -> Matcher:
    """Compiles one filter an order, in order; fields that no filter names cost nothing."""
    everyone = (1 << len(filters)) - 1
    dimensions: list[tuple[str, Dimension]] = []
    for name, field in vertical.fields.items():
        asked = [(1 << i, item[name]) for i, item in enumerate(filters) if name in item]
        bounded = [(bit, c) for bit, c in asked if _is_bounded(c)]
        listed = [(bit, c) for bit, c in asked if c.any_of is not None or c.none_of or not _is_bounded(c)]
        if listed:
            dimensions.append((name, _membership(everyone, listed, folded=field.type is FieldType.TEXT)))
        if bounded:
            dimensions.append((name, _intervals(everyone, bounded)))
    return Matcher(everyone, tuple(dimensions))


def bits(members: int) -> list[int]:
    """The numbers of the orders in a set, lowest first."""
    found = []
    while members:  # from the highest down: each is cheaper to take off than the lowest
        highest = members.bit_length() - 1
        found.append(highest)
        members ^= 1 << highest
    return found[::-1]


def accepts(condition: Condition, value: Value | None, kind: FieldType) -> bool:
    """Whether one condition accepts one value, evaluated plainly: what the sets must agree with."""
    if value is None:
        return False
    compared = value.casefold() if kind is FieldType.TEXT and isinstance(value, str) else value
    return (
        (condition.any_of is None or compared in condition.any_of)
        and compared not in condition.none_of
        and (condition.minimum is None or compared >= condition.minimum)  # type: ignore[operator]  # same type by kind
        and (condition.maximum is None or compared <= condition.maximum)  # type: ignore[operator]
    )


def _membership(everyone: int, conditions: Sequence[tuple[int, Condition]], *, folded: bool) -> Dimension:
    asking = wide = 0
    named: dict[Value, int] = {}
    for bit, condition in conditions:
        asking |= bit
        if condition.any_of is None:
            wide |= bit
    free = everyone & ~asking
    for bit, condition in conditions:
        for value in condition.none_of:
            named[value] = named.get(value, free | wide) & ~bit
    for bit, condition in conditions:
        for value in (condition.any_of or frozenset()) - condition.none_of:
            named[value] = named.get(value, free | wide) | bit
    membership = Membership(named, free | wide, free)
    return FoldedMembership(membership) if folded else membership


def _intervals(everyone: int, conditions: Sequence[tuple[int, Condition]]) -> Intervals:
    opens: dict[tuple[Value, bool], int] = {}
    closes: dict[tuple[Value, bool], int] = {}
    asking = current = 0
    for bit, condition in conditions:
        asking |= bit
        if _is_empty(condition):
            continue
        if condition.minimum is None:
            current |= bit
        else:
            opens[condition.minimum, False] = opens.get((condition.minimum, False), 0) | bit
        if condition.maximum is not None:
            closes[condition.maximum, True] = closes.get((condition.maximum, True), 0) | bit
    free = everyone & ~asking
    starts = sorted({*opens, *closes})
    sets = [free | current]
    for start in starts:
        current = (current | opens.get(start, 0)) & ~closes.get(start, 0)
        sets.append(free | current)
    return Intervals(starts, sets, free)


def _is_bounded(condition: Condition) -> bool:
    return condition.minimum is not None or condition.maximum is not None


def _is_empty(condition: Condition) -> bool:
    """Whether the bounds leave no value between them."""
    least, greatest = condition.minimum, condition.maximum
    return least is not None and greatest is not None and least > greatest  # type: ignore[operator]  # same type
