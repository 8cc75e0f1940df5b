"""Reads a stored document piece by piece, so that it can be read beside other work.

One call for a whole market of ten thousand orders would keep every other thread waiting for its end.
"""

import json
import re
from typing import Any

import orjson

from exchange.marketfile.source import Document

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")
_SECTIONS, _ENTRIES = 2, 1  # how many levels are taken apart: the document's own, and that of its sections


def loads(text: str) -> Any:
    """What a JSON text holds: as a rule an object of sections, most of them objects of entries.

    It must be JSON: Postgres has seen to that.
    """
    return _value(text, _after_blanks(text, 0), _SECTIONS)[0]


def let_go(document: Any) -> None:
    """Empties a document that nobody needs any more, piece by piece for the same reason."""
    for section in document.values() if isinstance(document, dict) else ():
        while isinstance(section, dict) and section:
            section.popitem()


def _members(text: str, start: int, level: int) -> tuple[Document, int]:
    """The object that begins at a place, and where it ends."""
    found: Document = {}
    at = _after_blanks(text, start + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _after_blanks(text, _after_blanks(text, at) + 1)  # the colon
        found[key], at = _value(text, at, level - 1)
        at = _after_blanks(text, at)
        if text[at] == ",":
            at = _after_blanks(text, at + 1)
    return found, at + 1


def _value(text: str, start: int, level: int) -> tuple[Any, int]:
    """The value that begins at a place, and where it ends. An entry is read in one go."""
    if level >= _ENTRIES and text[start] == "{":
        return _members(text, start, level)
    _, end = _DECODER.raw_decode(text, start)
    return orjson.loads(text[start:end]), end  # it keeps one copy of each field's name


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()
