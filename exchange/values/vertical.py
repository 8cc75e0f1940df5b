"""A vertical: a kind of lead and its field catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Single = str | int | bool
"""One value after normalisation. Dates and times are ISO text: every type compares in its natural order."""

Value = Single | list[Single]
"""A field's value: of a field with several values the list of them."""

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

MULTIPLE_TYPES = frozenset({FieldType.TEXT, FieldType.INTEGER, FieldType.ENUM, FieldType.US_ZIP, FieldType.US_STATE})
"""Types of which a field may have several values."""

ORDERED_TYPES = AGED_TYPES | {FieldType.INTEGER}
"""Types that a filter may bound with `min`, `max` and `between`."""


class Stage(StrEnum):
    """When a field is sent: with the ping already, or with the post only."""

    PING = "ping"
    POST = "post"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a vertical. `minimum` and `maximum` are inclusive; `max_length` is in characters.

    What a field with `multiple` says of a value holds for each of its values.
    """

    name: str
    type: FieldType
    stage: Stage
    required: bool = False
    minimum: Single | None = None
    maximum: Single | None = None
    max_length: int | None = None
    values: tuple[str, ...] = ()
    region: str = "US"
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Vertical:
    """A vertical's fields by name, in catalogue order; `identity` names those that tell one person from another."""

    key: str
    fields: Mapping[str, Field]
    identity: tuple[str, ...] = field(default=())

    def names(self, stage: Stage) -> tuple[str, ...]:
        """The names of the fields that are first sent at `stage`."""
        return tuple(name for name, item in self.fields.items() if item.stage is stage)
