"""A market written as JSON: numbers keep their text where they are no whole numbers, and nothing is read loosely."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from exchange.errors import FileProblem, MarketFileError
from exchange.marketfile.limits import DEPTH_MAX
from exchange.marketfile.source import Document

_INTEGER_DIGITS_MAX = 18


def loads(body: bytes) -> Document:
    """The document of a JSON object. Raises ValueError for no JSON, MarketFileError for what no market may hold."""
    repeated: list[str] = []

    def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                repeated.append(key)
            found[key] = value
        return found

    try:
        document = json.loads(
            body.decode(), object_pairs_hook=unrepeated, parse_float=str, parse_int=_integer, parse_constant=_no_number
        )
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    problems = [FileProblem(key, "is written twice") for key in dict.fromkeys(repeated)]
    if not isinstance(document, dict):
        problems.append(FileProblem("file", "must be a mapping (key: value)"))
    elif _is_deep(document):
        problems.append(FileProblem("file", f"more than {DEPTH_MAX} mappings and lists inside one another"))
    elif not _is_storable(document):
        problems.append(FileProblem("file", "holds a NUL character, or half of a surrogate pair"))
    if problems:
        raise MarketFileError(problems)
    found: Document = document
    return found


def _integer(text: str) -> int | str:
    """As the market file's YAML is read: what is longer than any number of a market stays text."""
    return int(text) if len(text) <= _INTEGER_DIGITS_MAX else text


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_deep(document: Document) -> bool:
    level: list[Any] = [document]
    for _ in range(DEPTH_MAX):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _is_storable(document: Document) -> bool:
    """Whether Postgres can hold it. It is looked at entry by entry: it is large, and other threads have work."""
    return all(_is_text_storable(json.dumps(part, ensure_ascii=False)) for part in _parts(document))


def _parts(document: Document) -> Iterator[Any]:
    for name, section in document.items():
        yield name
        if isinstance(section, dict):
            yield from section.items()
        else:
            yield section


def _is_text_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in text.replace("\\\\", "")
