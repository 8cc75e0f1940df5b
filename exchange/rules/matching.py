"""Which orders' filters accept a lead, as set algebra: every field maps a value to a bit set of the orders it suits.

Bit `i` of a set stands for the campaign's order `i`. A field's set holds the orders that accept the value and those
that do not ask about the field; the AND over the fields is the answer. A filter with groups is spelled out as its
alternatives: the first stands at the order's own bit, each further one at a bit above all orders', which leads back to
the orders that it is an alternative of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exchange.rules.ages import age_name
from exchange.rules.alternatives import Row, alternatives
from exchange.rules.bitsets import bits, set_of
from exchange.rules.dimensions import (
    Dimension,
    Folded,
    Patterns,
    Several,
    SeveralPatterns,
    ages,
    by_any,
    by_none,
    intervals,
    membership,
    of_each,
    patterns,
    prefixes,
    radii,
)
from exchange.rules.literals import Aged, Begins, Listed, Literal, Matches, Near, Stepped, kind_of
from exchange.values.filters import Filter
from exchange.values.vertical import Field, FieldType, Lead, Vertical


@dataclass(frozen=True, slots=True)
class Matcher:
    """The compiled filters of a campaign's orders. Bit `orders + i` belongs to the orders of `further[i]`."""

    everyone: int
    dimensions: tuple[tuple[str, Dimension], ...]
    patterns: tuple[tuple[str, Patterns | SeveralPatterns], ...] = ()
    orders: int = 0
    further: tuple[int, ...] = ()

    def matching(self, lead: Lead) -> int:
        """The set of orders whose filters accept this lead, which has its ages where they ask for them."""
        found = self.everyone
        for name, dimension in self.dimensions:
            found &= dimension.matching(lead.get(name))
            if not found:
                return 0
        for name, tried in self.patterns:
            found = tried.narrowed(found, lead.get(name))
        return self._led_back(found) if self.further else found

    def _led_back(self, found: int) -> int:
        above = found >> self.orders
        if above:
            found ^= above << self.orders
            for number in bits(above):
                found |= self.further[number]
        return found


def compile_filters(vertical: Vertical, filters: Sequence[Filter]) -> Matcher:
    """Compiles one filter an order, in order; fields that no filter names cost nothing, equal filters little."""
    table = _spelled_out(filters)
    dimensions: list[tuple[str, Dimension]] = []
    found_patterns: list[tuple[str, Patterns | SeveralPatterns]] = []
    for name, item in vertical.fields.items():
        for kind, asked in table.layers(name):
            if kind is Matches:
                found_patterns.append((name, _patterns(item, table.everyone, asked)))
            else:
                asked_of = age_name(name) if kind is Aged else name
                dimensions.append((asked_of, _dimension(item, kind, table.everyone, asked)))
    return Matcher(
        table.everyone, tuple(dimensions), tuple(found_patterns), orders=len(filters), further=tuple(table.further)
    )


def _dimension(item: Field, kind: type[Literal], everyone: int, asked: Mapping[Any, int]) -> Dimension:
    found: Dimension = _DIMENSIONS[kind](everyone, of_each(asked) if item.multiple else asked)
    if item.type is FieldType.TEXT:
        found = Folded(found)
    return Several(found, by_any(asked), by_none(everyone, asked)) if item.multiple else found


def _patterns(item: Field, everyone: int, asked: Mapping[Any, int]) -> Patterns | SeveralPatterns:
    folded = item.type is FieldType.TEXT
    if not item.multiple:
        return patterns(everyone, asked, folded=folded)
    found = patterns(everyone, of_each(asked), folded=folded)
    return SeveralPatterns(found, by_any(asked), by_none(everyone, asked))


_DIMENSIONS: Mapping[type[Literal], Any] = {
    Listed: membership,
    Stepped: intervals,
    Aged: ages,
    Begins: prefixes,
    Near: radii,
}
"""In the order in which they are asked; patterns come last of all, when few orders are left."""


@dataclass(slots=True)
class _Table:
    """Every literal with the set of those who ask it, by field, kind and layer.

    An alternative that asks two questions of a kind about one field, which cannot be put into one, asks them in two
    layers.
    """

    everyone: int = 0
    further: list[int] = field(default_factory=list)
    asked: dict[str, dict[tuple[type[Literal], int], dict[Literal, int]]] = field(default_factory=dict)

    def add(self, row: Row, asking: int) -> None:
        self.everyone |= asking
        before: tuple[str, type[Literal]] | None = None
        layer = 0
        for name, literal in row:  # those of a kind stand beside one another
            kind = kind_of(literal)
            layer = layer + 1 if before == (name, kind) else 0
            before = (name, kind)
            sets = self.asked.setdefault(name, {}).setdefault((kind, layer), {})
            sets[literal] = sets.get(literal, 0) | asking

    def layers(self, name: str) -> Iterator[tuple[type[Literal], Mapping[Any, int]]]:
        found = self.asked.get(name, {})
        for wanted in (*_DIMENSIONS, Matches):
            for (kind, _), asked in sorted(found.items(), key=lambda item: item[0][1]):
                if kind is wanted:
                    yield kind, asked


def _spelled_out(filters: Sequence[Filter]) -> _Table:
    asking: dict[Filter, list[int]] = {}
    for number, item in enumerate(filters):
        asking.setdefault(item, []).append(number)
    table = _Table()
    for item, numbers in asking.items():
        orders = set_of(numbers)
        for number, row in enumerate(alternatives(item)):
            if number == 0:
                table.add(row, orders)
            else:
                table.add(row, 1 << (len(filters) + len(table.further)))
                table.further.append(orders)
    return table
