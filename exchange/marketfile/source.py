"""The text of a market file as a plain document: YAML without its traps.

Scalars are read as YAML 1.2 means them, and narrower: `true` and `false` are the only booleans, so that the state NO
stays text; whole numbers are whole numbers, but 01234 stays a ZIP code; a decimal number stays the text it is written
as, so that no amount passes through a float; dates stay text. Keys are always text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from exchange.errors import FileProblem, MarketFileError
from exchange.marketfile.limits import DEPTH_MAX, FILE_BYTES_MAX, NODES_MAX, SOURCE_PROBLEMS_MAX

Document = dict[str, Any]
"""str, int, bool, None, list and dict: what JSON gives back as it was."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, ten times as fast, where it is there

_CONSTANTS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_IN_WORDS = (  # what the parser says, what a person understands
    ("tab character", "a tab: indent with spaces"),
    ("mapping values are not allowed", "a ':' where none is expected: check the indentation, or quote the text"),
    ("']'", "a list in [ ] is not closed or lacks a comma"),
    ("'}'", "a mapping in { } is not closed or lacks a comma"),
    ("unexpected end of stream", "a quotation mark is not closed"),
    ("expected key", "does not fit the lines above: check the indentation and the quotes"),
    ("block end", "does not fit the lines above: check the indentation and the quotes"),
    ("expected ':'", "a key without its ':'"),
    ("expected '-'", "the indentation does not fit the list above"),
    ("escape", "a backslash in double quotes that means nothing: double it, or use single quotes"),
    ("document start", "something after the end of the document"),
)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a text holds. `document` is None where the rest of it cannot be judged because of `problems`."""

    document: Document | None
    problems: tuple[FileProblem, ...] = ()


def parse(text: str) -> Document:
    """The document that a market file's text holds. Raises MarketFileError with every fault of its writing."""
    found = scan(text)
    if found.document is None or found.problems:
        raise MarketFileError(found.problems)
    return found.document


