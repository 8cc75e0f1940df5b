"""A mapping in a market file: how an endpoint's requests are built."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from exchange.buyers.dialects.trees import PlaceError, read_places
from exchange.buyers.dialects.xml_writing import is_xml_name
from exchange.marketfile.limits import PARTS_MAX
from exchange.marketfile.outside import Password
from exchange.marketfile.problems import shown
from exchange.marketfile.scalars import Text, choice, refuse, whole
from exchange.marketfile.shapes.base import Given, Shape
from exchange.marketfile.shapes.replies import CHARSETS, ReplyShape
from exchange.marketfile.wording import (
    Constant,
    DayPattern,
    Translation,
    WordList,
    YesAndNo,
    check_header,
    place,
)
from exchange.values.mapping import PING_FACTS, POST_FACTS, Body, Case, Fact, Kind, Money, Phone

_XML_BODIES = frozenset({Body.XML, Body.SOAP11, Body.SOAP12})
_SOAP = frozenset({Body.SOAP11, Body.SOAP12})
_FACTS = choice(*Fact)


def _field_in_short(value: object) -> object:
    """`zip` alone stands for `{field: zip}`."""
    return {"field": value} if isinstance(value, str) else value


def _test_in_short(value: object) -> object:
    """`test` alone stands for `{value: test}`: on tests only."""
    return {"value": value} if isinstance(value, str) else value


class WhenShape(Shape):
    """When a part is sent: where a field or fact is there, and is or is not one of some values."""

    field: Given[Text] = None
    value: Given[Annotated[str, _FACTS]] = None
    within: Given[WordList] = Field(default=None, alias="is")
    without: Given[WordList] = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.field is None) is (self.value is None):
            raise refuse("must say either field or value")
        if self.within is not None and self.without is not None:
            raise refuse("must say either is or not")
        return self


class ItemShape(Shape):
    """A value of a list: of the lead, of the request, or a constant."""

    field: Given[Text] = None
    value: Given[Annotated[str, _FACTS]] = None
    const: Given[Constant] = None
    values: Given[Translation] = None
    otherwise: Given[Constant] = None
    default: Given[Constant] = None
    date: Given[DayPattern] = None
    phone: Given[Annotated[str, choice(*Phone)]] = None
    money: Given[Annotated[str, choice(*Money)]] = None
    boolean: Given[YesAndNo] = None
    case: Given[Annotated[str, choice(*Case)]] = None
    max_chars: Given[Annotated[int, whole(1, 65_536)]] = None
    kind: Given[Annotated[str, choice(*Kind)]] = Field(default=None, alias="as")
    when: Given[Annotated[WhenShape, BeforeValidator(_test_in_short)]] = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        self.check_origin()
        return self

    def check_origin(self) -> None:
        if sum(part is not None for part in (self.field, self.value, self.const)) != 1:
            raise refuse("must say one of field, value and const")


Item = Annotated[ItemShape, BeforeValidator(_field_in_short)]


class SourceShape(ItemShape):
    """Where a part of a request comes from, and how it is written."""

    secret: Given[Password] = None
    items: Given[list[Item]] = Field(default=None, alias="list")
    join: Given[Constant] = None

    def check_origin(self) -> None:
        origins = (self.field, self.value, self.const, self.secret, self.items)
        if sum(part is not None for part in origins) != 1:
            raise refuse("must say one of field, value, const, secret and list")
        if self.items is not None and not 0 < len(self.items) <= PARTS_MAX:
            raise refuse(f"list must have 1 to {PARTS_MAX} entries")
        if self.join is not None and self.items is None and self.field is None:
            raise refuse("join goes with list, or with a field that has several values")


Source = Annotated[SourceShape, BeforeValidator(_field_in_short)]
Parts = dict[Annotated[str, PlainValidator(place, str)], Source]


class MessageShape(Shape):
    """How a ping or a post is written, and its answer read."""

    method: Annotated[str, choice("POST", "PUT", "GET")] = "POST"
    body: Annotated[str, choice(*Body)]
    charset: Annotated[str, choice(*CHARSETS)] = "utf-8"
    root: Given[Text] = None
    namespace: Given[Text] = None
    action: Given[Text] = None
    headers: Parts = {}
    query: Parts = {}
    fields: Parts = {}
    reply: ReplyShape

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.method == "GET" and self.body != Body.QUERY:
            raise refuse("method GET goes with body query only")
        if (self.root is not None) is not (self.body in _XML_BODIES):
            raise refuse("root is the name of the first element: it goes with body xml, soap11 and soap12, and must")
        if self.namespace is not None and self.body not in _XML_BODIES:
            raise refuse("namespace goes with body xml, soap11 and soap12 only")
        if self.action is not None and self.body not in _SOAP:
            raise refuse("action goes with body soap11 and soap12 only")
        if self.body == Body.JSON and self.charset != "utf-8":
            raise refuse("charset of JSON is utf-8")
        if len(self.fields) + len(self.query) + len(self.headers) > PARTS_MAX:
            raise refuse(f"has more than {PARTS_MAX} parts")
        self._check_places()
        return self

    def _check_places(self) -> None:
        for name, source in self.headers.items():
            check_header(name, source.const)
        if self.root is not None and not is_xml_name(self.root):
            raise refuse(f"root: {shown(self.root)} is no name of an element")
        if self.action is not None:
            check_header("SOAPAction", self.action)
        if self.body == Body.JSON or self.body in _XML_BODIES:
            try:
                read_places(list(self.fields), xml=self.body in _XML_BODIES)
            except PlaceError as error:
                raise refuse(f"fields: {shown(error.place)} {error}") from None

    def facts(self) -> Iterator[str]:
        """The names of all that is said of the request."""
        for item in self._sources():
            yield from (name for name in (item.value, item.when and item.when.value) if name)

    def lead_fields(self) -> Iterator[str]:
        """The names of all that is said of the lead."""
        for item in self._sources():
            yield from (name for name in (item.field, item.when and item.when.field) if name)

    def _sources(self) -> Iterator[ItemShape]:
        for source in (*self.fields.values(), *self.query.values(), *self.headers.values()):
            yield from (source, *(source.items or ()))


class MappingShape(Shape):
    """How an endpoint is spoken to."""

    ping: Given[MessageShape] = None
    post: MessageShape
    status: Given[MessageShape] = None

    @model_validator(mode="after")
    def _says_what_is_known(self) -> Self:
        if self.ping is not None:
            if self.ping.reply.price is None and self.ping.reply.bids is None:
                raise refuse("ping.reply.price is missing: a yes without a price is none")
            _check_message("ping", self.ping, PING_FACTS, frozenset({*_OF_SALES, "not_found"}))
        _check_message("post", self.post, POST_FACTS, frozenset({*_OF_BIDS, "not_found"}))
        if self.status is not None:
            _check_message("status", self.status, POST_FACTS, frozenset({*_OF_BIDS, "duplicate"}))
            field = next(self.status.lead_fields(), None)
            if field is not None:
                raise refuse(f"status: {shown(field)} is of the lead, which is not sent again to ask what became of it")
        return self


_OF_SALES = ("reference", "redirect_url", "confirmed")
_OF_BIDS = ("price", "bid_id", "sale", "max_shares", "bids")


def _check_message(key: str, shape: MessageShape, facts: frozenset[Fact], foreign: frozenset[str]) -> None:
    unknown = next((name for name in shape.facts() if name not in facts), None)
    if unknown is not None:
        raise refuse(f"{key}: there is no {unknown} at a {key}")
    found = min((name for name in foreign if getattr(shape.reply, name)), default=None)
    if found is not None:
        raise refuse(f"{key}.reply: {found} is not read at a {key}")
