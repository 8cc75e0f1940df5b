"""What is not kept of a buyer's answer to a post: whatever repeats contact data of the lead, in any usual spelling.

It is looked for as it is, in any case and spacing, with other punctuation, in percent signs, in hexadecimal and base64,
and as the usual digests: a phone number by its last digits, a name by each of its words. The host of an address is the
buyer's own, and is not looked at: many a family is called like a company.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import TypeVar, cast
from urllib.parse import unquote

from exchange.rules.plain_words import WORDS, with_gaps
from exchange.values.bid import Accepted, Delivery
from exchange.values.vertical import Field, FieldType, Lead, Stage, Vertical

PHONE_DIGITS = 7
"""By so many at its end a phone number is known, whatever comes before."""

DIGITS_MIN = 5
"""Other numbers with fewer digits are a house, a year or a count: they tell nobody from another by themselves."""

LETTERS_MIN = 6
"""Shorter words are only seen where they stand alone: many are part of usual ones."""

NAME_WORDS_MAX = 4
"""A longer text, or one with a number, is an address, or sentences: it is known by any two words in a row."""

UNQUOTED_MAX = 3
"""How often percent signs are read again."""

_Said = TypeVar("_Said", bound=Delivery)

_TELLING = frozenset(
    {FieldType.TEXT, FieldType.PHONE, FieldType.EMAIL, FieldType.DATE, FieldType.US_ZIP, FieldType.INTEGER}
)
"""Types that can tell a person from others; a state or a yes cannot, nor one of a few words."""

_HOST = re.compile(r"(?i)^https?://[^/?#]*")
_TELLING_PART = re.compile(rf"(?s)[^\W\d_].*[^\W\d_]|(?:\d\D*){{{DIGITS_MIN}}}|%")
"""A text without it is a number of the buyer's own."""
_WORD = re.compile(r"[^\W\d_]+|\d+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_HEX = re.compile(r"[0-9A-Fa-f]{8,}")
_LEGIBLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ufffd]{4,}")
_DIGESTS = ("md5", "sha1", "sha256")
_DIGEST_BYTES = (16, 20, 32)


class Contact:
    """The contact data of a lead: of the fields that no ping has, those that tell its person from others."""

    def __init__(self, vertical: Vertical, lead: Lead) -> None:
        self._vertical, self._lead = vertical, lead

    def kept(self, said: _Said) -> _Said:
        """A buyer's answer as it may be kept: without the texts that repeat contact data, and with gaps for names."""
        if isinstance(said, Accepted):
            return cast(
                _Said, replace(said, reference=self._kept(said.reference), redirect_url=self._kept(said.redirect_url))
            )
        return cast(_Said, replace(said, detail=with_gaps(said.detail, self._names)) if said.detail else said)

    def is_in(self, text: str) -> bool:
        """Whether a text repeats some of it."""
        if _TELLING_PART.search(text) is None:
            return False
        for reading in _unquoted(_HOST.sub("", text)):
            if self._is_marked(reading) or not self._alone.isdisjoint(_split(reading)):
                return True
            for hidden in _hidden(reading):
                legible = _LEGIBLE.findall(hidden.decode("utf-8", "replace"))
                if any(map(self._is_marked, legible)) or self._is_digest(hidden):
                    return True
        return False

    def _kept(self, text: str | None) -> str | None:
        return None if text is None or self.is_in(text) else text

    def _is_marked(self, text: str) -> bool:
        squeezed = "".join(_split(text))
        digits = "".join(filter(str.isdigit, squeezed))
        return any(mark in (digits if mark.isdigit() else squeezed) for mark in self._marks)

    def _is_digest(self, hidden: bytes) -> bool:
        return any(len(hidden) >= size and hidden[:size] in self._digests for size in _DIGEST_BYTES)

    @cached_property
    def _values(self) -> list[tuple[Field, str]]:
        return list(_values(self._vertical, self._lead))

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(word for item, text in self._values for word in _words(item, text))

    @cached_property
    def _marks(self) -> tuple[str, ...]:
        """Seen wherever they are."""
        numbers = {number for item, text in self._values for number in _numbers(item, text)}
        return tuple(numbers | {word for word in self._words if len(word) >= LETTERS_MIN})

    @cached_property
    def _alone(self) -> frozenset[str]:
        """Seen where they are words of their own."""
        return frozenset(word for word in self._words if 1 < len(word) < LETTERS_MIN)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(word for _, text in self._values for word in _split(text))

    @cached_property
    def _digests(self) -> frozenset[bytes]:
        forms = {form.encode() for item, text in self._values for form in _forms(item, text)}
        return frozenset(hashlib.new(name, form, usedforsecurity=False).digest() for form in forms for name in _DIGESTS)


