"""What an order asks of a lead: conditions on fields, and groups of them. Frozen, hashable, acyclic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from exchange.values.vertical import Single

Member = TypeVar("Member")


class Junction(StrEnum):
    """How the members of a group are taken together."""

    AND = "and"
    OR = "or"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Group(Generic[Member]):
    """Members of which all (`AND`) or at least one (`OR`) must hold, or of which the only one must not (`NOT`)."""

    junction: Junction
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A place on the globe, in degrees; north and east are positive."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Radius:
    """Everything within so many miles, inclusive, of a ZIP code's centroid or a point."""

    miles: float
    of: str | Point


@dataclass(frozen=True, slots=True)
class Condition:
    """What one filter key asks of one field; every part that is given must hold. Bounds are inclusive.

    An absent value fails every part but `exists` False; a condition without any part asks for presence. Ages are in
    seconds at the moment of the ping. Values,
    prefixes and patterns of text fields compare without regard to case; values and prefixes are held case-folded.

    With `of_several` the field has several values: each part is met by any of them, both bounds by one, and `none_of`
    by all.
    """

    any_of: frozenset[Single] | None = None
    none_of: frozenset[Single] = frozenset()
    minimum: Single | None = None
    maximum: Single | None = None
    exists: bool | None = None
    prefixes: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    within: Radius | None = None
    min_age_s: int | None = None
    max_age_s: int | None = None
    groups: tuple[Group["Condition"], ...] = ()
    of_several: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions by ping field, and groups of filters; all of them must hold."""

    conditions: Mapping[str, Condition] = field(default_factory=dict)
    groups: tuple[Group["Filter"], ...] = ()

    def __hash__(self) -> int:
        return hash((frozenset(self.conditions.items()), self.groups))
