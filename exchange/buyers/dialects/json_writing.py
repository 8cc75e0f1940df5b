"""Bodies in JSON, written group by group: fields that are sent as they are, then others, each group by the serializer.

What several buyers are sent alike is written once for a ping: fields of the same names in the same places.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any
from weakref import WeakValueDictionary

import orjson

from exchange.buyers.dialects.sources import ABSENT, Facts, Get, compile_source, constant, written_json
from exchange.buyers.dialects.trees import Steps, object_of, read_places
from exchange.buyers.dialects.wire import Unsendable
from exchange.values.mapping import Origin, Part, Source
from exchange.values.vertical import Lead

Members = Callable[[Facts], bytes]
"""The members of an object as JSON has them, without its braces; nothing where none is there."""


class Run:
    """Fields that are sent as they are, one after another, by key and name in the lead."""

    __slots__ = ("__weakref__", "_get_all", "_keys", "_pairs")

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._pairs = pairs
        self._keys = [key for key, _ in pairs]
        names = [name for _, name in pairs]
        self._get_all = itemgetter(*names, names[0])  # one more, so that it is always several

    def fill(self, found: dict[str, Any], lead: Lead) -> None:
        """Puts what is there of a lead into an object."""
        try:
            found.update(zip(self._keys, self._get_all(lead)))  # noqa: B905  # the one more is left out
        except KeyError:
            found.update([(key, lead[name]) for key, name in self._pairs if name in lead])

    def members(self, facts: Facts) -> bytes:
        """What is there of a lead; of a ping it is written once for all who are told the same."""
        kept = facts.written
        if kept is None:
            return self._written(facts.lead)
        text = kept.get(self)
        if text is None:
            text = kept[self] = self._written(facts.lead)
        return text

    def _written(self, lead: Lead) -> bytes:
        found: dict[str, Any] = {}
        self.fill(found, lead)
        return orjson.dumps(found)[1:-1]


class Runs:
    """The runs of all mappings of a market: equal ones are the same."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[tuple[str, str], ...], Run] = WeakValueDictionary()

    def of(self, pairs: tuple[tuple[str, str], ...]) -> Run:
        """The run of these keys and names."""
        run = self._known.get(pairs)
        if run is None:
            run = self._known[pairs] = Run(pairs)
        return run


def json_writer(parts: Sequence[Part], secrets: Mapping[str, str], runs: Runs) -> Callable[[Facts], bytes]:
    """What writes the whole document of all parts, which fit together. It raises Unsendable."""
    places = read_places([part.place for part in parts], xml=False)
    groups = _Object(secrets, runs).groups(list(zip(places, parts, strict=True)))

    def write(facts: Facts) -> bytes:
        try:
            return b"{%b}" % b",".join([text for members in groups if (text := members(facts))])
        except orjson.JSONEncodeError as error:
            raise Unsendable("a text that JSON cannot carry") from error

    return write


Inner = Sequence[tuple[Steps, Part]]
"""What stands under one key: a part without further steps, or what is deeper."""


class _Object:
    """Compiles objects into what writes their members."""

    def __init__(self, secrets: Mapping[str, str], runs: Runs) -> None:
        self._secrets = secrets
        self._runs = runs

    def groups(self, parts: Inner) -> list[Members]:
        """The members of one object; its keys stay in the order in which they come first."""
        below: dict[str, list[tuple[Steps, Part]]] = {}
        for (first, *rest), part in parts:
            below.setdefault(str(first), []).append((tuple(rest), part))
        kinds = groupby(below.items(), lambda item: _kind(item[1]))
        return [members for kind, items in kinds for members in self._group(kind, dict(items))]

    def _group(self, kind: str, items: Mapping[str, Inner]) -> list[Members]:
        if kind == _PLAIN:
            return [self._runs.of(tuple((key, inner[0][1].source.name) for key, inner in items.items())).members]
        if kind == _OBJECT:
            return [_nested(key, self.groups(inner)) for key, inner in items.items()]
        return [self._values(items)]

    def _values(self, items: Mapping[str, Inner]) -> Members:
        """Members with values of their own; what never changes is there from the beginning."""
        form: dict[str, Any] = dict.fromkeys(items)
        changing: list[tuple[str, Get]] = []
        for key, inner in items.items():
            steps, part = inner[0]
            form[key] = ABSENT if steps else constant(part.source, self._secrets, part.place)
            if form[key] is ABSENT:
                changing.append((key, self._value(inner)))
        if not changing:
            text = _members(form)
            return lambda _: text

        def members(facts: Facts) -> bytes:
            found = form.copy()
            for key, get in changing:
                found[key] = value = get(facts)
                if value is ABSENT:
                    del found[key]
            return _members(found)

        return members

    def _value(self, inner: Inner) -> Get:
        gets = [(steps, compile_source(part.source, self._secrets, part.place)) for steps, part in inner]
        return object_of(gets) if gets[0][0] else gets[0][1]


_PLAIN, _OBJECT, _VALUE = "plain", "object", "value"


def _kind(inner: Inner) -> str:
    steps, part = inner[0]
    if steps:
        return _VALUE if isinstance(steps[0], int) else _OBJECT
    return _PLAIN if part.source == Source(Origin.FIELD, part.source.name) else _VALUE


def _members(found: Mapping[str, Any]) -> bytes:
    return orjson.dumps(found, written_json)[1:-1]


def _nested(key: str, groups: Sequence[Members]) -> Members:
    head = orjson.dumps(key) + b":{"

    def members(facts: Facts) -> bytes:
        text = b",".join([text for members in groups if (text := members(facts))])
        return head + text + b"}" if text else b""

    return members
