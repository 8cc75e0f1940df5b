"""Whether any lead at all could meet a filter with groups, as far as that can be told without trying them all."""

from collections.abc import Mapping, Sequence

from exchange.marketfile.limits import ALTERNATIVES_MAX
from exchange.rules.alternatives import Row, alternatives, count
from exchange.rules.literals import Aged, Listed, Literal, OfSeveral, Stepped
from exchange.values.filters import Filter
from exchange.values.vertical import ORDERED_TYPES, Field, FieldType, Single


def dead_end(item: Filter, fields: Mapping[str, Field]) -> str | None:
    """Why a filter cannot be used: it leaves too many alternatives, or none that a lead could meet."""
    if count(item) > ALTERNATIVES_MAX:
        return f"leaves more than {ALTERNATIVES_MAX} alternatives when spelled out: put fewer conditions under or"
    if not any(_possible(row, fields) for row in alternatives(item)):
        return "no lead can match: what one part asks for, another excludes"
    return None


def domain(item: Field) -> frozenset[Single] | None:
    """All values that a field can have, where they are few."""
    if item.type is FieldType.ENUM:
        return frozenset(item.values)
    return frozenset({True, False}) if item.type is FieldType.BOOLEAN else None


def _possible(row: Row, fields: Mapping[str, Field]) -> bool:
    by_field: dict[str, list[Literal]] = {}
    for name, literal in row:
        by_field.setdefault(name, []).append(literal)
    return all(_can_hold(fields[name], literals) for name, literals in by_field.items())


def _can_hold(item: Field, literals: Sequence[Literal]) -> bool:
    """Whether some value of the field, or its absence, may answer all questions; in doubt it may."""
    if not item.required and all(_stands_absence(literal) for literal in literals):
        return True
    several = [literal for literal in literals if isinstance(literal, OfSeveral)]
    if not several:
        return _can_be(item, literals)
    of_all = [literal.of_each for literal in several if literal.turned]
    of_any = [literal.of_each for literal in several if not literal.turned]
    return all(_can_be(item, [one, *of_all]) for one in of_any) if of_any else _can_be(item, of_all)


def _can_be(item: Field, literals: Sequence[Literal]) -> bool:
    """Whether a value of the field may answer all questions."""
    listed = [literal for literal in literals if isinstance(literal, Listed)]
    stepped = [literal for literal in literals if isinstance(literal, Stepped)]
    if item.type in ORDERED_TYPES:
        stepped.append(_own_bounds(item))
    aged = _together([literal.ages for literal in literals if isinstance(literal, Aged)])
    if aged is not None and not aged.also(_NO_LESS_THAN_NOTHING).steps:
        return False
    candidates = domain(item)
    for literal in listed:
        if not literal.but:
            candidates = literal.values if candidates is None else candidates & literal.values
    if candidates is not None:
        return any(_passes(value, listed, stepped) for value in candidates)
    steps = _together(stepped)
    return steps is None or steps.first or bool(steps.steps)


_NO_LESS_THAN_NOTHING = Stepped(first=False, steps=((0, False),))
"""What ages are."""


def _stands_absence(literal: Literal) -> bool:
    if isinstance(literal, Aged):
        return literal.ages.absent
    return literal.absent if isinstance(literal, (Listed, Stepped, OfSeveral)) else literal.turned


def _passes(value: Single, listed: Sequence[Listed], stepped: Sequence[Stepped]) -> bool:
    return all((value in literal.values) is not literal.but for literal in listed) and all(
        literal.holds(value) for literal in stepped
    )


def _own_bounds(item: Field) -> Stepped:
    starts = () if item.minimum is None else ((item.minimum, False),)
    ends = () if item.maximum is None else ((item.maximum, True),)
    return Stepped(first=item.minimum is None, steps=(*starts, *ends))


def _together(stepped: Sequence[Stepped]) -> Stepped | None:
    found = None
    for literal in stepped:
        found = literal if found is None else found.also(literal)
    return found
