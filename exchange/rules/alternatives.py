"""A filter spelled out: the alternatives that its groups leave, each some questions that must all be answered yes.

`{state: IL, or: [{age: {min: 65}}, {credit: good}]}` has two of them. Opposites are carried down to the single
questions, so that `not` costs alternatives only where it stands around several conditions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Generic, TypeVar

from exchange.rules.literals import Literal, parts, presence, together
from exchange.values.filters import Condition, Filter, Group, Junction, Member

Found = TypeVar("Found")

Row = tuple[tuple[str, Literal], ...]
"""One alternative: questions by field."""


def alternatives(item: Filter) -> list[Row]:
    """All alternatives; one of them must hold. None at all means that nothing can."""
    if not item.groups and not any(condition.groups for condition in item.conditions.values()):
        return [tuple((name, one) for name, condition in item.conditions.items() for one in together(parts(condition)))]
    spelling: _Spelling[list[Row]] = _Spelling(lambda name, literal: [((name, literal),)], _product, _sum)
    return [_tidy(row) for row in spelling.filter(item)]


def count(item: Filter) -> int:
    """How many alternatives a filter has, without spelling them out."""
    spelling: _Spelling[int] = _Spelling(lambda _name, _literal: 1, prod, sum)
    return spelling.filter(item)


class _Spelling(Generic[Found]):
    """Walks a filter down to its literals and puts together what is found, by what must hold `both` or `either` way."""

    def __init__(
        self,
        literal: Callable[[str, Literal], Found],
        both: Callable[[Sequence[Found]], Found],
        either: Callable[[Sequence[Found]], Found],
    ) -> None:
        self._literal, self._both, self._either = literal, both, either

    def filter(self, item: Filter, *, wanted: bool = True) -> Found:
        """What makes a filter true; with `wanted` False, what makes it false."""
        found = [self._condition(name, condition, wanted=wanted) for name, condition in item.conditions.items()]
        for group in item.groups:
            if group.junction is Junction.NOT:
                found.append(self.filter(group.members[0], wanted=not wanted))
            else:
                members = [self.filter(member, wanted=wanted) for member in group.members]
                found.append(self._joined(group, members, wanted=wanted))
        return (self._both if wanted else self._either)(found)

    def _condition(self, name: str, item: Condition, *, wanted: bool) -> Found:
        found = [self._literal(name, part if wanted else part.opposite()) for part in parts(item)]
        for group in item.groups:
            if group.junction is Junction.NOT:
                found.append(self._not(name, group.members[0], wanted=wanted))
            else:
                members = [self._condition(name, member, wanted=wanted) for member in group.members]
                found.append(self._joined(group, members, wanted=wanted))
        return (self._both if wanted else self._either)(found)

    def _not(self, name: str, item: Condition, *, wanted: bool) -> Found:
        """A condition's `not` asks for presence, too."""
        if wanted:
            return self._both([self._literal(name, presence(item)), self._condition(name, item, wanted=False)])
        return self._either([self._literal(name, presence(item).opposite()), self._condition(name, item, wanted=True)])

    def _joined(self, group: Group[Member], members: Sequence[Found], *, wanted: bool) -> Found:
        return (self._both if (group.junction is Junction.AND) is wanted else self._either)(members)


def _product(found: Sequence[list[Row]]) -> list[Row]:
    rows: list[Row] = [()]
    for choices in found:
        rows = [row + choice for row in rows for choice in choices]
    return rows


def _sum(found: Sequence[list[Row]]) -> list[Row]:
    return [row for choices in found for row in choices]


def _tidy(row: Row) -> Row:
    return tuple(_together(row))


def _together(row: Row) -> Iterator[tuple[str, Literal]]:
    by_field: Mapping[str, list[Literal]] = {name: [] for name, _ in row}
    for name, literal in row:
        by_field[name].append(literal)
    for name, literals in by_field.items():
        for literal in together(literals):
            yield name, literal
