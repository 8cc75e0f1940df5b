"""JSON as a buyer sent it: numbers keep their text, a repeated key is an error, and nothing is read loosely."""

import json
from typing import Any


class NumberText(str):
    """The text of a JSON number, as written: `21.10` stays "21.10" and never becomes a binary float."""

    __slots__ = ()


class InexactJsonError(ValueError):
    """The bytes are not one JSON document in UTF-8 with unrepeated keys."""


def loads(document: bytes) -> Any:
    """Reads a document; numbers come as `NumberText`, also the non-standard NaN and Infinity, which no price is."""
    try:
        return loads_text(document.decode())
    except UnicodeDecodeError as error:
        raise InexactJsonError(type(error).__name__) from error


def loads_text(document: str) -> Any:
    """Reads a document that has been decoded, in the same way."""
    try:
        if document[:1] == "{":
            found, end = _DECODER.scan_once(document, 0)  # type: ignore[attr-defined]  # what `decode` calls
            if end == len(document):
                return found
        return _DECODER.decode(document)  # it knows of blanks around a document, and complains of the rest
    except (ValueError, RecursionError, StopIteration) as error:
        raise InexactJsonError(type(error).__name__) from error


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InexactJsonError("a repeated key")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unrepeated, parse_float=NumberText, parse_int=NumberText, parse_constant=NumberText
)
