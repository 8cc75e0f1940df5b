"""A buyer who is a SOAP service: zeep reads what he is sent, by his WSDL, and writes what he answers."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import canonicalize
from xml.sax.saxutils import escape

import pytest
import zeep
from lxml import etree
from zeep.exceptions import Fault
from zeep.xsd.valueobjects import CompoundValue

from support.buyer import Answer, Received

NAMESPACE = "http://b.example/leads"
KINDS: Mapping[str, str] = {"soap11": "text/xml", "soap12": "application/soap+xml", "calls": "text/xml"}
"""The bindings of the WSDL, and what their messages are said to be."""

ENVELOPES = {"text/xml": "http://schemas.xmlsoap.org/soap/envelope/",
             "application/soap+xml": "http://www.w3.org/2003/05/soap-envelope"}  # fmt: skip

Told = dict[str, Any]


@dataclass(frozen=True)
class Says:
    """What an operation answers: the parts of its result."""

    result: Told


@dataclass(frozen=True)
class Fails:
    """What an operation answers instead: a fault. `detail` stands in it, as a service may put there what it likes."""

    text: str
    detail: Told = field(default_factory=dict)


Does = Callable[[Told], Says | Fails]


@cache
def binding_of(name: str) -> Any:
    """One way of the WSDL to speak. Some of what is used of it has no types, and one name begins with a line."""
    make: Any = zeep.Client
    return make(str(Path(__file__).with_name("leads.wsdl"))).wsdl.bindings[f"{{{NAMESPACE}}}{name}"]


class Service:
    """Reads each call and lets the operation of its name answer; `calls` are what zeep has understood."""

    def __init__(self, binding: str, **operations: Does) -> None:
        self._binding, self._kind, self._operations = binding_of(binding), KINDS[binding], operations
        self.calls: list[tuple[str, Told]] = []
        self.wrong: list[str] = []
        """What zeep would have sent in other words: headers, or the document."""

    async def __call__(self, received: Received) -> Answer:
        return await asyncio.to_thread(self._answer, received)

    def _answer(self, received: Received) -> bytes:
        envelope = etree.fromstring(received.body)
        [call] = envelope.iterfind(f"{{{ENVELOPES[self._kind]}}}Body/*")
        name = etree.QName(call).localname
        told = self._read(name, envelope)
        self.calls.append((name, told))
        self._compare(name, told, received)
        match self._operations[name](told):
            case Says(result):
                return http(self._kind, self._written(name, result))
            case Fails(text, detail):
                return http(self._kind, self._fault(name, text, detail), 500)

    def _read(self, name: str, envelope: Any) -> Told:
        return values(self._binding.get(name).input.deserialize(envelope))

    def _compare(self, name: str, told: Told, received: Received) -> None:
        """The same call as zeep would have made it: its headers, and its document but for the prefixes."""
        operation = self._binding.get(name)
        made = operation.create(**without_none(told))
        self._binding._set_http_headers(made, operation)
        if media_type(made.headers.pop("Content-Type")) != media_type(received.headers["content-type"]):
            self.wrong.append(received.headers["content-type"])
        if self._kind == "text/xml" and received.headers.get("soapaction") != made.headers["SOAPAction"]:
            self.wrong.append(f"SOAPAction: {received.headers.get('soapaction')}")
        if canonical(etree.tostring(made.content)) != canonical(received.body):
            self.wrong.append(received.body.decode())

    def _written(self, name: str, result: Told) -> Any:
        return self._binding.get(name).output.serialize(**result).content

    def _fault(self, name: str, text: str, detail: Told) -> Any:
        """A fault, which zeep reads and does not write; that it is one is what zeep says of it."""
        envelope = etree.fromstring(FAULTS[self._kind].format(ENVELOPES[self._kind], escape(text)))
        for place in envelope.iter("{*}detail", "{*}Detail"):
            if detail:
                place.extend(self._written(name, detail).find(".//{*}Body"))
        with pytest.raises(Fault, match=text):
            self._binding.process_error(envelope, self._binding.get(name))
        return envelope


FAULTS = {
    "text/xml": (
        '<e:Envelope xmlns:e="{0}"><e:Body><e:Fault><faultcode>e:Server</faultcode><faultstring>{1}</faultstring>'
        "<detail/></e:Fault></e:Body></e:Envelope>"
    ),
    "application/soap+xml": (
        '<e:Envelope xmlns:e="{0}"><e:Body><e:Fault><e:Code><e:Value>e:Receiver</e:Value></e:Code><e:Reason>'
        '<e:Text xml:lang="en">{1}</e:Text></e:Reason><e:Detail/></e:Fault></e:Body></e:Envelope>'
    ),
}


def http(kind: str, document: Any, status: int = 200) -> bytes:
    body = etree.tostring(document, xml_declaration=True, encoding="utf-8")
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """A media type and its parameters, in any order, as the standard library reads them."""
    message = Message()
    message["content-type"] = header
    [(kind, _), *parameters] = message.get_params([])
    return kind, dict(parameters)


def canonical(document: bytes) -> str:
    """A document without what says nothing: the prefixes of its names, and their order."""
    return canonicalize(document.decode(), rewrite_prefixes=True)


def values(found: Any) -> Told:
    """What zeep has read, as plain values by name."""
    return {name: values(item) if isinstance(item, CompoundValue) else item for name, item in found.__values__.items()}


def without_none(told: Told) -> Told:
    return {
        name: without_none(value) if isinstance(value, dict) else value
        for name, value in told.items()
        if value is not None
    }
