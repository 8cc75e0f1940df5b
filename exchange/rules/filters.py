"""Filters looked at plainly, one at a time: what the sets must agree with, and what people are told who ask why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from exchange.geodata.centroids import known
from exchange.rules.ages import age_of
from exchange.rules.patterns import finder
from exchange.values.filters import Condition, Filter, Group, Junction
from exchange.values.vertical import Field, FieldType, Lead, Single, Value

Fields = Mapping[str, Field]


class Failing(NamedTuple):
    """A condition that keeps a lead out: where in the filter (`or[1].age`), the field that it is about, and itself.

    `turned`: it stands below a `not`, and keeps the lead out because it holds.
    """

    path: str
    field: str
    condition: Condition
    turned: bool = False


class _Seen(NamedTuple):
    """A field's value as conditions see it."""

    value: Value | None
    kind: FieldType
    age_s: Value | None


def holds(item: Filter, lead: Lead, fields: Fields) -> bool:
    """Whether a filter accepts a lead, which has its ages where the filter asks for them."""
    return all(
        accepts(condition, lead.get(name), fields[name].type, age_of(lead, name))
        for name, condition in item.conditions.items()
    ) and all(_group_holds(group, lead, fields) for group in item.groups)


def accepts(condition: Condition, value: Value | None, kind: FieldType, age_s: Value | None = None) -> bool:
    """Whether one condition accepts one value of a field of this type, which may have an age."""
    return _own_parts_accept(condition, value, kind, age_s) and all(
        _group_accepts(group, value, kind, age_s) for group in condition.groups
    )


def fields_of(item: Filter) -> Iterator[str]:
    """The fields that a filter asks about, groups included; some of them twice."""
    yield from item.conditions
    for group in item.groups:
        for member in group.members:
            yield from fields_of(member)


def failing(item: Filter, lead: Lead, fields: Fields) -> tuple[Failing, ...]:
    """The conditions of a filter because of which it does not accept a lead, in its order; none if it does.

    Below a `not` these are the conditions that hold.
    """
    return tuple(_failing(item, lead, fields, path="", wanted=True))


def _group_holds(group: Group[Filter], lead: Lead, fields: Fields) -> bool:
    """A group's `not` is the plain opposite: it holds where the filter in it fails on an absent field."""
    found = (holds(member, lead, fields) for member in group.members)
    return _joined(group.junction, found)


def _group_accepts(group: Group[Condition], value: Value | None, kind: FieldType, age_s: Value | None) -> bool:
    """A condition's `not` is about the value: it fails where there is none."""
    if group.junction is Junction.NOT and value is None:
        return False
    return _joined(group.junction, (accepts(member, value, kind, age_s) for member in group.members))


def _joined(junction: Junction, found: Iterator[bool]) -> bool:
    match junction:
        case Junction.AND:
            return all(found)
        case Junction.OR:
            return any(found)
        case Junction.NOT:
            return not all(found)


def _own_parts_accept(item: Condition, value: Value | None, kind: FieldType, age_s: Value | None) -> bool:
    if value is None:
        return not _has_values(item) and (item.exists is False or (item.exists is None and bool(item.groups)))
    if isinstance(value, list):
        return item.exists is not False and _several_accept(item, value, kind)
    compared = value.casefold() if kind is FieldType.TEXT and isinstance(value, str) else value
    return (
        item.exists is not False
        and (item.any_of is None or compared in item.any_of)
        and compared not in item.none_of
        and (item.minimum is None or compared >= item.minimum)  # type: ignore[operator]  # same type by kind
        and (item.maximum is None or compared <= item.maximum)  # type: ignore[operator]
        and _age_accepts(item, age_s)
        and (not item.prefixes or str(compared).startswith(tuple(item.prefixes)))
        and (not item.patterns or _found(item.patterns, str(value), folded=kind is FieldType.TEXT))
        and (item.within is None or known().holds(item.within, str(value)))
    )


def _several_accept(item: Condition, values: Sequence[Single], kind: FieldType) -> bool:
    """Each part is met by any of several values, both bounds by one, and `none_of` by all."""
    parts = [
        *([] if item.any_of is None else [Condition(any_of=item.any_of)]),
        *(Condition(minimum=item.minimum, maximum=item.maximum), Condition(prefixes=item.prefixes)),
        *(Condition(patterns=item.patterns), Condition(within=item.within)),
    ]
    unwanted = Condition(none_of=item.none_of)
    return all(any(_own_parts_accept(part, one, kind, None) for one in values) for part in parts) and all(
        _own_parts_accept(unwanted, one, kind, None) for one in values
    )


def _age_accepts(item: Condition, age_s: Value | None) -> bool:
    """What has no age fails, where one is asked for."""
    if item.min_age_s is None and item.max_age_s is None:
        return True
    too_young = not isinstance(age_s, int) or (item.min_age_s is not None and age_s < item.min_age_s)
    return not too_young and (item.max_age_s is None or age_s <= item.max_age_s)  # type: ignore[operator]  # an integer


def _has_values(item: Condition) -> bool:
    """Whether a condition says anything of the value itself, outside its groups."""
    bounds = (item.minimum, item.maximum, item.min_age_s, item.max_age_s)
    bounded = any(bound is not None for bound in bounds)
    listed = item.any_of is not None or bool(item.none_of)
    return bounded or listed or bool(item.prefixes) or bool(item.patterns) or item.within is not None


def _found(patterns: frozenset[str], text: str, *, folded: bool) -> bool:
    return any(finder(pattern, folded=folded)(text.encode()) is not None for pattern in patterns)


def _failing(item: Filter, lead: Lead, fields: Fields, *, path: str, wanted: bool) -> Iterator[Failing]:
    """The conditions that make a filter's truth another than the wanted one."""
    for name, condition in item.conditions.items():
        value = _Seen(lead.get(name), fields[name].type, age_of(lead, name))
        if accepts(condition, *value) is not wanted:
            yield from _failing_parts(Failing(path + name, name, condition, not wanted), value)
    for group in item.groups:
        if group.junction is Junction.NOT:
            if holds(group.members[0], lead, fields) is wanted:
                yield from _failing(group.members[0], lead, fields, path=f"{path}not.", wanted=not wanted)
        elif _group_holds(group, lead, fields) is not wanted:
            for number, member in enumerate(group.members):
                if holds(member, lead, fields) is not wanted:
                    below = f"{path}{group.junction}[{number}]."
                    yield from _failing(member, lead, fields, path=below, wanted=wanted)


def _failing_parts(found: Failing, value: _Seen) -> Iterator[Failing]:
    """The parts of one condition that make its truth another than the wanted one; its own stand beside its groups."""
    item, wanted = found.condition, not found.turned
    asks = _has_values(item) or item.exists is not None or not item.groups
    if asks and _own_parts_accept(item, *value) is not wanted:
        yield found._replace(condition=replace(item, groups=()))
    for group in item.groups:
        if _group_accepts(group, *value) is wanted:
            continue
        if group.junction is Junction.NOT:
            yield found._replace(path=f"{found.path}.not", condition=group.members[0], turned=wanted)
            continue
        for number, member in enumerate(group.members):
            if accepts(member, *value) is not wanted:
                below = f"{found.path}.{group.junction}[{number}]"
                yield from _failing_parts(found._replace(path=below, condition=member), value)
