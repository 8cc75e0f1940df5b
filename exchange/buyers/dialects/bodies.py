"""The requests of a mapping: its fields put in their places and written by a serializer, never by pasting texts."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import orjson

from exchange.buyers.dialects.paths import PathError, json_path
from exchange.buyers.dialects.sources import ABSENT, Facts, Get, compile_source, text_of, written_json
from exchange.buyers.dialects.wire import Request, Unsendable
from exchange.buyers.dialects.xml_writing import Tag, is_xml_name, write_xml
from exchange.values.mapping import Body, Message, Origin, Part, Source

SOAP_ENVELOPES: Mapping[Body, str] = MappingProxyType(
    {
        Body.SOAP11: "http://schemas.xmlsoap.org/soap/envelope/",
        Body.SOAP12: "http://www.w3.org/2003/05/soap-envelope",
    }
)
XML_BODIES = frozenset({Body.XML, *SOAP_ENVELOPES})
OWN_TEXT = "#"
"""The place of an element's own text, beside its attributes, which are written as `@name`."""

Write = Callable[[Facts], bytes]
Fill = Callable[[dict[str, Any], Facts], None]
"""Puts what is there of a request into an object."""

_ACCEPTED: Mapping[Body, str] = MappingProxyType({Body.JSON: "application/json"})
_ANY = "*/*"
_HEADER_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff]*")


class PlaceError(ValueError):
    """Two parts of a request that cannot both stand where they are put; `place` is the second one's."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place


class Writer:
    """Writes one message of a mapping. `standing` are the headers that are the same whatever is sent."""

    def __init__(self, message: Message, secrets: Mapping[str, str]) -> None:
        """Raises PlaceError where the parts do not fit together."""
        self.standing = _standing_headers(message, secrets)
        self._headers = _gets([part for part in message.headers if not _is_standing(part)], secrets)
        in_query = (*message.query, *message.fields) if message.body is Body.QUERY else message.query
        self._query = _gets(in_query, secrets)
        self._charset = message.charset
        self._body = _body(message, secrets)
        self._is_plain = not self._headers and not self._query

    def write(self, facts: Facts) -> Request:
        """The request for a ping or post. Raises Unsendable."""
        if self._is_plain:
            return Request(self._body(facts))
        headers = {name: _in_head(name, value) for name, get in self._headers if (value := get(facts)) is not ABSENT}
        return Request(self._body(facts), _urlencoded(self._query, facts, self._charset, quote), headers)


def _in_head(name: str, value: Any) -> str:
    """A header's value that arrives as it is: in one line, and without blanks at its ends, which a reader drops."""
    text = text_of(value)
    if not _HEADER_VALUE.fullmatch(text) or text != text.strip():
        raise Unsendable(f"{name}: a value that no header can carry")
    return text


def _standing_headers(message: Message, secrets: Mapping[str, str]) -> dict[str, str]:
    found = {"Accept": _ACCEPTED.get(message.body, _ANY)}
    match message.body:
        case Body.JSON:
            found["Content-Type"] = "application/json"
        case Body.FORM:
            found["Content-Type"] = f"application/x-www-form-urlencoded; charset={message.charset}"
        case Body.XML:
            found["Content-Type"] = f"text/xml; charset={message.charset}"
        case Body.SOAP11:
            found["Content-Type"] = f"text/xml; charset={message.charset}"
            found["SOAPAction"] = f'"{message.action}"'
        case Body.SOAP12:
            action = f'; action="{message.action}"' if message.action else ""
            found["Content-Type"] = f"application/soap+xml; charset={message.charset}{action}"
        case Body.QUERY:
            pass
    for part in message.headers:
        if _is_standing(part):
            source = part.source
            found = {name: text for name, text in found.items() if name.lower() != part.place.lower()}
            found[part.place] = source.name if source.origin is Origin.CONST else secrets[source.name]
    return found


def _is_standing(part: Part) -> bool:
    return part.source.origin in {Origin.CONST, Origin.SECRET} and part.source.when is None


def _gets(parts: Iterable[Part], secrets: Mapping[str, str]) -> list[tuple[str, Get]]:
    return [(part.place, compile_source(part.source, secrets, part.place)) for part in parts]


def _body(message: Message, secrets: Mapping[str, str]) -> Write:
    match message.body:
        case Body.JSON:
            return _json(_tree(message.fields, secrets))
        case Body.FORM:
            return _form(_gets(message.fields, secrets), message.charset)
        case Body.QUERY:
            return lambda _: b""
        case Body.XML | Body.SOAP11 | Body.SOAP12:
            return _xml(message, _tree(message.fields, secrets, xml=True))


def _json(document: Get) -> Write:
    def write(facts: Facts) -> bytes:
        try:
            return orjson.dumps(document(facts), written_json)
        except orjson.JSONEncodeError as error:
            raise Unsendable("a text that JSON cannot carry") from error

    return write


def _form(gets: list[tuple[str, Get]], charset: str) -> Write:
    return lambda facts: _urlencoded(gets, facts, charset, quote_plus).encode("ascii")


def _urlencoded(gets: list[tuple[str, Get]], facts: Facts, charset: str, how: Callable[..., str]) -> str:
    pairs = [
        (name, text_of(item))
        for name, get in gets
        if (value := get(facts)) is not ABSENT
        for item in (value if isinstance(value, list) else (value,))
    ]
    try:
        return urlencode(pairs, encoding=charset, errors="strict", quote_via=how)
    except UnicodeEncodeError as error:
        raise Unsendable(f"a character that {charset} does not have") from error


