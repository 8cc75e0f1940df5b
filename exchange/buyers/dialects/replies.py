"""What an answer means by the rules of a mapping: errors first, and never a yes that no rule has said.

At a ping an answer that no rule fits is no valid response; at a post nobody knows then what became of the lead. An
answer that says yes and no at once is taken for neither.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from exchange.buyers.dialects.amounts import amount_reader
from exchange.buyers.dialects.paths import json_finder, xml_finder
from exchange.buyers.dialects.said import NO_BID, is_bid_id, kept_text, redirect_url, unasked_status
from exchange.buyers.dialects.wire import Read
from exchange.buyers.dialects.xml_reading import Element, UnreadableXmlError, read_xml
from exchange.buyers.exact_json import InexactJsonError, loads_text
from exchange.rules.patterns import searcher
from exchange.values.bid import Accepted, Bid, Delivery, Refusal, Rejected, Reply, Unknown
from exchange.values.mapping import Condition, Format, Money, ReplyRules, Saying
from exchange.values.market import Sale
from exchange.values.money import MICROS_PER_CENT, parse_amount
from exchange.values.reason import Reason

REASON_CHARS_MAX = 100
UNREADABLE: Final = object()

_BYTE_ORDER_MARK = "\ufeff"

SAYS_BOTH = "says yes and no at once"
NO_RULE = "no rule fits it"


class Answer(NamedTuple):
    """An answer: its status, its text, and the document that it is, UNREADABLE with a `fault` where it is none."""

    status: int
    text: str
    document: Any
    fault: str = ""


_SUCCESSFUL = frozenset(range(200, 300)).__contains__

Holds = Callable[[Answer], bool]
Say = Callable[[Answer], str | None]


class Reader:
    """Reads the answers to one message of a mapping."""

    def __init__(self, rules: ReplyRules) -> None:
        """The paths and patterns of the rules must have no fault."""
        self._parse = _parser(rules)
        self._error, self._duplicate = _any_of(rules.error, rules.format), _any_of(rules.duplicate, rules.format)
        self._reject, self._success = _any_of(rules.reject, rules.format), _any_of(rules.success, rules.format)
        self._price = _said(rules.price, rules.format)
        self._amount = amount_reader(rules.price.money if rules.price else Money.PLAIN)
        self._bid_id = _said(rules.bid_id, rules.format)
        self._needs_bid_id = rules.bid_id is not None and not rules.bid_id.optional
        self._reason, self._reference = _said(rules.reason, rules.format), _said(rules.reference, rules.format)
        self._redirect_url = _said(rules.redirect_url, rules.format)

    def bid_reader(self, *, sale: Sale) -> Read:
        """What reads the answers to one ping. A bid is for the sale that was asked, of both for the exclusive."""
        sold = Sale.SHARED if sale is Sale.SHARED else Sale.EXCLUSIVE

        def read(status: int, body: bytes) -> Reply:
            answer = self._parse(status, body)
            if self._error(answer):
                return Refusal(Reason.INVALID_RESPONSE, self._why(answer, "an error"))
            no = self._duplicate(answer) or self._reject(answer)
            if self._success(answer):
                return Refusal(Reason.INVALID_RESPONSE, SAYS_BOTH) if no else self._bid(answer, sold)
            if no:
                return Refusal(Reason.NO_BID, self._why(answer))
            return (
                Refusal(Reason.INVALID_RESPONSE, answer.fault or NO_RULE) if status == 200 else unasked_status(status)
            )

        return read

    def read_delivery(self, status: int, body: bytes) -> Delivery:
        """What an answer to a post means."""
        answer = self._parse(status, body)
        if self._error(answer):
            return Unknown(self._why(answer, "an error"))
        duplicate = self._duplicate(answer)
        no = duplicate or self._reject(answer)
        if self._success(answer):
            return Unknown(SAYS_BOTH) if no else self._accepted(answer)
        if no:
            reason = Reason.DUPLICATE_AT_BUYER if duplicate else Reason.REJECTED_BY_BUYER
            return Rejected(reason, self._why(answer))
        return Unknown(f"HTTP {status}: {answer.fault or NO_RULE}")

    def _bid(self, answer: Answer, sale: Sale) -> Reply:
        text = self._price(answer)
        micros = None if text is None else self._amount(text)
        if micros is None:
            return Refusal(Reason.INVALID_PRICE, "the price is not an amount" if text else "a yes without a price")
        if micros == 0:
            return NO_BID
        gross_micros, bid_id = micros - micros % MICROS_PER_CENT, self._bid_id(answer)
        if bid_id is None:
            if not self._needs_bid_id:
                return Bid(gross_micros, None, sale)
        elif bid_id and is_bid_id(bid_id):
            return Bid(gross_micros, str(bid_id), sale)
        return Refusal(Reason.INVALID_RESPONSE, "no `bid_id` that can be kept", gross_micros)

    def _accepted(self, answer: Answer) -> Accepted:
        return Accepted(kept_text(self._reference(answer)), redirect_url(self._redirect_url(answer)))

    def _why(self, answer: Answer, otherwise: str = "") -> str:
        """The buyer's reason, short and printable."""
        said = kept_text(self._reason(answer))
        return "".join(filter(str.isprintable, said))[:REASON_CHARS_MAX] if said else otherwise


