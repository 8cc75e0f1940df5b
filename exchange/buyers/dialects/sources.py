"""The values of a mapping: each source compiled once into a function from a ping or post to what is sent for it."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

import orjson
import phonenumbers

from exchange.buyers.dialects.amounts import write_amount
from exchange.buyers.dialects.wire import Ping, Post, Unsendable
from exchange.values.mapping import Case, Fact, Kind, Money, Origin, Phone, Source, When

ABSENT: Final = object()
"""Nothing is sent."""

Facts = Ping | Post
Change = Callable[[Any], Any]
Get = Callable[[Facts], Any]
"""What is sent for a source: text, a number, a truth value, a UUID, a list of these, or ABSENT. Raises Unsendable."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?", re.ASCII)
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_DATE_WORD = re.compile("YYYY|YY|MM|DD|M|D")
_AS_THEY_ARE = frozenset({Fact.TEST, Fact.PING_ID, Fact.ATTEMPT_ID})
"""Facts that whatever writes them knows how to write: a UUID takes the JSON serializer less than its text does."""

_WORDS: Mapping[str, bool] = MappingProxyType({"true": True, "false": False})


def date_words(pattern: str) -> list[str]:
    """The parts of a day that a pattern such as MM/DD/YYYY writes."""
    return _DATE_WORD.findall(pattern)


def compile_source(source: Source, secrets: Mapping[str, str], place: str) -> Get:
    """Compiles a source; `secrets` are the values of the templates that it may send, `place` is for messages."""
    get = _origin(source, secrets, place)
    if (change := _changes(source, place)) is not None:
        get = _changed(get, change)
    if source.join is not None and source.origin is Origin.FIELD:
        get = _changed(get, partial(_joined, source.join), whole=True)
    if source.default is not None:
        get = _defaulted(get, source.default)
    return get if source.when is None else _only(get, _holds(source.when))


def constant(source: Source, secrets: Mapping[str, str], place: str) -> Any:
    """What is sent for a source whatever is sent besides; ABSENT where that is not so, or nothing can be."""
    if source.origin not in {Origin.CONST, Origin.SECRET} or source.when is not None:
        return ABSENT
    value, change = source.name if source.origin is Origin.CONST else secrets[source.name], _changes(source, place)
    try:
        return value if change is None else change(value)
    except Unsendable:
        return ABSENT


def single_text(place: str, value: Any) -> str:
    """As `text_of`, of a place that cannot have several values. Raises Unsendable."""
    if isinstance(value, list):
        raise Unsendable(f"{place}: several values where one can stand")
    return text_of(value)


