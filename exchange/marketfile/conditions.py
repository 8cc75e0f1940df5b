"""The conditions of an order's filter: read with the field they are about, so that each can be met by some lead."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from exchange.errors import FieldError
from exchange.marketfile.entries import as_written, below
from exchange.marketfile.limits import AGE_DAYS, AGE_HOURS, GROUP_DEPTH_MAX, GROUP_MEMBERS_MAX, VALUES_MAX
from exchange.marketfile.possible import dead_end, domain
from exchange.marketfile.problems import Problems, shown, wrong
from exchange.marketfile.scalars import as_text
from exchange.marketfile.texts import PatternReader, read_prefix, read_radius
from exchange.rules.ages import DAY_S, HOUR_S
from exchange.rules.fields import reader_for
from exchange.rules.filters import accepts
from exchange.values.filters import Condition, Filter, Group, Junction, Radius
from exchange.values.vertical import AGED_TYPES, ORDERED_TYPES, Field, FieldType, Single

AGES: Mapping[str, tuple[int, tuple[int, int], frozenset[FieldType]]] = MappingProxyType(
    {
        "min_age_days": (DAY_S, AGE_DAYS, AGED_TYPES),
        "max_age_days": (DAY_S, AGE_DAYS, AGED_TYPES),
        "min_age_hours": (HOUR_S, AGE_HOURS, frozenset({FieldType.DATE_TIME})),
        "max_age_hours": (HOUR_S, AGE_HOURS, frozenset({FieldType.DATE_TIME})),
    }
)
"""Conditions on the age: the seconds of their unit, their bounds, and the types of fields that they are for."""

JUNCTIONS = ("and", "or")
OPERATORS = (
    *("is", "in", "not", "min", "max", "between"),
    *("exists", "prefix", "matches", "within_miles", "of"),
    *AGES,
    *JUNCTIONS,
)


@dataclass(slots=True)
class _Parts:
    """What the operators of one condition say together."""

    any_of: frozenset[Single] | None = None
    none_of: frozenset[Single] = frozenset()
    minima: list[Single] = field(default_factory=list)
    maxima: list[Single] = field(default_factory=list)
    exists: bool | None = None
    prefixes: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    within: Radius | None = None
    min_ages_s: list[int] = field(default_factory=list)
    max_ages_s: list[int] = field(default_factory=list)
    groups: list[Group[Condition]] = field(default_factory=list)

    def narrow(self, values: frozenset[Single]) -> None:
        self.any_of = values if self.any_of is None else self.any_of & values

    def condition(self) -> Condition:
        minimum = max(self.minima, key=_order, default=None)
        maximum = min(self.maxima, key=_order, default=None)
        return Condition(
            *(self.any_of, self.none_of, minimum, maximum),
            exists=self.exists,
            prefixes=self.prefixes,
            patterns=self.patterns,
            within=self.within,
            min_age_s=max(self.min_ages_s, default=None),
            max_age_s=min(self.max_ages_s, default=None),
            groups=tuple(self.groups),
        )


class ConditionReader:
    """Reads the conditions on one field. Values are normalised as those of leads are, text also to lower case."""

    def __init__(self, item: Field) -> None:
        self._item = item
        self._value_reader = reader_for(replace(item, multiple=False))
        self._bound_reader = reader_for(replace(item, minimum=None, maximum=None, multiple=False))
        self._patterns = PatternReader(item)
        self._values_known: dict[str, Single] = {}
        self._lists: dict[frozenset[Single], Condition] = {}
        self._read: dict[tuple[int, bytes], Condition] = {}

    def read(self, raw: object, path: str, problems: Problems, depth: int = 0) -> Condition | None:
        """The condition that `raw` writes down, or None with its problems reported. It stands in `depth` groups.

        Those that ask the same of the field share one.
        """
        before = len(problems)
        if not isinstance(raw, dict):  # values that leads can have: nothing else to look at
            values = self._values(raw, path, problems)
            return self._of_values(values) if len(problems) == before else None
        written = depth, as_written(raw)
        known = self._read.get(written)
        if known is None:
            known = self._new(raw, path, problems, depth)
            if known is not None:
                self._read[written] = known
        return known

    def _of_values(self, values: frozenset[Single]) -> Condition:
        found = self._lists.get(values)
        if found is None:
            found = self._lists[values] = Condition(any_of=values, of_several=self._item.multiple)
        return found

    def _new(self, raw: Mapping[object, object], path: str, problems: Problems, depth: int) -> Condition | None:
        before = len(problems)
        parts = _Parts()
        self._operators(raw, path, parts, problems, depth)
        if len(problems) > before:
            return None
        condition = replace(parts.condition(), of_several=self._item.multiple)
        conflict = self._conflict(condition)
        if conflict is not None:
            problems.add(path, conflict)
            return None
        return condition

    def _operators(
        self, raw: Mapping[object, object], path: str, parts: _Parts, problems: Problems, depth: int
    ) -> None:
        if not raw:
            problems.add(path, "is empty: leave the field out where every value will do")
        for operator, value in raw.items():
            where = below(path, str(operator))
            if operator in JUNCTIONS or (operator == "not" and isinstance(value, dict)):
                self._group(Junction(str(operator)), value, where, parts, problems, depth + 1)
            elif operator == "within_miles":
                parts.within = read_radius(self._item, value, raw.get("of"), path, problems)
            elif operator == "of":
                if "within_miles" not in raw:
                    problems.add(where, "is for within_miles, which is not here")
            elif operator in OPERATORS:
                self._operator(str(operator), value, where, parts, problems)
            else:
                problems.unknown(where, "unknown operator", str(operator), OPERATORS)

    def _operator(self, operator: str, value: object, path: str, parts: _Parts, problems: Problems) -> None:
        if operator == "is":
            if isinstance(value, list):
                problems.add(path, "must be a single value: use in for a list")
            else:
                parts.narrow(self._values(value, path, problems))
        elif operator == "in":
            parts.narrow(self._values(value, path, problems))
        elif operator == "not":
            parts.none_of = self._values(value, path, problems)
        elif operator == "prefix":
            parts.prefixes = self._texts(value, path, problems, prefix=True)
        elif operator == "matches":
            parts.patterns = self._texts(value, path, problems, prefix=False)
        elif operator in AGES:
            self._age(operator, value, path, parts, problems)
        elif operator == "exists":
            self._exists(value, path, parts, problems)
        else:
            self._bounds(operator, value, path, parts, problems)

    def _exists(self, value: object, path: str, parts: _Parts, problems: Problems) -> None:
        if not isinstance(value, bool):
            problems.add(path, wrong("true or false", value))
        elif not value and self._item.required:
            problems.add(path, f"no lead can match: {self._item.name} is required")
        else:
            parts.exists = value

    def _age(self, operator: str, value: object, path: str, parts: _Parts, problems: Problems) -> None:
        unit_s, (least, greatest), kinds = AGES[operator]
        if self._item.type not in kinds:
            fit = " and ".join(sorted(kinds))
            problems.add(path, f"is for {fit} fields only, {self._item.name} is {self._item.type}")
        elif isinstance(value, bool) or not isinstance(value, int):
            problems.add(path, wrong("a whole number", value))
        elif not least <= value <= greatest:
            problems.add(path, f"must be from {least} to {greatest}, not {shown(value)}")
        else:
            (parts.min_ages_s if operator.startswith("min") else parts.max_ages_s).append(value * unit_s)

    def _group(self, junction: Junction, raw: object, path: str, parts: _Parts, problems: Problems, depth: int) -> None:
        written = group_members(junction, raw, path, problems, depth)
        members = [self.read(member, where, problems, depth) for member, where in written]
        found = tuple(member for member in members if member is not None)
        if members and len(found) == len(members):
            parts.groups.append(Group(junction, found))

    def _bounds(self, operator: str, value: object, path: str, parts: _Parts, problems: Problems) -> None:
        if self._item.type not in ORDERED_TYPES:
            problems.add(
                path, f"is for integer, date and date_time fields only, {self._item.name} is {self._item.type}"
            )
            return
        if operator == "between" and not (isinstance(value, list) and len(value) == 2):
            problems.add(path, "must be a list of two values: [least, greatest]")
            return
        least, greatest = value if isinstance(value, list) and operator == "between" else (value, value)
        if operator != "max":
            parts.minima.extend(self._value(least, path, problems, bound=True))
        if operator != "min":
            parts.maxima.extend(self._value(greatest, path, problems, bound=True))

    def _values(self, raw: object, path: str, problems: Problems) -> frozenset[Single]:
        values, known = _listed(raw, path, problems), self._values_known
        found = [known.get(value) if type(value) is str else None for value in values]
        for place, said in enumerate(found):
            if said is None:
                found[place] = self._new_value(values[place], path, problems)
        return frozenset(said for said in found if said is not None)

    def _new_value(self, raw: object, path: str, problems: Problems) -> Single | None:
        read = self._value(raw, path, problems)
        if not read:
            return None
        if type(raw) is str:
            self._values_known[raw] = read[0]
        return read[0]

    def _texts(self, raw: object, path: str, problems: Problems, *, prefix: bool) -> frozenset[str]:
        found: set[str] = set()
        for value in _listed(raw, path, problems):
            text = (
                read_prefix(self._item, value, path, problems) if prefix else self._patterns.read(value, path, problems)
            )
            if text is not None:
                found.add(text)
        return frozenset(found)

    def _value(self, raw: object, path: str, problems: Problems, *, bound: bool = False) -> tuple[Single, ...]:
        """The value that a lead would have, alone; nothing where no lead can have it."""
        item = self._item
        wanted, value = _as_written(item.type, raw)
        if value is None:
            problems.add(path, wrong(wanted, raw))
            return ()
        outcome = (self._bound_reader if bound else self._value_reader)(value)
        if isinstance(outcome, FieldError):
            problems.add(path, f"no lead has {shown(raw)} as its {item.name}: {_lower_first(outcome.detail)}")
            return ()
        if outcome is None or isinstance(outcome, list):  # it reads single values
            problems.add(path, "is blank")
            return ()
        return (outcome.casefold() if item.type is FieldType.TEXT and isinstance(outcome, str) else outcome,)

    def _conflict(self, condition: Condition) -> str | None:
        """Why no lead could ever match, if that is so."""
        item, least, greatest = self._item, condition.minimum, condition.maximum
        if least is not None and greatest is not None and _order(least) > _order(greatest):
            return f"no lead can match: the least value {least} is above the greatest {greatest}"
        youngest, oldest = condition.min_age_s, condition.max_age_s
        if youngest is not None and oldest is not None and youngest > oldest:
            return "no lead can match: the least age is above the greatest"
        if least is not None and item.maximum is not None and _order(least) > _order(item.maximum):
            return f"no lead can match: {item.name} is at most {item.maximum}"
        if greatest is not None and item.minimum is not None and _order(greatest) < _order(item.minimum):
            return f"no lead can match: {item.name} is at least {item.minimum}"
        if condition.groups or condition.exists is False or item.multiple:
            return dead_end(Filter({item.name: condition}), {item.name: item})
        candidates = condition.any_of if condition.any_of is not None else domain(item)
        if least is not None and least == greatest:
            candidates = frozenset({least})
        judged = condition
        if youngest is not None or oldest is not None:  # what age a value has, time will tell
            judged = replace(judged, min_age_s=None, max_age_s=None)
        if condition.patterns and item.type is FieldType.TEXT:  # case-folded values are not what patterns see
            judged = replace(judged, patterns=frozenset())
        if candidates is None or any(accepts(judged, value, item.type) for value in candidates):
            return None
        return "no lead can match: what one part asks for, another excludes"


def group_members(
    junction: Junction, raw: object, path: str, problems: Problems, depth: int
) -> list[tuple[object, str]]:
    """What stands in a group, each with its path; nothing where the group is not written as one."""
    if depth > GROUP_DEPTH_MAX:
        problems.add(path, f"groups may be {GROUP_DEPTH_MAX} deep at most")
        return []
    if junction is Junction.NOT:
        return [(raw, path)]
    if not isinstance(raw, list):
        problems.add(path, wrong("a list of conditions", raw))
        return []
    if not raw:
        problems.add(path, "is an empty list")
    if len(raw) > GROUP_MEMBERS_MAX:
        problems.add(path, f"holds more than {GROUP_MEMBERS_MAX:,} conditions")
        return []
    return [(member, f"{path}[{number}]") for number, member in enumerate(raw)]


def _listed(raw: object, path: str, problems: Problems) -> list[object]:
    """A list, or a single value as a list of one."""
    values = raw if isinstance(raw, list) else [raw]
    if not values:
        problems.add(path, "is an empty list")
    if len(values) > VALUES_MAX:
        problems.add(path, f"holds more than {VALUES_MAX:,} values")
        return []
    return values


def _as_written(kind: FieldType, raw: object) -> tuple[str, Single | None]:
    """What a value of this type looks like in the file, and the value where it looks like that."""
    if kind is FieldType.BOOLEAN:
        return "true or false", raw if isinstance(raw, bool) else None
    if kind is FieldType.INTEGER:
        return "a whole number", raw if isinstance(raw, int) and not isinstance(raw, bool) else None
    return "text", as_text(raw)


def _order(value: Single) -> tuple[int, str]:
    """A sort key for values of one ordered type: numbers by size, dates as their text."""
    return (0, value) if isinstance(value, str) else (int(value), "")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:].removesuffix(".")
