"""A vertical: a kind of lead and its field catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = str | int | bool
"""A field's value after normalisation. Dates and times are ISO text: every type compares in its natural order."""

Lead = Mapping[str, Value]
"""Normalised field values by field name; an absent field has no key."""


class FieldType(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    DATE_TIME = "date_time"
    ENUM = "enum"
    US_ZIP = "us_zip"
    US_STATE = "us_state"
    PHONE = "phone"
    EMAIL = "email"


CONTACT_TYPES = frozenset({FieldType.PHONE, FieldType.EMAIL})
"""Types that name a person by themselves: a ping cannot carry them, whatever a market file says."""

AGED_TYPES = frozenset({FieldType.DATE, FieldType.DATE_TIME})
"""Types that have an age."""

ORDERED_TYPES = AGED_TYPES | {FieldType.INTEGER}
"""Types that a filter may bound with `min`, `max` and `between`."""


class Stage(StrEnum):
    """When a field is sent: with the ping already, or with the post only."""

    PING = "ping"
    POST = "post"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a vertical. `minimum` and `maximum` are inclusive; `max_length` is in characters."""

    name: str
    type: FieldType
    stage: Stage
    required: bool = False
    minimum: Value | None = None
    maximum: Value | None = None
    max_length: int | None = None
    values: tuple[str, ...] = ()
    region: str = "US"


@dataclass(frozen=True, slots=True)
class Vertical:
    """A vertical's fields by name, in catalogue order; `identity` names those that tell one person from another."""

    key: str
    fields: Mapping[str, Field]
    identity: tuple[str, ...] = field(default=())

    def names(self, stage: Stage) -> tuple[str, ...]:
        """The names of the fields that are first sent at `stage`."""
        return tuple(name for name, item in self.fields.items() if item.stage is stage)
