"""Bodies in JSON, written in groups, each by the serializer: what never changes, what is a lead's, what is an order's.

What several buyers are sent alike is written once for a ping: the same fields and facts under the same names, in a row;
and each value that they are sent under names of their own.
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
from exchange.values.mapping import Fact, Origin, Part, Source
from exchange.values.vertical import Lead

NOT_JSON = "a text that JSON cannot carry"

Members = Callable[[Facts], bytes]
"""The members of an object as JSON has them, without its braces; nothing where none is there."""


Pairs = tuple[tuple[str, Source], ...]
"""Keys of an object in their order, and what stands there."""


class Constant:
    """Members of an object that are always the same."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __call__(self, _: Facts) -> bytes:
        return self.text


class Value:
    """A value that is the same for all who are shown the same of a lead, whatever it is called."""

    __slots__ = ("__weakref__", "_get")

    def __init__(self, source: Source) -> None:
        self._get = compile_source(source, {}, "")

    def read(self, facts: Facts) -> Any:
        """The value; absent, too, where it cannot be sent: whoever names its place has to say so."""
        try:
            return self._get(facts)
        except Unsendable:
            return ABSENT


class Run:
    """Members of an object, one after another, which are the same for all who are shown the same of a lead."""

    __slots__ = ("__weakref__", "_form", "_get_all", "_get_values", "_others", "_plain", "_template", "_values")

    def __init__(self, pairs: Pairs, places: Mapping[str, str], values: Sequence[str | Value]) -> None:
        """`places` are for messages, by key; `values` are what stands there, fields of the lead by their names."""
        members = [orjson.dumps(key).replace(b"%", b"%%") + b":%b" for key, _ in pairs]
        self._template = b",".join(members) + b"%.0b"
        self._values = values
        self._get_values = itemgetter(*values, values[0])  # one more, so that it is always several
        self._form = dict.fromkeys(key for key, _ in pairs)
        self._plain = {key: source.name for key, source in pairs if _is_plain(source)}
        self._others = [
            (key, compile_source(source, {}, places[key])) for key, source in pairs if key not in self._plain
        ]
        names = [*self._plain.values()]
        self._get_all = itemgetter(*names, names[0]) if names else None  # one more, so that it is always several

    def __call__(self, facts: Facts) -> bytes:
        """What is there; of a ping it is written once for all who are told the same."""
        kept = facts.written
        if kept is None:
            return self._written(facts)
        text = kept.get(self)
        if text is None:
            try:
                text = self._template % self._get_values(kept)
            except KeyError:
                text = self._template % self._get_values(kept) if self._fill_in(facts, kept) else self._written(facts)
            kept[self] = text
        return text

    def _fill_in(self, facts: Facts, kept: dict[object, bytes]) -> bool:
        """Writes the values that nobody has written yet; whether all are there now."""
        lead = facts.lead
        for value in self._values:
            if value in kept:
                continue
            found = lead.get(value, ABSENT) if isinstance(value, str) else value.read(facts)
            if found is ABSENT:
                return False
            kept[value] = orjson.dumps(found, written_json)
        return True

    def _written(self, facts: Facts) -> bytes:
        found: dict[str, Any] = self._form.copy()
        if self._get_all is not None:
            try:
                found.update(zip(self._plain, self._get_all(facts.lead)))  # noqa: B905  # the one more is left out
            except KeyError:
                self._fill(found, facts.lead)
        for key, get in self._others:
            found[key] = value = get(facts)
            if value is ABSENT:
                del found[key]
        return _members(found)

    def _fill(self, found: dict[str, Any], lead: Lead) -> None:
        for key, name in self._plain.items():
            if name in lead:
                found[key] = lead[name]
            else:
                del found[key]