def _parser(rules: ReplyRules) -> Callable[[int, bytes], Answer]:
    charset, read = (
        rules.charset,
        {Format.JSON: _read_json, Format.XML: _read_xml, Format.TEXT: _read_text}[rules.format],
    )

    def parse(status: int, body: bytes) -> Answer:
        try:
            text = body.decode(charset)
        except UnicodeDecodeError:
            return Answer(status, "", UNREADABLE, f"not {charset}")
        return read(status, text[1:] if text[:1] == _BYTE_ORDER_MARK else text)

    return parse


def _read_json(status: int, text: str) -> Answer:
    try:
        return Answer(status, text, loads_text(text))
    except InexactJsonError:
        return Answer(status, text, UNREADABLE, "not JSON")


def _read_xml(status: int, text: str) -> Answer:
    try:
        root = read_xml(text)
    except UnreadableXmlError as error:
        return Answer(status, text, UNREADABLE, f"not XML: {error}")
    if _is_fault(root):
        return Answer(status, text, UNREADABLE, "a SOAP fault")
    return Answer(status, text, root)


def _is_fault(root: Element) -> bool:
    """Whether this is a SOAP envelope that holds a fault: nothing else in it counts then."""
    if root.name != "Envelope":
        return False
    return any(item.name == "Fault" for body in root.children if body.name == "Body" for item in body.children)


def _read_text(status: int, text: str) -> Answer:
    return Answer(status, text, UNREADABLE)


def _any_of(conditions: tuple[Condition, ...], form: Format) -> Holds:
    compiled = [_condition(condition, form) for condition in conditions]
    if len(compiled) < 2:
        return compiled[0] if compiled else _never

    def holds(answer: Answer) -> bool:
        return any(one(answer) for one in compiled)

    return holds


def _never(_: Answer) -> bool:
    return False


def _condition(condition: Condition, form: Format) -> Holds:
    if not condition.also:
        return _single(condition, form)
    every = [_single(condition, form), *(_single(other, form) for other in condition.also)]
    return lambda answer: all(one(answer) for one in every)


def _single(condition: Condition, form: Format) -> Holds:
    in_status = _statuses(condition.statuses)
    if condition.at is None and condition.matches is None:
        return lambda answer: in_status(answer.status)
    said = _saying(condition.at, None if condition.at else condition.matches, form)
    suits, exists, needs_document = _test(condition), condition.exists, condition.at is not None

    def holds(answer: Answer) -> bool:
        if not in_status(answer.status) or (needs_document and answer.document is UNREADABLE):
            return False
        text = said(answer)
        if text is None:
            return exists is False
        return exists is not False and suits(text)

    return holds


def _statuses(wanted: tuple[str, ...]) -> Callable[[int], bool]:
    if not wanted:
        return _SUCCESSFUL
    allowed = frozenset(
        status
        for word in wanted
        for status in (range(int(word[0]) * 100, int(word[0]) * 100 + 100) if "x" in word else (int(word),))
    )
    return allowed.__contains__


def _test(condition: Condition) -> Callable[[str], bool]:
    tests: list[Callable[[str], bool]] = []
    if condition.values is not None:
        words, negated = frozenset(word.casefold() for word in condition.values), condition.negated
        tests.append(lambda text: (text in words or text.strip().casefold() in words) is not negated)
    if condition.at is not None and condition.matches is not None:
        search = searcher(condition.matches)
        tests.append(lambda text: search(text) is not None)
    if condition.above_micros is not None:
        least = condition.above_micros
        tests.append(lambda text: (micros := parse_amount(text)) is not None and micros > least)
    if len(tests) == 1:
        return tests[0]
    return lambda text: all(test(text) for test in tests)


def _said(saying: Saying | None, form: Format) -> Say:
    return _nothing if saying is None else _saying(saying.at, saying.matches, form)


def _nothing(_: Answer) -> None:
    return None


def _saying(at: str | None, matches: str | None, form: Format) -> Say:
    """What stands at a path, or in it the group of a pattern; without a path the pattern goes over the whole answer."""
    search = None if matches is None else searcher(matches)
    if at is None:
        return _nothing if search is None else lambda answer: search(answer.text)
    find = xml_finder(at) if form is Format.XML else json_finder(at)

    def say(answer: Answer) -> str | None:
        if answer.document is UNREADABLE:
            return None
        value = find(answer.document)
        if not isinstance(value, str):
            if not isinstance(value, bool):
                return None
            value = "true" if value else "false"
        return value if search is None else search(value)

    return say
