"""The filter of an order: conditions on the ping fields of its vertical, and groups of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.marketfile.conditions import group_members
from exchange.marketfile.entries import as_written, below
from exchange.marketfile.possible import dead_end
from exchange.marketfile.problems import Problems, shown, wrong
from exchange.marketfile.verticals import Catalogue
from exchange.values.filters import Condition, Filter, Group, Junction
from exchange.values.vertical import Stage

GROUPS = frozenset(Junction)


def read_filter(raw: object, path: str, catalogue: Catalogue, problems: Problems) -> Filter:
    """An order's filter, as far as it can be read, with the problems of the rest reported.

    Orders that write the same share one: many do, and reading filters is most of reading a market.
    """
    if not isinstance(raw, Mapping):
        return Filter()  # absent, or reported with the order's shape
    written = as_written(raw)
    known = catalogue.filters.get(written)
    if known is not None:
        return known
    before = len(problems)
    found = _FilterReader(catalogue, problems).read(raw, path, 0)
    if len(problems) == before and _has_groups(found):
        reason = dead_end(found, catalogue.fields)
        if reason is not None:
            problems.add(path, reason)
    if len(problems) == before:
        catalogue.filters[written] = found
    return found


def _has_groups(item: Filter) -> bool:
    return bool(item.groups) or any(condition.groups for condition in item.conditions.values())


@dataclass(frozen=True, slots=True)
class _FilterReader:
    catalogue: Catalogue
    problems: Problems

    def read(self, raw: Mapping[object, object], path: str, depth: int) -> Filter:
        """A filter that stands in `depth` groups. A field of a group's name goes before the group."""
        conditions: dict[str, Condition] = {}
        groups: list[Group[Filter]] = []
        for name, written in raw.items():
            if not isinstance(name, str):
                continue  # reported with the order's shape
            where = below(path, name)
            reader = self.catalogue.conditions.get(name)
            if reader is not None:
                found = reader.read(written, where, self.problems, depth)
                if found is not None:
                    conditions[name] = found
            elif self.catalogue.stages.get(name) is Stage.POST:
                self.problems.add(where, "is sent with the post only: a filter can ask for fields of the ping")
            elif name not in self.catalogue.stages and name in GROUPS:
                groups.append(self._group(Junction(name), written, where, depth + 1))
            elif name not in self.catalogue.stages:
                known = self.catalogue.conditions
                self.problems.unknown(where, f"there is no field {shown(name)}", name, known)
        return Filter(conditions, tuple(groups))

    def _group(self, junction: Junction, raw: object, path: str, depth: int) -> Group[Filter]:
        members = group_members(junction, raw, path, self.problems, depth)
        return Group(junction, tuple(self._member(member, where, depth) for member, where in members))

    def _member(self, raw: object, path: str, depth: int) -> Filter:
        if not isinstance(raw, dict):
            self.problems.add(path, wrong("a mapping of conditions by field", raw))
            return Filter()
        if not raw:
            self.problems.add(path, "is empty: it would say nothing")
        for name in raw:
            if not isinstance(name, str):
                self.problems.add(path, "a key must be text")
        return self.read(raw, path, depth)
