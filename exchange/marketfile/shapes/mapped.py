"""A mapping in a market file: how an endpoint's requests are built, and its answers read."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from exchange.buyers.dialects.paths import PathError, json_path, xml_path
from exchange.buyers.dialects.trees import PlaceError, read_places
from exchange.buyers.dialects.xml_writing import is_xml_name
from exchange.marketfile.limits import CONDITIONS_MAX, PARTS_MAX
from exchange.marketfile.outside import Password
from exchange.marketfile.problems import shown
from exchange.marketfile.scalars import Amount, Flag, Text, choice, refuse, whole
from exchange.marketfile.shapes.base import Given, Shape
from exchange.marketfile.wording import (
    Constant,
    DayPattern,
    Pattern,
    Statuses,
    Translation,
    WordList,
    YesAndNo,
    check_header,
    place,
)
from exchange.values.mapping import PING_FACTS, POST_FACTS, Body, Case, Fact, Format, Kind, Less, Money, Phone

CHARSETS = ("utf-8", "iso-8859-1", "windows-1252", "us-ascii")
_XML_BODIES = frozenset({Body.XML, Body.SOAP11, Body.SOAP12})
_SOAP = frozenset({Body.SOAP11, Body.SOAP12})
_FACTS = choice(*Fact)


def _field_in_short(value: object) -> object:
    """`zip` alone stands for `{field: zip}`."""
    return {"field": value} if isinstance(value, str) else value


def _path_in_short(value: object) -> object:
    """A path alone stands for `{at: path}`."""
    return {"at": value} if isinstance(value, str) else value


def _test_in_short(value: object) -> object:
    """`test` alone stands for `{value: test}`: on tests only."""
    return {"value": value} if isinstance(value, str) else value


def _several(value: object) -> object:
    """One condition alone stands for a list of one."""
    return [value] if isinstance(value, dict) else value


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
        if self.join is not None and self.items is None:
            raise refuse("join goes with list only")


Source = Annotated[SourceShape, BeforeValidator(_field_in_short)]
Parts = dict[Annotated[str, PlainValidator(place, str)], Source]


class ConditionShape(Shape):
    """Something that an answer says."""

    at: Given[Text] = None
    within: Given[WordList] = Field(default=None, alias="is")
    without: Given[WordList] = Field(default=None, alias="not")
    exists: Given[Flag] = None
    matches: Given[Pattern] = None
    above: Given[Amount] = None
    status: Given[Statuses] = None
    also: Annotated["list[ConditionShape]", BeforeValidator(_several)] = Field(default=[], alias="and")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        tests = (self.within, self.without, self.exists, self.above)
        if self.at is None and any(test is not None for test in tests):
            raise refuse("at is missing: where should that stand?")
        if self.within is not None and self.without is not None:
            raise refuse("must say either is or not")
        if self.at is not None and self.matches is None and all(test is None for test in tests):
            raise refuse("must say what stands there: is, not, exists, matches or above")
        if self.at is None and self.matches is None and self.status is None:
            raise refuse("must say something of the answer: at, matches or status")
        return self


class SayingShape(Shape):
    """Where an answer says something."""

    at: Given[Text] = None
    matches: Given[Pattern] = None
    money: Annotated[str, choice(*Money)] = Money.PLAIN
    optional: Flag = False

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.at is None and self.matches is None:
            raise refuse("must say at or matches")
        return self


Conditions = Annotated[list[ConditionShape], BeforeValidator(_several)]
Saying = Annotated[SayingShape, BeforeValidator(_path_in_short)]


class ReplyShape(Shape):
    """What an answer means."""

    format: Annotated[str, choice(*Format)]
    charset: Annotated[str, choice(*CHARSETS)] = "utf-8"
    error: Conditions = []
    duplicate: Conditions = []
    reject: Conditions = []
    success: Conditions
    price: Given[Saying] = None
    bid_id: Given[Saying] = None
    reason: Given[Saying] = None
    reference: Given[Saying] = None
    redirect_url: Given[Saying] = None
    confirmed: Given[Saying] = None
    less: Given[Annotated[str, choice(*Less)]] = None

    @model_validator(mode="after")
    def _paths_can_be_read(self) -> Self:
        rules = {"error": self.error, "duplicate": self.duplicate, "reject": self.reject, "success": self.success}
        for key, conditions in rules.items():
            if len(conditions) > CONDITIONS_MAX:
                raise refuse(f"{key} holds more than {CONDITIONS_MAX} conditions")
            for condition in conditions:
                self._check_condition(key, condition)
        for key in ("price", "bid_id", "reason", "reference", "redirect_url", "confirmed"):
            saying = getattr(self, key)
            self._check(key, saying.at if saying else None)
        if self.less is not None and self.confirmed is None:
            raise refuse("less goes with confirmed only: no price is read that could be less")
        if not self.success:
            raise refuse("success has no condition: nothing would ever be a yes")
        return self

    def _check_condition(self, key: str, condition: ConditionShape) -> None:
        self._check(key, condition.at)
        for other in condition.also:
            if other.also or len(condition.also) > CONDITIONS_MAX:
                raise refuse(f"{key}: and holds up to {CONDITIONS_MAX} conditions, without another and")
            self._check(key, other.at)

    def _check(self, key: str, at: str | None) -> None:
        if at is None:
            return
        if self.format == Format.TEXT:
            raise refuse(f"{key}: a text has no paths: use matches")
        try:
            (xml_path if self.format == Format.XML else json_path)(at)
        except PathError as error:
            raise refuse(f"{key}: {shown(at)} {error}") from None


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
        for source in (*self.fields.values(), *self.query.values(), *self.headers.values()):
            for item in (source, *(source.items or ())):
                yield from (name for name in (item.value, item.when and item.when.value) if name)


class MappingShape(Shape):
    """How an endpoint is spoken to."""

    ping: Given[MessageShape] = None
    post: MessageShape

    @model_validator(mode="after")
    def _says_what_is_known(self) -> Self:
        if self.ping is not None:
            if self.ping.reply.price is None:
                raise refuse("ping.reply.price is missing: a yes without a price is none")
            _check_message("ping", self.ping, PING_FACTS, _of_posts(self.ping.reply))
        _check_message("post", self.post, POST_FACTS, (self.post.reply.price, self.post.reply.bid_id))
        return self


def _of_posts(reply: ReplyShape) -> tuple[object, ...]:
    return reply.reference, reply.redirect_url, reply.confirmed


def _check_message(key: str, shape: MessageShape, facts: frozenset[Fact], foreign: tuple[object, ...]) -> None:
    unknown = next((name for name in shape.facts() if name not in facts), None)
    if unknown is not None:
        raise refuse(f"{key}: there is no {unknown} at a {key}")
    if any(part is not None for part in foreign):
        words = "reference, redirect_url and confirmed are" if key == "ping" else "price and bid_id are"
        raise refuse(f"{key}.reply: {words} not read at a {key}")