def _xml(message: Message, document: Get) -> Write:
    attributes = {"xmlns": message.namespace} if message.namespace else {}
    envelope = SOAP_ENVELOPES.get(message.body)

    def write(facts: Facts) -> bytes:
        root = Tag(message.root, dict(attributes))
        _fill(root, document(facts))
        if envelope is not None:
            body = Tag("soap:Body", children=[root])
            root = Tag("soap:Envelope", {"xmlns:soap": envelope}, children=[body])
        return write_xml(root, message.charset)

    return write


def _fill(tag: Tag, value: Any) -> None:
    """Puts a value into an element: an object's keys become attributes, its text, and children in their order."""
    if not isinstance(value, dict):
        tag.text = text_of(value)
        return
    for name, item in value.items():
        if name.startswith("@"):
            tag.attributes[name[1:]] = text_of(item)
        elif name == OWN_TEXT:
            tag.text = text_of(item)
        else:
            for one in item if isinstance(item, list) else (item,):
                child = Tag(name)
                _fill(child, one)
                tag.children.append(child)


Steps = tuple[str | int, ...]


def _tree(parts: Sequence[Part], secrets: Mapping[str, str], *, xml: bool = False) -> Get:
    """One function that builds the whole document of all parts."""
    places = read_places([part.place for part in parts], xml=xml)
    if all(len(steps) == 1 for steps in places):
        return _flat(parts, secrets)
    gets = [compile_source(part.source, secrets, part.place) for part in parts]
    return _object(list(zip(places, gets, strict=True)), root=True)


def _flat(parts: Sequence[Part], secrets: Mapping[str, str]) -> Get:
    """An object without others in it. Most of its fields are sent as they are: those need no call each."""
    fills: list[Fill] = []
    for is_plain, run in groupby(parts, lambda part: part.source == Source(Origin.FIELD, part.source.name)):
        if is_plain:
            fills.append(_fields({part.place: part.source.name for part in run}))
        else:
            fills += [_value(part.place, compile_source(part.source, secrets, part.place)) for part in run]

    def build(facts: Facts) -> Any:
        found: dict[str, Any] = {}
        for fill in fills:
            fill(found, facts)
        return found

    return build


def _fields(names: Mapping[str, str]) -> Fill:
    places, fields = tuple(names), tuple(names.values())
    get_all = itemgetter(*fields, fields[0])  # one more, so that it is always several

    def fill(found: dict[str, Any], facts: Facts) -> None:
        lead = facts.lead
        try:
            found.update(zip(places, get_all(lead)))  # noqa: B905  # the one more is left out
        except KeyError:
            found.update([(place, lead[name]) for place, name in names.items() if name in lead])

    return fill


def _value(place: str, get: Get) -> Fill:
    def fill(found: dict[str, Any], facts: Facts) -> None:
        value = get(facts)
        if value is not ABSENT:
            found[place] = value

    return fill


def read_places(places: Sequence[str], *, xml: bool) -> list[Steps]:
    """The steps to each place of a document. Raises PlaceError where they do not fit together."""
    found: list[Steps] = []
    for place in places:
        try:
            steps = json_path(place)
        except PathError as error:
            raise PlaceError(place, str(error)) from error
        if xml:
            _check_xml(steps, place)
        elif isinstance(steps[0], int):
            raise PlaceError(place, "must begin with a name")
        _check_free(found, steps, place)
        found.append(steps)
    return found


def _check_xml(steps: Steps, place: str) -> None:
    *above, last = steps
    names = [step for step in steps if isinstance(step, str)]
    special = [name for name in above if isinstance(name, str) and (name.startswith("@") or name == OWN_TEXT)]
    bare = [name.removeprefix("@") for name in names if name != OWN_TEXT]
    if special or isinstance(steps[0], int) or not all(map(is_xml_name, bare)) or last == "@":
        raise PlaceError(place, "is no place in XML such as Contact.FirstName, Contact.@id or Vehicle[0].Make")


def _check_free(taken: Iterable[Steps], steps: Steps, place: str) -> None:
    for other in taken:
        size = min(len(other), len(steps))
        if other[:size] == steps[:size]:
            raise PlaceError(place, "stands where another part stands already")
        shared = next(index for index in range(size) if other[index] != steps[index])
        if isinstance(other[shared], int) is not isinstance(steps[shared], int):
            raise PlaceError(place, "makes a list of what another part makes an object")


def _object(parts: list[tuple[Steps, Get]], *, root: bool = False) -> Get:
    """What builds an object, or a list where the steps are numbers; without anything in it, it is absent."""
    below: dict[str | int, list[tuple[Steps, Get]]] = {}
    for (first, *rest), get in parts:
        below.setdefault(first, []).append((tuple(rest), get))
    items = [(key, inner[0][1] if not inner[0][0] else _object(inner)) for key, inner in below.items()]
    if items and isinstance(items[0][0], int):
        gets = [get for _, get in sorted(items, key=lambda item: item[0])]
        return lambda facts: [value for get in gets if (value := get(facts)) is not ABSENT] or ABSENT

    def build(facts: Facts) -> Any:
        found = {}
        for key, get in items:
            value = get(facts)
            if value is not ABSENT:
                found[key] = value
        return found if found or root else ABSENT

    return build