def loads(body: bytes) -> Document:
    """As `parse`, of the bytes of a file. Raises MarketFileError for what is not UTF-8, too."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MarketFileError([FileProblem("file", "is not UTF-8")]) from error
    return parse(text)


def scan(text: str) -> Scan:
    """As `parse`, but the problems are returned, with the document where only keys are written twice."""
    problem = _unreadable(text)
    if problem is not None:
        return Scan(None, (problem,))
    tree = _Tree()
    loader = _LOADER(text)
    try:
        while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
            tree.take(event)
    except _Stop as stop:
        tree.stop(stop.problem)
    except yaml.YAMLError as error:
        tree.stop(_syntax_problem(text, error))
    finally:
        loader.dispose()
    return tree.result()


def _unreadable(text: str) -> FileProblem | None:
    """What is wrong with the text before any of it is read as YAML."""
    found = _UNPRINTABLE.search(text)
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        return FileProblem(_place(line, column), f"an unprintable character (U+{ord(found[0]):04X})")
    if len(text) > FILE_BYTES_MAX or len(text.encode()) > FILE_BYTES_MAX:
        return FileProblem("file", f"is larger than {FILE_BYTES_MAX // 1024 // 1024} MiB")
    return None


def _syntax_problem(text: str, error: yaml.YAMLError) -> FileProblem:
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", None) or "cannot be read as YAML")
    if mark is None:
        return FileProblem("file", said)
    lines = text.split("\n")
    character = lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
    message = next((words for sign, words in _IN_WORDS if sign in said), said)
    if "cannot start any token" in said:
        tab = character == "\t"
        message = "a tab: indent with spaces" if tab else f"a text that starts with {character} needs quotes"
    return FileProblem(_place(mark.line + 1, mark.column + 1), message)


def _place(line: int, column: int) -> str:
    return f"line {line}, column {column}"


class _Stop(Exception):
    """Reading cannot go on."""

    def __init__(self, path: str, message: str) -> None:
        self.problem = FileProblem(path, message)


@dataclass(slots=True)
class _Open:
    """A mapping or list that is still being read: `key` is the one whose value comes next, `marks` where keys stood."""

    items: dict[str, Any] | list[Any]
    key: str | None = None
    repeated: bool = False
    marks: dict[str, Any] = field(default_factory=dict)


class _Tree:
    """The document as far as it has been read."""

    def __init__(self) -> None:
        self._root: Any = None
        self._open: list[_Open] = []
        self._problems: list[FileProblem] = []
        self._nodes = 0
        self._documents = 0
        self._whole = True

    def take(self, event: Any) -> None:
        """Takes the parser's next event."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._check(event)
            if not self._is_key(event.value, event):
                self._put(_plain(event.value) if event.implicit[0] else event.value)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._check(event)
            self._begin(event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._put(self._open.pop().items)
        elif kind is yaml.AliasEvent:
            self._fault(event, f"*{event.anchor} stands for something else: write it out where it is meant")
            if not self._is_key(f"*{event.anchor}", event):
                self._put(None)
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                raise _Stop(_where(event), "a second document begins: a market file holds one")

    def stop(self, problem: FileProblem) -> None:
        """Ends the reading for a reason that makes the rest unreadable."""
        self._problems.append(problem)
        self._whole = False

    def result(self) -> Scan:
        if self._whole and not isinstance(self._root, dict):
            self.stop(FileProblem("file", "is empty" if self._root is None else "must be a mapping (key: value)"))
        return Scan(self._root if self._whole else None, tuple(self._problems))

    def _check(self, event: Any) -> None:
        """Counts a node and finds what no part of the market may be written with."""
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise _Stop("file", f"holds more than {NODES_MAX:,} keys and values")
        if event.anchor is not None:
            self._fault(event, f"&{event.anchor} names a part for use elsewhere: write it out where it is meant")
        if event.tag is not None and event.tag != "!":
            self._fault(event, "a tag (!) sets a type: leave it out, and quote what must be text")
        if type(event) is yaml.ScalarEvent and "\0" in event.value:
            self._fault(event, "holds a NUL character")

    def _begin(self, event: Any) -> None:
        if self._awaits_key():
            raise _Stop(_where(event), "a key must be plain text")
        if len(self._open) == DEPTH_MAX:
            raise _Stop(_where(event), f"more than {DEPTH_MAX} mappings and lists inside one another")
        self._open.append(_Open({} if type(event) is yaml.MappingStartEvent else []))

    def _awaits_key(self) -> bool:
        return bool(self._open) and self._open[-1].key is None and isinstance(self._open[-1].items, dict)

    def _is_key(self, text: str, event: Any) -> bool:
        """Takes the text as the open mapping's next key, if it wants one."""
        if not self._awaits_key():
            return False
        top = self._open[-1]
        top.key = text
        first = top.marks.setdefault(text, event.start_mark)
        top.repeated = first is not event.start_mark
        if top.repeated:
            lines = f"on line {first.line + 1} and again on line {event.start_mark.line + 1}"
            self._problem(FileProblem(self._path(), f"is written twice, {lines}"))
        return True

    def _put(self, value: Any) -> None:
        """Gives a value its place; a repeated key's is dropped, the file is refused anyway."""
        if not self._open:
            self._root = value
            return
        top = self._open[-1]
        if isinstance(top.items, list):
            top.items.append(value)
        elif top.key is not None:
            if not top.repeated:
                top.items[top.key] = value
            top.key = None

    def _fault(self, event: Any, message: str) -> None:
        self._whole = False
        self._problem(FileProblem(self._path() or "file", f"{message} ({_where(event)})"))

    def _problem(self, problem: FileProblem) -> None:
        self._problems.append(problem)
        if len(self._problems) >= SOURCE_PROBLEMS_MAX:
            raise _Stop("file", "has more faults than are listed here")

    def _path(self) -> str:
        path = ""
        for part in self._open:
            if isinstance(part.items, list):
                path += f"[{len(part.items)}]"
            elif part.key is not None:
                path += f".{part.key}" if path else part.key
        return path


def _where(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"


def _plain(text: str) -> str | int | bool | None:
    """An unquoted scalar's meaning."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text
