"""Reads and writes the JSON of a large document piece by piece, so that a thread can do it beside other work.

One call for a whole market of ten thousand orders would keep every other thread waiting for its end.
"""

import json
import re
from typing import Any

import orjson

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")
_SECTIONS, _ENTRIES = 2, 1  # how many levels are taken apart: the document's own, and that of its sections


def loads(text: str) -> Any:
    """What a JSON text holds: as a rule an object of sections, most of them objects of entries.

    It must be JSON: Postgres has seen to that.
    """
    return _value(text, _after_blanks(text, 0), _SECTIONS)[0]


def dumps(document: Any) -> str:
    """The JSON text of a document, as orjson writes it. Raises TypeError where that has none."""
    return _written(document, _SECTIONS)


def let_go(document: Any) -> None:
    """Empties a document that nobody needs any more, piece by piece for the same reason."""
    for section in document.values() if isinstance(document, dict) else ():
        while isinstance(section, dict) and section:
            section.popitem()


def _members(text: str, start: int, level: int) -> tuple[dict[str, Any], int]:
    """The object that begins at a place, and where it ends."""
    found: dict[str, Any] = {}
    at = _after_blanks(text, start + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _after_blanks(text, _after_blanks(text, at) + 1)  # the colon
        found[key], at = _value(text, at, level - 1)
        at = _after_blanks(text, at)
        if text[at] == ",":
            at = _after_blanks(text, at + 1)
    return found, at + 1


def _written(value: Any, level: int) -> str:
    if level < _ENTRIES or not isinstance(value, dict):
        return orjson.dumps(value).decode()
    return "{" + ",".join([f"{_key(name)}:{_written(inner, level - 1)}" for name, inner in value.items()]) + "}"


def _key(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError("a key of a JSON object is text")
    return orjson.dumps(name).decode()


def _value(text: str, start: int, level: int) -> tuple[Any, int]:
    """The value that begins at a place, and where it ends. An entry is read in one go."""
    if level >= _ENTRIES and text[start] == "{":
        return _members(text, start, level)
    _, end = _DECODER.raw_decode(text, start)
    return orjson.loads(text[start:end]), end  # it keeps one copy of each field's name


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()
