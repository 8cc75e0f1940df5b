"""The verticals of a market file: their field catalogues, as far as each field can be read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from exchange.marketfile.conditions import ConditionReader
from exchange.marketfile.entries import below, named, shaped
from exchange.marketfile.limits import FIELDS_MAX, VALUES_MAX
from exchange.marketfile.problems import Problems, shown, wrong
from exchange.marketfile.references import check_list
from exchange.marketfile.shapes.verticals import FieldShape, VerticalShape
from exchange.rules.fields import reader_for
from exchange.values.filters import Filter
from exchange.values.schedule import Schedule
from exchange.values.vertical import (
    CONTACT_TYPES,
    MULTIPLE_TYPES,
    ORDERED_TYPES,
    Field,
    FieldType,
    Single,
    Stage,
    Vertical,
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A vertical as the rest of the file sees it. `stages` knows every field's name, also of fields that are wrong.

    `fields` and `conditions` hold the right ones. `vertical` is None where any part is wrong. `filters` are those that
    have been read without a problem so far, by how they are written. Of equal `schedules` orders share one.
    """

    stages: Mapping[str, Stage | None]
    fields: Mapping[str, Field]
    conditions: Mapping[str, ConditionReader]
    vertical: Vertical | None
    filters: dict[bytes, Filter] = field(default_factory=dict)
    schedules: dict[Schedule, Schedule] = field(default_factory=dict)


def read_vertical(key: str, raw: object, path: str, problems: Problems) -> Catalogue:
    """Reads one vertical. Problems of its fields do not hide one another."""
    before = len(problems)
    shape = shaped(VerticalShape, path, raw, problems)
    entries: dict[str, Any] = {}
    if isinstance(raw, dict) and isinstance(raw.get("fields"), dict):
        entries = named(raw["fields"], f"{path}.fields", FIELDS_MAX, problems)
        if isinstance(raw.get("identity"), list):
            check_list(raw["identity"], f"{path}.identity", "field", entries, problems)
    fields: dict[str, Field] = {}
    for name, entry in entries.items():
        item = _read_field(name, entry, below(f"{path}.fields", name), problems)
        if item is not None:
            fields[name] = item
    for name in shape.identity if shape else ():
        if name in fields and fields[name].multiple:
            problems.add(f"{path}.identity", f"{shown(name)} has several values: nobody could be told by one of them")
    return Catalogue(
        stages={name: fields[name].stage if name in fields else None for name in entries},
        fields=fields,
        conditions={name: ConditionReader(item) for name, item in fields.items() if item.stage is Stage.PING},
        vertical=Vertical(key, fields, tuple(shape.identity)) if shape and len(problems) == before else None,
    )


def _read_field(name: str, raw: object, path: str, problems: Problems) -> Field | None:
    shape = shaped(FieldShape, path, raw, problems)
    if shape is None:
        return None
    before = len(problems)
    item = Field(name, FieldType(shape.type), Stage(shape.stage), shape.required, max_length=shape.max_length)
    if item.type in CONTACT_TYPES and item.stage is Stage.PING:
        problems.add(f"{path}.in", f"{item.type} names a person: it is sent with the post, never with a ping")
    _check_fit(item.type, shape, path, problems)
    item = replace(item, values=tuple(shape.values or ()), region=shape.region, multiple=shape.multiple)
    item = _with_bounds(item, shape, path, problems)
    return item if len(problems) == before else None


def _check_fit(kind: FieldType, shape: FieldShape, path: str, problems: Problems) -> None:
    """Finds keys that mean nothing for the field's type, and values that an enum cannot have."""
    fits = {
        "max_length": {FieldType.TEXT},
        "values": {FieldType.ENUM},
        "region": {FieldType.PHONE},
        "minimum": ORDERED_TYPES,
        "maximum": ORDERED_TYPES,
    }
    for attribute, kinds in fits.items():
        if attribute in shape.model_fields_set and kind not in kinds:
            key = FieldShape.model_fields[attribute].alias or attribute
            problems.add(f"{path}.{key}", f"is for {_listed(sorted(kinds))} fields only, this one is {kind}")
    if shape.multiple and kind not in MULTIPLE_TYPES:
        kinds_told = _listed(sorted(MULTIPLE_TYPES))
        problems.add(f"{path}.multiple", f"is for {kinds_told} fields only, this one is {kind}")
    if kind is not FieldType.ENUM:
        return
    values = shape.values or []
    if not values:
        problems.add(f"{path}.values", "an enum needs the list of its values")
    if len(values) > VALUES_MAX:
        problems.add(f"{path}.values", f"holds more than {VALUES_MAX:,} values")
    for value, count in Counter(values).items():
        if count > 1:
            problems.add(f"{path}.values", f"{shown(value)} is listed twice")


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _with_bounds(item: Field, shape: FieldShape, path: str, problems: Problems) -> Field:
    if item.type not in ORDERED_TYPES:
        return item
    least = _bound(item, shape.minimum, f"{path}.min", problems) if "minimum" in shape.model_fields_set else None
    greatest = _bound(item, shape.maximum, f"{path}.max", problems) if "maximum" in shape.model_fields_set else None
    reversed_texts = isinstance(least, str) and isinstance(greatest, str) and least > greatest
    reversed_numbers = isinstance(least, int) and isinstance(greatest, int) and least > greatest
    if reversed_texts or reversed_numbers:
        problems.add(path, f"min {least} is above max {greatest}")
    return replace(item, minimum=least, maximum=greatest)


_BOUNDS_WANTED = {
    FieldType.INTEGER: "a whole number",
    FieldType.DATE: "a date written YYYY-MM-DD",
    FieldType.DATE_TIME: "a time with its zone, written YYYY-MM-DDTHH:MM:SSZ",
}


def _bound(item: Field, raw: object, path: str, problems: Problems) -> Single | None:
    wanted = _BOUNDS_WANTED[item.type]
    outcome = reader_for(replace(item, multiple=False))(raw)
    if not isinstance(outcome, str | int):
        problems.add(path, f"must be {wanted}, not {shown(raw)}" if isinstance(raw, (str, int)) else wrong(wanted, raw))
        return None
    return outcome
