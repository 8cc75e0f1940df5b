"""Ages: how old the dates and times of a lead are at a moment, which is that of its ping.

The rules of a market stand still while time goes on. So a lead is given the ages of its fields once per ping, beside
the fields themselves, and rules compare ages as they compare numbers. Whoever looks back does the same at the moment of
the ping, and finds the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from exchange.values.filters import Condition, Filter
from exchange.values.vertical import AGED_TYPES, FieldType, Lead, Value, Vertical

HOUR_S = 3_600
DAY_S = 86_400


def age_name(field: str) -> str:
    """Where a lead has the age of a field: a name that no field can have."""
    return f"age of {field}"


@dataclass(frozen=True, slots=True)
class Ages:
    """The fields of a campaign whose age its rules ask for. Days are those of `zone`."""

    fields: tuple[tuple[str, FieldType], ...]
    zone: ZoneInfo

    def beside(self, lead: Lead, moment: datetime) -> Lead:
        """A lead with the ages of its fields, in seconds; what it does not have has no age."""
        ages = {
            age_name(name): age_s(value, kind, moment, self.zone)
            for name, kind in self.fields
            if isinstance(value := lead.get(name), str)
        }
        return {**lead, **ages}


def ages_asked(vertical: Vertical, filters: Iterable[Filter], zone: ZoneInfo) -> Ages | None:
    """The ages that filters ask for; None where they ask for none, so that their pings do nothing for it."""
    if not any(item.type in AGED_TYPES for item in vertical.fields.values()):
        return None
    asked = {name for item in filters for name in _aged_fields(item)}
    fields = tuple((name, item.type) for name, item in vertical.fields.items() if name in asked)
    return Ages(fields, zone) if fields else None


def age_s(value: str, kind: FieldType, moment: datetime, zone: ZoneInfo) -> int:
    """The age of a normalised value in seconds: of a date in whole days, of a time in whole seconds; never negative."""
    if kind is FieldType.DATE:
        age = timedelta(days=(moment.astimezone(zone).date() - date.fromisoformat(value)).days)
    else:
        age = moment - datetime.fromisoformat(value)
    return max(0, age // timedelta(seconds=1))


def _aged_fields(item: Filter) -> Iterator[str]:
    yield from (name for name, condition in item.conditions.items() if _asks_age(condition))
    for group in item.groups:
        for member in group.members:
            yield from _aged_fields(member)


def _asks_age(item: Condition) -> bool:
    own = item.min_age_s is not None or item.max_age_s is not None
    return own or any(_asks_age(member) for group in item.groups for member in group.members)


def age_of(lead: Lead, field: str) -> Value | None:
    """The age of a field, where the lead has been given it."""
    return lead.get(age_name(field))