def text_of(value: Any) -> str:
    """A value as it is written where there is nothing but text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.contents.decode() if isinstance(value, Number) else str(value)


class Number:
    """A number by its text, for JSON that says exactly that."""

    __slots__ = ("contents",)

    def __init__(self, text: str) -> None:
        self.contents = text.encode()


def written_json(value: Any) -> Any:
    """What the JSON serializer takes for a value that it does not know itself."""
    if isinstance(value, Number):
        return orjson.Fragment(value.contents)
    raise TypeError(type(value).__name__)


def _origin(source: Source, secrets: Mapping[str, str], place: str) -> Get:
    name = source.name
    match source.origin:
        case Origin.FIELD:
            return lambda facts: facts.lead.get(name, ABSENT)
        case Origin.VALUE:
            return _fact(Fact(name), source.money or Money.PLAIN)
        case Origin.CONST:
            return lambda _: name
        case Origin.SECRET:
            secret = secrets[name]
            return lambda _: secret
        case Origin.LIST:
            items = _list([compile_source(item, secrets, place) for item in source.items])
            return items if source.join is None else _changed(items, partial(_joined, source.join), whole=True)


def _fact(fact: Fact, money: Money) -> Get:
    if fact is Fact.FLOOR:
        return lambda facts: write_amount(facts.floor_micros, money) if isinstance(facts, Ping) else ABSENT
    if fact is Fact.PRICE:
        return lambda facts: write_amount(facts.gross_micros, money) if isinstance(facts, Post) else ABSENT
    get: Callable[[Facts], Any] = attrgetter(fact.value)
    if fact in _AS_THEY_ARE:
        return get
    if fact is Fact.BID_ID:
        return lambda facts: ABSENT if (found := get(facts)) is None else found
    return lambda facts: str(get(facts))


def _list(gets: list[Get]) -> Get:
    """All that is there in one list; of what has several values each of them."""

    def get(facts: Facts) -> Any:
        found = [value for item in gets if (value := item(facts)) is not ABSENT]
        return [one for value in found for one in (value if isinstance(value, list) else (value,))] or ABSENT

    return get


def _joined(join: str, value: Any) -> Any:
    return join.join(map(text_of, value)) if isinstance(value, list) else value


def _changed(get: Get, change: Change, *, whole: bool = False) -> Get:
    """What `change` makes of a value: of each one where there are several, unless it takes them as a `whole`."""

    def changed(facts: Facts) -> Any:
        value = get(facts)
        if value is ABSENT:
            return value
        return [change(one) for one in value] if isinstance(value, list) and not whole else change(value)

    return changed


def _defaulted(get: Get, default: str) -> Get:
    return lambda facts: default if (value := get(facts)) is ABSENT else value


def _only(get: Get, holds: Callable[[Facts], bool]) -> Get:
    return lambda facts: get(facts) if holds(facts) else ABSENT


def _holds(when: When) -> Callable[[Facts], bool]:
    plain = Source(when.origin, when.name)
    get, values, negated = compile_source(plain, {}, ""), when.values, when.negated
    if values is None:
        return lambda facts: (get(facts) not in (ABSENT, False)) is not negated

    def holds(facts: Facts) -> bool:
        value = get(facts)
        if isinstance(value, list):
            return any(text_of(one) in values for one in value) is not negated
        return value is not ABSENT and (text_of(value) in values) is not negated

    return holds


def _changes(source: Source, place: str) -> Change | None:
    """What is done to a value before it is sent, in this order: written in a format, translated, cut, typed."""
    steps = [step for step in (*_formats(source, place), *_edits(source, place)) if step is not None]
    if len(steps) < 2:
        return steps[0] if steps else None

    def change(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return change


def _formats(source: Source, place: str) -> Iterator[Change | None]:
    yield None if source.date is None else _dated(source.date, place)
    yield None if source.phone is None else _phoned(source.phone, place)
    yield None if source.boolean is None else _yes_or_no(*source.boolean, place)


def _edits(source: Source, place: str) -> Iterator[Change | None]:
    translates = source.values or source.otherwise is not None
    yield _translated(dict(source.values), source.otherwise) if translates else None
    yield None if source.case is None else _upper if source.case is Case.UPPER else _lower
    yield None if source.max_chars is None else _cut(source.max_chars)
    yield None if source.kind is None else _typed(source.kind, place)


def _dated(pattern: str, place: str) -> Change:
    def change(value: Any) -> str:
        day = _DAY.fullmatch(value) if isinstance(value, str) else None
        if day is None:
            raise Unsendable(f"{place}: not a day")
        year, month, date = day.groups()
        words = {"YYYY": year, "YY": year[2:], "MM": month, "DD": date, "M": month.lstrip("0"), "D": date.lstrip("0")}
        return _DATE_WORD.sub(lambda match: words[match[0]], pattern)

    return change


def _phoned(style: Phone, place: str) -> Change:
    def change(value: Any) -> str:
        try:
            number = phonenumbers.parse(text_of(value))
        except phonenumbers.NumberParseException:
            raise Unsendable(f"{place}: not a phone number") from None
        national = phonenumbers.national_significant_number(number)
        if style is Phone.E164:
            return f"+{number.country_code}{national}"
        if style is Phone.DIGITS:
            return f"{number.country_code}{national}"
        if style is Phone.DASHED and number.country_code == 1:
            return f"{national[:3]}-{national[3:6]}-{national[6:]}"
        return national

    return change


def _yes_or_no(yes: str, no: str, place: str) -> Change:
    def change(value: Any) -> str:
        if not isinstance(value, bool):
            raise Unsendable(f"{place}: not true or false")
        return yes if value else no

    return change


def _translated(values: Mapping[str, str], otherwise: str | None) -> Change:
    return lambda value: values.get(text_of(value), value if otherwise is None else otherwise)


def _upper(value: Any) -> str:
    return text_of(value).upper()


def _lower(value: Any) -> str:
    return text_of(value).lower()


def _cut(count: int) -> Change:
    return lambda value: text_of(value)[:count]


def _typed(kind: Kind, place: str) -> Change:
    if kind is Kind.TEXT:
        return text_of

    def number(value: Any) -> Number:
        text = text_of(value)
        if _NUMBER.fullmatch(text) is None:
            raise Unsendable(f"{place}: not a number")
        return Number(text)

    def boolean(value: Any) -> bool:
        found = _WORDS.get(text_of(value))
        if found is None:
            raise Unsendable(f"{place}: not true or false")
        return found

    return number if kind is Kind.NUMBER else boolean
