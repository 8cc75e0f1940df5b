"""What an answer means by the rules of a mapping: errors first, and never a yes that no rule has said.

At a ping an answer that no rule fits is no valid response; at a post nobody knows then what became of the lead. An
answer that says yes and no at once is taken for neither.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from exchange.buyers.dialects.amounts import amount_reader
from exchange.buyers.dialects.conditions import UNREADABLE, Answer, any_of, said, sale_of
from exchange.buyers.dialects.paths import list_finder
from exchange.buyers.dialects.said import (
    BIDS_MAX,
    NO_BID,
    NOT_ASKED,
    as_shared,
    best_of,
    is_bid_id,
    kept_text,
    redirect_url,
    unasked_status,
)
from exchange.buyers.dialects.usual import ESCAPED, Usual, usual_of
from exchange.buyers.dialects.wire import Read
from exchange.buyers.dialects.xml_reading import Element, UnreadableXmlError, read_xml
from exchange.buyers.exact_json import InexactJsonError, loads_text
from exchange.rules.plain_words import plain_words
from exchange.values.bid import Accepted, Bid, Delivery, NotSent, Refusal, Rejected, Reply, Unknown
from exchange.values.mapping import Format, Less, Money, ReplyRules
from exchange.values.market import Sale
from exchange.values.money import MICROS_PER_CENT
from exchange.values.reason import Reason

REASON_CHARS_MAX = 100

_new = tuple.__new__
"""Makes a named tuple in half the time that its name takes."""

_BYTE_ORDER_MARK = "\ufeff"

SAYS_BOTH = "says yes and no at once"
SAYS_TWO = "says two of yes, no and not found at once"
NOT_FOUND = "the buyer knows no such attempt"
NO_RULE = "no rule fits it"
CONFIRMED_LESS = "confirms a lower price than was bid"


class Reader:
    """Reads the answers to one message of a mapping."""

    def __init__(self, rules: ReplyRules) -> None:
        """The paths and patterns of the rules must have no fault."""
        self._parse = _parser(rules)
        self._error, self._duplicate = any_of(rules.error, rules.format), any_of(rules.duplicate, rules.format)
        self._reject, self._success = any_of(rules.reject, rules.format), any_of(rules.success, rules.format)
        self._price = said(rules.price, rules.format)
        self._amount = amount_reader(rules.price.money if rules.price else Money.PLAIN)
        self._bid_id = said(rules.bid_id, rules.format)
        self._needs_bid_id = rules.bid_id is not None and not rules.bid_id.optional
        self._reason, self._reference = said(rules.reason, rules.format), said(rules.reference, rules.format)
        self._redirect_url = said(rules.redirect_url, rules.format)
        self._confirmed = None if rules.confirmed is None else said(rules.confirmed, rules.format)
        self._confirmed_amount = amount_reader(rules.confirmed.money if rules.confirmed else Money.PLAIN)
        self._may_be_silent, self._less = rules.confirmed is not None and rules.confirmed.optional, rules.less
        self._not_found = any_of(rules.not_found, rules.format)
        self._sale, self._shares = sale_of(rules.sale, rules.format), said(rules.max_shares, rules.format)
        self._says_yes = bool(rules.success)
        self._has_price = rules.price is not None
        self._list = None if rules.bids is None else list_finder(rules.bids.at, xml=rules.format is Format.XML)
        self._each = None if rules.bids is None else Reader(rules.bids.each)
        usual = None if rules.price is None else usual_of(rules)
        self.bid_readers = {sale: self._bid_reader(sale, usual) for sale in (Sale.EXCLUSIVE, Sale.SHARED, Sale.EITHER)}

    def _bid_reader(self, sale: Sale, usual: Usual | None) -> Read:
        if usual is None:
            return partial(self._read_as, sale)
        forms, look, bid_of, usual_sale = usual.forms, usual.read, self._bid, _usual_sale(sale)

        def read(status: int, body: bytes) -> Reply:
            if status == 200:
                for form in forms:
                    if (clear := form(body)) is not None:
                        gross_micros, bid_id = clear
                        return _new(Bid, (gross_micros, bid_id, usual_sale, None, ()))
                if (found := look(body)) is not None:
                    return bid_of(*found, usual_sale)
            return self.read_bid(status, body, sale)

        return read

    def _read_as(self, sale: Sale, status: int, body: bytes) -> Reply:
        return self.read_bid(status, body, sale)

    def read_bid(self, status: int, body: bytes, sale: Sale) -> Reply:
        """What an answer to a ping means, read the long way; `sale` is what was asked for."""
        return self.bids_in(self._parse(status, body), sale)

    def bids_in(self, answer: Answer, sale: Sale) -> Reply:
        """What an answer that is parsed, or one entry of its list of bids, means."""
        if self._error(answer):
            return Refusal(Reason.INVALID_RESPONSE, self._what_failed(answer))
        no = self._duplicate(answer) or self._reject(answer)
        items = None if self._list is None or answer.status // 100 != 2 else self._list(answer.document)
        if self._success(answer) or self._goes_without_saying(items, no=no):
            if no:
                return Refusal(Reason.INVALID_RESPONSE, SAYS_BOTH)
            return self._one_bid(answer, sale) if items is None else self._best(answer.status, items, sale)
        if no or items == []:
            return Refusal(Reason.NO_BID, self._why(answer))
        status = answer.status
        return Refusal(Reason.INVALID_RESPONSE, answer.fault or NO_RULE) if status == 200 else unasked_status(status)

    def _goes_without_saying(self, items: list[Any] | None, *, no: bool) -> bool:
        """Whether an answer is a yes because it has bids, or a bid of a list because nothing says no of it."""
        if self._says_yes:
            return False
        return not no if self._list is None else bool(items)

    def _best(self, status: int, items: list[Any], sale: Sale) -> Reply:
        each = self._each
        if each is None or len(items) > BIDS_MAX or not all(isinstance(item, (dict, Element)) for item in items):
            return Refusal(Reason.INVALID_RESPONSE, f"no list of at most {BIDS_MAX} bids")
        return best_of([each.bids_in(Answer(status, "", item), sale) for item in items])

    def _one_bid(self, answer: Answer, sale: Sale) -> Reply:
        """The bid of an answer, or of one of a list, for the sale that it says."""
        if not self._has_price:
            return Refusal(Reason.INVALID_RESPONSE, "a yes without the list of bids")
        offered = self._sale(answer) or _usual_sale(sale)
        reply = self._bid(self._price(answer), self._bid_id(answer), Sale.EXCLUSIVE)
        if not isinstance(reply, Bid):
            return reply
        if offered not in ((Sale.EXCLUSIVE, Sale.SHARED) if sale is Sale.EITHER else (sale,)):
            return Refusal(Reason.INVALID_RESPONSE, NOT_ASKED, reply.gross_micros)
        return as_shared(reply, self._shares(answer)) if offered is Sale.SHARED else reply

    def read_delivery(self, status: int, body: bytes, gross_micros: int) -> Delivery:
        """What an answer to a post at this price means."""
        answer = self._parse(status, body)
        if self._error(answer):
            return Unknown(self._what_failed(answer))
        duplicate = self._duplicate(answer)
        no = duplicate or self._reject(answer)
        if self._success(answer):
            return Unknown(SAYS_BOTH) if no else self._yes(answer, gross_micros)
        if no:
            reason = Reason.DUPLICATE_AT_BUYER if duplicate else Reason.REJECTED_BY_BUYER
            return Rejected(reason, self._why(answer))
        return Unknown(f"HTTP {status}: {answer.fault or NO_RULE}")

    def read_status(self, status: int, body: bytes, gross_micros: int) -> Delivery:
        """What an answer means to the question what became of a post at this price; not found is not sent."""
        answer = self._parse(status, body)
        if self._error(answer):
            return Unknown(self._what_failed(answer))
        yes, no, missing = self._success(answer), self._reject(answer), self._not_found(answer)
        if yes + no + missing > 1:
            return Unknown(SAYS_TWO)
        if yes:
            return self._yes(answer, gross_micros)
        if no:
            return Rejected(Reason.REJECTED_BY_BUYER, self._why(answer))
        return NotSent(NOT_FOUND) if missing else Unknown(f"HTTP {status}: {answer.fault or NO_RULE}")

    def _bid(self, text: str | None, bid_id: str | None, sale: Sale) -> Reply:
        micros = None if text is None else self._amount(text)
        if micros is None:
            return Refusal(Reason.INVALID_PRICE, "the price is not an amount" if text else "a yes without a price")
        if micros == 0:
            return NO_BID
        gross_micros = micros - micros % MICROS_PER_CENT
        if bid_id is None:
            if not self._needs_bid_id:
                return Bid(gross_micros, None, sale)
        elif bid_id and is_bid_id(bid_id):
            return _new(Bid, (gross_micros, str(bid_id), sale, None, ()))
        return Refusal(Reason.INVALID_RESPONSE, "no `bid_id` that can be kept", gross_micros)

    def _yes(self, answer: Answer, gross_micros: int) -> Delivery:
        """A yes counts at the price that was bid: the buyer's own word for it must not be less."""
        if self._confirmed is None:
            return self._accepted(answer)
        text = self._confirmed(answer)
        if text is None and self._may_be_silent:
            return self._accepted(answer)
        micros = None if text is None else self._confirmed_amount(text)
        if micros is None:
            return Unknown("a yes without the price that it is to confirm")
        if micros >= gross_micros:
            return self._accepted(answer)
        if self._less is Less.REJECTED:
            return Rejected(Reason.REJECTED_BY_BUYER, CONFIRMED_LESS)
        return Unknown(CONFIRMED_LESS)

    def _accepted(self, answer: Answer) -> Accepted:
        return Accepted(kept_text(self._reference(answer)), redirect_url(self._redirect_url(answer)))

    def _what_failed(self, answer: Answer) -> str:
        """It begins with words of ours: by these it is told apart what failed."""
        said = self._why(answer)
        return f"an error: {said}" if said else "an error"

    def _why(self, answer: Answer) -> str:
        """The buyer's reason, as much of it as may be kept."""
        said = kept_text(self._reason(answer))
        return plain_words(said)[:REASON_CHARS_MAX] if said else ""


def _usual_sale(asked: Sale) -> Sale:
    """What a bid is for that says nothing of it."""
    return Sale.SHARED if asked is Sale.SHARED else Sale.EXCLUSIVE


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
        document = loads_text(text)
        if ESCAPED in text:
            orjson.dumps(document)  # which refuses half a character, that no pattern could look for
        return Answer(status, text, document)
    except (InexactJsonError, orjson.JSONEncodeError):
        return Answer(status, text, UNREADABLE, "not JSON")


def _read_xml(status: int, text: str) -> Answer:
    try:
        root = read_xml(text)
    except UnreadableXmlError as error:
        return Answer(status, text, UNREADABLE, f"not XML: {error}")
    if root.name.lower() == "html":
        return Answer(status, text, UNREADABLE, "a page in HTML")
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
