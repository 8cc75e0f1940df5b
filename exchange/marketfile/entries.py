"""Takes a document apart: the entries of each section, and each entry in its shape, with a problem for every misfit."""

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from exchange.marketfile.problems import Problems
from exchange.marketfile.scalars import KEY_RULE, is_key

_SHOWN_CHARS_MAX = 64

Shaped = TypeVar("Shaped", bound=BaseModel)


def entries(document: Mapping[str, Any], section: str, limit: int, problems: Problems) -> dict[str, Any]:
    """The entries of a section by key. An entry under a wrong key is read all the same, for its own problems."""
    found = document.get(section)
    if not isinstance(found, dict):
        return {}  # absent, or reported with the shape of the document
    return named(found, section, limit, problems)


def named(found: Mapping[Any, Any], path: str, limit: int, problems: Problems) -> dict[str, Any]:
    """What stands in a mapping under keys of the market's kind."""
    if len(found) > limit:
        problems.add(path, f"holds more than {limit:,} entries")
        return {}
    for key in found:
        if isinstance(key, str) and not is_key(key):
            problems.add(below(path, key), KEY_RULE)
    return {key: raw for key, raw in found.items() if isinstance(key, str)}


def shaped(model: type[Shaped], path: str, raw: object, problems: Problems) -> Shaped | None:
    """An entry in its shape, or None with its problems reported."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems.shape(path, model, error)
        return None


def below(path: str, key: str) -> str:
    """The path of what stands under a key."""
    return f"{path}.{key if len(key) <= _SHOWN_CHARS_MAX else key[:_SHOWN_CHARS_MAX] + '…'}"


def as_written(raw: object) -> bytes:
    """What tells apart all that is written in different ways: `1` and `true`, a date and a text."""
    try:
        return orjson.dumps(raw, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:  # it did not come from JSON
        return repr(raw).encode(errors="backslashreplace")
