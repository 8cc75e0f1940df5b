"""The single values of a mapping: each is checked in plain words, as those of the rest of a market file are."""

import re
from typing import Annotated, Any

from pydantic import PlainValidator

from exchange.buyers.dialects.sources import date_words
from exchange.marketfile.limits import PATTERN_CHARS_MAX, TEXT_CHARS_MAX, WORDS_MAX
from exchange.marketfile.outside import OWN_HEADERS
from exchange.marketfile.problems import shown, wrong
from exchange.marketfile.scalars import as_text, refuse, written
from exchange.rules.patterns import fault

_UNSENT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_STATUS = re.compile("[1-5](?:[0-9]{2}|xx)", re.ASCII)
_DATE = re.compile(r"(?:YYYY|YY|MM|DD|M|D|[ ./-]|T00:00:00Z?)+", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_IN_HEADER = re.compile(r"[!#-~](?:[ !#-~]*[!#-~])?", re.ASCII)
_PLACE_CHARS_MAX = 200
_MAY_BE_SET = frozenset({"accept", "content-type", "idempotency-key"})


def constant(value: object) -> str:
    """A text that is sent as it stands; what is secret is no constant."""
    found = _word(value)
    if found is None:
        raise refuse(wrong("text", value))
    if "${" in found:
        raise refuse("is no secret: ${env:NAME} is read under `secret` only")
    if _UNSENT.search(found):
        raise refuse("holds a control character")
    if len(found) > TEXT_CHARS_MAX:
        raise refuse(f"is longer than {TEXT_CHARS_MAX:,} characters")
    return found


def word_list(value: object) -> tuple[str, ...]:
    """One word or several: text, numbers, true and false."""
    items = value if isinstance(value, list) else [value]
    if not items or len(items) > WORDS_MAX:
        raise refuse(f"must be a word or up to {WORDS_MAX:,} of them")
    return tuple(constant(item) for item in items)


def translation(value: object) -> tuple[tuple[str, str], ...]:
    """What is sent for each value."""
    if not isinstance(value, dict) or not 0 < len(value) <= WORDS_MAX:
        raise refuse(wrong('a mapping such as {good: "1", fair: "2"}', value))
    return tuple((constant(meant), constant(sent)) for meant, sent in value.items())


def yes_and_no(value: object) -> tuple[str, str]:
    """The words for true and false."""
    if not isinstance(value, list) or len(value) != 2:
        raise refuse("must be two words, for true and for false, such as [Y, N]")
    return constant(value[0]), constant(value[1])


def statuses(value: object) -> tuple[str, ...]:
    """HTTP statuses, or classes of them."""
    found = word_list(value)
    for item in found:
        if not _STATUS.fullmatch(item):
            raise refuse(f"must be statuses such as 201 or 4xx, not {shown(item)}")
    return found


def day_pattern(value: object) -> str:
    """How a day is written."""
    found = constant(value)
    if not _DATE.fullmatch(found) or not date_words(found):
        raise refuse(f"must be made of YYYY, YY, MM, M, DD, D, -, /, . and blanks, as MM/DD/YYYY, not {shown(found)}")
    return found


def pattern(value: object) -> str:
    """A regular expression of RE2."""
    if not isinstance(value, str) or not value:
        raise refuse(wrong("a pattern", value))
    if len(value) > PATTERN_CHARS_MAX:
        raise refuse(f"is longer than {PATTERN_CHARS_MAX:,} characters")
    if found := fault(value):
        raise refuse(f"is no pattern: {found}")
    return value


def place(value: object) -> str:
    """The name or path of a part of a request."""
    if not isinstance(value, str) or not value or len(value) > _PLACE_CHARS_MAX or _UNSENT.search(value):
        raise refuse(f"is no name of up to {_PLACE_CHARS_MAX} characters")
    return value


def check_header(name: str, text: str | None) -> None:
    """Refuses a header that a mapping may not set, and a constant `text` that cannot stand in it."""
    if text is not None and not _IN_HEADER.fullmatch(text):
        raise refuse(f"{shown(name)} must be printable ASCII without quotes and without blanks at its ends")
    lower = name.lower()
    if not _HEADER.fullmatch(name):
        raise refuse(f"{shown(name)} is no name of a header")
    if lower.startswith(("exchange-", "proxy-")) or lower in OWN_HEADERS - _MAY_BE_SET:
        raise refuse(f"{shown(name)} is written by the exchange itself: choose another header, or use auth")


def _word(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return as_text(value)


_WORD: dict[str, Any] = {"type": ["string", "integer", "boolean"]}
_SOME = written({"anyOf": [_WORD, {"type": "array", "items": _WORD}]})

Constant = Annotated[str, PlainValidator(constant, written(_WORD))]
WordList = Annotated[tuple[str, ...], PlainValidator(word_list, _SOME)]
Translation = Annotated[
    tuple[tuple[str, str], ...], PlainValidator(translation, written({"type": "object", "additionalProperties": _WORD}))
]
_PAIR = written({"type": "array", "items": _WORD, "minItems": 2, "maxItems": 2})
YesAndNo = Annotated[tuple[str, str], PlainValidator(yes_and_no, _PAIR)]
Statuses = Annotated[tuple[str, ...], PlainValidator(statuses, _SOME)]
DayPattern = Annotated[str, PlainValidator(day_pattern, str)]
Pattern = Annotated[str, PlainValidator(pattern, str)]
