"""The requests of a mapping: its fields put in their places and written by a serializer, never by pasting texts."""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

from exchange.buyers.dialects.json_writing import Runs, json_writer
from exchange.buyers.dialects.sources import ABSENT, Facts, Get, compile_source, single_text, text_of
from exchange.buyers.dialects.trees import OWN_TEXT, tree
from exchange.buyers.dialects.wire import NO_HEADERS, Request, Unsendable
from exchange.buyers.dialects.xml_writing import Tag, write_xml
from exchange.values.mapping import Body, Message, Origin, Part

SOAP_ENVELOPES: Mapping[Body, str] = MappingProxyType(
    {
        Body.SOAP11: "http://schemas.xmlsoap.org/soap/envelope/",
        Body.SOAP12: "http://www.w3.org/2003/05/soap-envelope",
    }
)
XML_BODIES = frozenset({Body.XML, *SOAP_ENVELOPES})
Write = Callable[[Facts], bytes]

_new = tuple.__new__
"""Makes a named tuple in half the time that its name takes."""

_ACCEPTED: Mapping[Body, str] = MappingProxyType({Body.JSON: "application/json"})
_ANY = "*/*"
_HEADER_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff]*")


class Writer:
    """Writes one message of a mapping. `standing` are the headers that are the same whatever is sent."""

    def __init__(self, message: Message, secrets: Mapping[str, str], runs: Runs) -> None:
        """Raises PlaceError where the parts do not fit together."""
        self.standing = _standing_headers(message, secrets)
        self._headers = _gets([part for part in message.headers if not _is_standing(part)], secrets)
        in_query = (*message.query, *message.fields) if message.body is Body.QUERY else message.query
        self._query = _gets(in_query, secrets)
        self._charset = message.charset
        self._body = _body(message, secrets, runs)
        self.write = self._write if self._headers or self._query else _plain(self._body)
        """Writes the request for a ping or post. It raises Unsendable."""

    def _write(self, facts: Facts) -> Request:
        headers = {name: _in_head(name, value) for name, get in self._headers if (value := get(facts)) is not ABSENT}
        return Request(self._body(facts), _urlencoded(self._query, facts, self._charset, quote), headers)


def _plain(body: Write) -> Callable[[Facts], Request]:
    """What most requests are: a body and no more."""
    return lambda facts: _new(Request, (body(facts), "", NO_HEADERS))


def _in_head(name: str, value: Any) -> str:
    """A header's value that arrives as it is: in one line, and without blanks at its ends, which a reader drops."""
    text = single_text(name, value)
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


def _body(message: Message, secrets: Mapping[str, str], runs: Runs) -> Write:
    match message.body:
        case Body.JSON:
            return json_writer(message.fields, secrets, runs)
        case Body.FORM:
            return _form(_gets(message.fields, secrets), message.charset)
        case Body.QUERY:
            return lambda _: b""
        case Body.XML | Body.SOAP11 | Body.SOAP12:
            return _xml(message, tree(message.fields, secrets, xml=True))


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
            tag.attributes[name[1:]] = single_text(name, item)
        elif name == OWN_TEXT:
            tag.text = single_text(name, item)
        else:
            for one in item if isinstance(item, list) else (item,):
                child = Tag(name)
                _fill(child, one)
                tag.children.append(child)
