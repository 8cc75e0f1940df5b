"""Everything that is wrong with a market file, gathered in the words of the person who wrote it."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exchange.errors import FileProblem
from exchange.marketfile.limits import SUGGESTION_CANDIDATES_MAX, SUGGESTIONS_MAX

_NAME_CHARS_MAX = 64
_SHOWN_CHARS_MAX = 40

_INTEGER_SHOWN_MAX = 10**18

_WANTED = {
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
}


class Problems:
    """A list of problems that grows while a document is read; each has the path a person would write."""

    def __init__(self, found: Iterable[FileProblem] = ()) -> None:
        self._found = list(found)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[FileProblem]:
        return iter(self._found)

    def add(self, path: str, message: str) -> None:
        self._found.append(FileProblem(path, message))

    def unknown(self, path: str, message: str, name: str, known: Iterable[str]) -> None:
        """A name that leads nowhere, with the known one that it was probably meant to be."""
        self.add(path, message + self._suggestion(name, known))

    def _suggestion(self, name: str, known: Iterable[str]) -> str:
        if len(self._found) >= SUGGESTIONS_MAX or len(name) > _NAME_CHARS_MAX:
            return ""
        some = islice(known, SUGGESTION_CANDIDATES_MAX)
        candidates = {other.lower(): other for other in some if len(other) <= _NAME_CHARS_MAX}
        close = get_close_matches(name.lower(), candidates, n=1)
        return f"; did you mean {candidates[close[0]]}?" if close else ""

    def shape(self, path: str, model: type[BaseModel], error: ValidationError) -> None:
        """What pydantic found wrong with one entry that was read as `model`."""
        for detail in error.errors(include_url=False):
            self._detail(path, model, detail)

    def _detail(self, path: str, model: type[BaseModel], detail: ErrorDetails) -> None:
        loc = detail["loc"]
        where = path_of(path, loc)
        if detail["type"] == "extra_forbidden":
            self.unknown(where, "unknown key", str(loc[-1]), _keys(_model_at(model, loc[:-1])))
        elif detail["type"] == "missing":
            self.add(where, "is missing")
        elif detail["type"] == "invalid_key":
            self.add(where, "a key must be text")
        elif detail["type"] == "no_such_word":
            self.unknown(where, detail["ctx"]["message"], detail["input"], detail["ctx"]["words"])
        elif detail["type"] in _WANTED:
            self.add(where, wrong(_WANTED[detail["type"]], detail["input"]))
        else:
            self.add(where, str(detail.get("ctx", {}).get("message", detail["msg"])))


def path_of(path: str, loc: Iterable[int | str]) -> str:
    """Where pydantic found something, as a person writes it; the whole file where it is the document itself."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc if part != "[key]"]
    return (path + "".join(parts)).removeprefix(".") or "file"


def shown(value: object) -> str:
    """A value as it may stand in a message: short, and in quotes where it is text."""
    if isinstance(value, int) and abs(value) > _INTEGER_SHOWN_MAX:
        return "so large a number"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"


def wrong(wanted: str, value: object) -> str:
    """The message for a value of another kind than wanted; it does not repeat the value, which may be a secret."""
    return f"is empty: must be {wanted}" if value is None else f"must be {wanted}, not {_kind(value)}"


def _kind(value: object) -> str:
    kinds: dict[type, str] = {
        bool: "true or false",
        int: "a number",
        float: "a decimal number",
        str: "text",
        list: "a list",
        dict: "a mapping",
    }
    return kinds.get(type(value), "something else")


def _keys(model: type[BaseModel]) -> list[str]:
    """The keys that a model reads, as they are written in the file."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The model nested in `model` that reads what stands at `loc`."""
    for part in loc:
        for name, field in model.model_fields.items():
            if part == (field.alias or name):
                model = _nested(field.annotation) or model
                break
    return model


def _nested(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `dict[str, Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_nested, getattr(annotation, "__args__", ()))), None)
