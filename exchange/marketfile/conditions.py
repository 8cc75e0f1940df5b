"""The conditions of an order's filter: read with the field they are about, so that each can be met by some lead."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from exchange.errors import FieldError
from exchange.marketfile.entries import below
from exchange.marketfile.limits import VALUES_MAX
from exchange.marketfile.problems import Problems, shown, wrong
from exchange.marketfile.scalars import as_text
from exchange.rules.fields import reader_for
from exchange.values.market import Condition
from exchange.values.vertical import ORDERED_TYPES, Field, FieldType, Value

OPERATORS = ("is", "in", "not", "min", "max", "between")

OPERATORS_LATER: Mapping[str, str] = MappingProxyType(
    {
        "within_miles": "a radius (within_miles)",
        "prefix": "the beginning of a value (prefix)",
        "matches": "a pattern (matches)",
        "exists": "presence and absence (exists)",
        "and": "groups of conditions (and)",
        "or": "groups of conditions (or)",
    }
)
_COMPANIONS: Mapping[str, str] = MappingProxyType({"of": "within_miles"})


@dataclass(slots=True)
class _Parts:
    """What the operators of one condition say together."""

    any_of: frozenset[Value] | None = None
    none_of: frozenset[Value] = frozenset()
    minima: list[Value] = field(default_factory=list)
    maxima: list[Value] = field(default_factory=list)

    def narrow(self, values: frozenset[Value]) -> None:
        self.any_of = values if self.any_of is None else self.any_of & values

    def condition(self) -> Condition:
        minimum = max(self.minima, key=_order, default=None)
        maximum = min(self.maxima, key=_order, default=None)
        return Condition(self.any_of, self.none_of, minimum, maximum)


class ConditionReader:
    """Reads the conditions on one field. Values are normalised as those of leads are, text also to lower case."""

    def __init__(self, item: Field) -> None:
        self._item = item
        self._value_reader = reader_for(item)
        self._bound_reader = reader_for(replace(item, minimum=None, maximum=None))

    def read(self, raw: object, path: str, problems: Problems) -> Condition | None:
        """The condition that `raw` writes down, or None with its problems reported."""
        before = len(problems)
        parts = _Parts()
        if isinstance(raw, dict):
            self._operators(raw, path, parts, problems)
        else:
            parts.narrow(self._values(raw, path, problems))
        if len(problems) > before:
            return None
        condition = parts.condition()
        conflict = self._conflict(condition)
        if conflict is not None:
            problems.add(path, f"no lead can match: {conflict}")
            return None
        return condition

    def _operators(self, raw: Mapping[object, object], path: str, parts: _Parts, problems: Problems) -> None:
        if not raw:
            problems.add(path, "is empty: leave the field out where every value will do")
        for operator, value in raw.items():
            where = below(path, str(operator))
            if operator in OPERATORS:
                self._operator(str(operator), value, where, parts, problems)
            elif operator in OPERATORS_LATER:
                problems.add(where, f"not supported yet: {OPERATORS_LATER[str(operator)]}")
            elif operator not in _COMPANIONS or _COMPANIONS[str(operator)] not in raw:
                problems.unknown(where, "unknown operator", str(operator), OPERATORS)

    def _operator(self, operator: str, value: object, path: str, parts: _Parts, problems: Problems) -> None:
        if operator == "is":
            if isinstance(value, list):
                problems.add(path, "must be a single value: use in for a list")
            else:
                parts.narrow(self._values(value, path, problems))
        elif operator == "in":
            parts.narrow(self._values(value, path, problems))
        elif operator == "not" and isinstance(value, dict):
            problems.add(path, "not supported yet: not around other conditions")
        elif operator == "not":
            parts.none_of = self._values(value, path, problems)
        else:
            self._bounds(operator, value, path, parts, problems)

    def _bounds(self, operator: str, value: object, path: str, parts: _Parts, problems: Problems) -> None:
        if self._item.type not in ORDERED_TYPES:
            problems.add(path, f"is for integer and date fields only, {self._item.name} is {self._item.type}")
            return
        if operator == "between" and not (isinstance(value, list) and len(value) == 2):
            problems.add(path, "must be a list of two values: [least, greatest]")
            return
        least, greatest = value if isinstance(value, list) and operator == "between" else (value, value)
        if operator != "max":
            parts.minima.extend(self._value(least, path, problems, bound=True))
        if operator != "min":
            parts.maxima.extend(self._value(greatest, path, problems, bound=True))

    def _values(self, raw: object, path: str, problems: Problems) -> frozenset[Value]:
        values = raw if isinstance(raw, list) else [raw]
        if not values:
            problems.add(path, "is an empty list")
        if len(values) > VALUES_MAX:
            problems.add(path, f"holds more than {VALUES_MAX:,} values")
            return frozenset()
        return frozenset(found for value in values for found in self._value(value, path, problems))

    def _value(self, raw: object, path: str, problems: Problems, *, bound: bool = False) -> tuple[Value, ...]:
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
        if outcome is None:
            problems.add(path, "is blank")
            return ()
        return (outcome.casefold() if item.type is FieldType.TEXT and isinstance(outcome, str) else outcome,)

    def _conflict(self, condition: Condition) -> str | None:
        """Why no lead could ever match, if that is so."""
        item, least, greatest = self._item, condition.minimum, condition.maximum
        if least is not None and greatest is not None and _order(least) > _order(greatest):
            return f"the least value {least} is above the greatest {greatest}"
        if least is not None and item.maximum is not None and _order(least) > _order(item.maximum):
            return f"{item.name} is at most {item.maximum}"
        if greatest is not None and item.minimum is not None and _order(greatest) < _order(item.minimum):
            return f"{item.name} is at least {item.minimum}"
        candidates = condition.any_of if condition.any_of is not None else self._domain(condition)
        if candidates is None or any(_holds(condition, value) for value in candidates):
            return None
        return "what one part asks for, another excludes"

    def _domain(self, condition: Condition) -> frozenset[Value] | None:
        """All values that the field can have, where they are few."""
        if self._item.type is FieldType.ENUM:
            return frozenset(self._item.values)
        if self._item.type is FieldType.BOOLEAN:
            return frozenset({True, False})
        single = condition.minimum is not None and condition.minimum == condition.maximum
        return frozenset({condition.minimum}) if single and condition.minimum is not None else None


def _as_written(kind: FieldType, raw: object) -> tuple[str, Value | None]:
    """What a value of this type looks like in the file, and the value where it looks like that."""
    if kind is FieldType.BOOLEAN:
        return "true or false", raw if isinstance(raw, bool) else None
    if kind is FieldType.INTEGER:
        return "a whole number", raw if isinstance(raw, int) and not isinstance(raw, bool) else None
    return "text", as_text(raw)


def _holds(condition: Condition, value: Value) -> bool:
    """Whether a value that is asked for passes the other parts."""
    return (
        value not in condition.none_of
        and (condition.minimum is None or _order(value) >= _order(condition.minimum))
        and (condition.maximum is None or _order(value) <= _order(condition.maximum))
    )


def _order(value: Value) -> tuple[int, str]:
    """A sort key for values of one ordered type: numbers by size, dates as their text."""
    return (0, value) if isinstance(value, str) else (int(value), "")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:].removesuffix(".")