def nothing_kept(said: _Said) -> _Said:
    """A buyer's answer without any text of his: for who cannot know what it may repeat."""
    return cast(_Said, Accepted() if isinstance(said, Accepted) else replace(said, detail=""))


def _values(vertical: Vertical, lead: Lead) -> Iterator[tuple[Field, str]]:
    for name, item in vertical.fields.items():
        if item.stage is Stage.POST and item.type in _TELLING and name in lead:
            value = lead[name]
            yield from ((item, str(each)) for each in (value if isinstance(value, list) else [value]))


def _numbers(item: Field, text: str) -> Iterator[str]:
    """The digits by which a value is known."""
    digits = "".join(filter(str.isdigit, text))
    if item.type is FieldType.PHONE:
        yield digits[-PHONE_DIGITS:]
    elif item.type is FieldType.DATE:
        year, month, day = text[:4], text[5:7], text[8:10]
        yield from (year + month + day, month + day + year, day + month + year)
    else:
        yield from (found for found in (digits, *re.findall(r"\d+", text)) if len(found) >= DIGITS_MIN)


def _words(item: Field, text: str) -> Iterator[str]:
    """The words by which a value is known: none that are said of any lead."""
    if item.type is FieldType.EMAIL:
        yield "".join(_split(text))
        text = text.rpartition("@")[0]
    elif item.type is not FieldType.TEXT:
        return
    words = _split(text)
    if len(words) > NAME_WORDS_MAX or any(map(str.isdigit, words)):
        yield from (first + second for first, second in pairwise(words) if {first, second} - WORDS)
    else:
        yield from (word for word in ("".join(words), *words) if word not in WORDS)


def _forms(item: Field, text: str) -> Iterator[str]:
    """How a value is spelled before a digest is made of it."""
    yield from (text, text.lower(), text.upper(), "".join(text.lower().split()))
    yield from (word for word in _words(item, text) if len(word) >= LETTERS_MIN)
    if item.type is FieldType.PHONE:
        digits = "".join(filter(str.isdigit, text))
        yield from (digits, digits[-10:])


def _split(text: str) -> list[str]:
    """The words and numbers of a text, in small letters and without accents."""
    text = text.casefold()
    if not text.isascii():
        text = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return _WORD.findall(text)


def _unquoted(text: str) -> Iterator[str]:
    """A text as it is, and with its percent signs read, as often as there are any."""
    for _ in range(UNQUOTED_MAX + 1):
        yield text
        if (read := unquote(text)) == text:
            return
        text = read


def _hidden(text: str) -> Iterator[bytes]:
    """What a text may hold in hexadecimal or base64, wherever in it that begins."""
    for found in _HEX.findall(text):
        yield from (bytes.fromhex(part[: len(part) // 2 * 2]) for part in (found, found[1:]))
    for found in _BASE64.findall(text):
        plain = found.replace("-", "+").replace("_", "/")
        for part in (plain, plain[1:], plain[2:], plain[3:]):
            yield base64.b64decode(part[: len(part) // 4 * 4] + _rest(part[len(part) // 4 * 4 :]))


def _rest(text: str) -> str:
    """The end of something in base64, with what fills it up; one letter alone says nothing."""
    return "" if len(text) < 2 else text.ljust(4, "=")