class Runs:
    """The runs of all mappings of a market: equal ones are the same."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[Pairs, tuple[str, ...]], Run] = WeakValueDictionary()
        self._values: WeakValueDictionary[Source, Value] = WeakValueDictionary()

    def of(self, pairs: Pairs, places: Mapping[str, str]) -> Run:
        """The run of these keys and sources."""
        known = pairs, tuple(places.values())
        run = self._known.get(known)
        if run is None:
            values = [source.name if _is_plain(source) else self._value(source) for _, source in pairs]
            run = self._known[known] = Run(pairs, places, values)
        return run

    def _value(self, source: Source) -> Value:
        value = self._values.get(source)
        if value is None:
            value = self._values[source] = Value(source)
        return value


def json_writer(parts: Sequence[Part], secrets: Mapping[str, str], runs: Runs) -> Callable[[Facts], bytes]:
    """What writes the whole document of all parts, which fit together. It raises Unsendable."""
    places = read_places([part.place for part in parts], xml=False)
    groups = _Object(secrets, runs).groups(list(zip(places, parts, strict=True)))
    if len(groups) == 2 and isinstance(groups[0], Constant) and isinstance(groups[1], Run):
        return _after(groups[0].text, groups[1])

    def write(facts: Facts) -> bytes:
        try:
            return b"{%b}" % b",".join([text for members in groups if (text := members(facts))])
        except orjson.JSONEncodeError as error:
            raise Unsendable(NOT_JSON) from error

    return write


def _after(head: bytes, run: Run) -> Callable[[Facts], bytes]:
    """What most documents are: what never changes, then what is the same for all."""
    start, alone = b"{" + head + b",", b"{" + head + b"}"

    def write(facts: Facts) -> bytes:
        kept = facts.written
        try:
            text = (None if kept is None else kept.get(run)) or run(facts)
        except orjson.JSONEncodeError as error:
            raise Unsendable(NOT_JSON) from error
        return b"%b%b}" % (start, text) if text else alone

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
        kinds = groupby(below.items(), lambda item: self._kind(item[1]))
        return [members for kind, items in kinds for members in self._group(kind, dict(items))]

    def _group(self, kind: str, items: Mapping[str, Inner]) -> list[Members]:
        if kind == _SHARED:
            parts = {key: inner[0][1] for key, inner in items.items()}
            pairs = tuple((key, part.source) for key, part in parts.items())
            return [self._runs.of(pairs, {key: part.place for key, part in parts.items()})]
        if kind == _OBJECT:
            return [_nested(key, self.groups(inner)) for key, inner in items.items()]
        if kind == _CONSTANT:
            text = _members({key: self._constant(inner) for key, inner in items.items()})
            return [Constant(text)]
        gets = [(key, self._value(inner)) for key, inner in items.items()]
        return [lambda facts: _members({key: value for key, get in gets if (value := get(facts)) is not ABSENT})]

    def _kind(self, inner: Inner) -> str:
        steps, part = inner[0]
        if steps:
            return _OWN if isinstance(steps[0], int) else _OBJECT
        if self._constant(inner) is not ABSENT:
            return _CONSTANT
        return _SHARED if all(map(_is_shared, part.source.all())) else _OWN

    def _constant(self, inner: Inner) -> Any:
        part = inner[0][1]
        return constant(part.source, self._secrets, part.place)

    def _value(self, inner: Inner) -> Get:
        gets = [(steps, compile_source(part.source, self._secrets, part.place)) for steps, part in inner]
        return object_of(gets) if gets[0][0] else gets[0][1]


_CONSTANT, _SHARED, _OBJECT, _OWN = "constant", "shared", "object", "own"


def _is_plain(source: Source) -> bool:
    """Whether a field of the lead is sent as it is."""
    return source == Source(Origin.FIELD, source.name)


def _is_shared(source: Source) -> bool:
    """Whether what is sent is the same for all who are shown the same of a lead."""
    return source.origin is not Origin.SECRET and not source.names(Fact.ORDER) and not source.names(Fact.SALE)


def _members(found: Mapping[str, Any]) -> bytes:
    return orjson.dumps(found, written_json)[1:-1]


def _nested(key: str, groups: Sequence[Members]) -> Members:
    head = orjson.dumps(key) + b":{"

    def members(facts: Facts) -> bytes:
        text = b",".join([text for members in groups if (text := members(facts))])
        return head + text + b"}" if text else b""

    return members
