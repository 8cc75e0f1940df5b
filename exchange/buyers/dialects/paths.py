"""Paths into answers: `a.b[0].c` into JSON, a small part of XPath into XML. They only ever look, and are bounded."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence, Sized
from functools import partial
from typing import Any, NamedTuple

from exchange.buyers.dialects.xml_reading import Element

STEPS_MAX = 16

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
_JSON_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[([0-9]{1,3})\]")
_XML_STEP = re.compile(
    rf"(//?)(?:(text\(\))|(?:[A-Za-z_][A-Za-z0-9_-]*:)?({_NAME})(?:\[([0-9]{{1,3}})\])?|@({_NAME}))", re.ASCII
)

Find = Callable[[Any], Any]
"""Finds what stands at a path: text (a number's as written), true, false, an object, a list; None for nothing."""


class PathError(ValueError):
    """A path that cannot be read; the message says why."""


class XmlStep(NamedTuple):
    """One step down: to a child, or with `deep` to any descendant, the `number`th of that name; or to an attribute."""

    deep: bool
    name: str
    number: int | None = None
    attribute: bool = False


def json_path(text: str) -> tuple[str | int, ...]:
    """The keys and places of `a.b[0].c`. Raises PathError."""
    steps: list[str | int] = []
    end = 0
    for match in _JSON_STEP.finditer(text):
        if match.start() != end:
            break
        steps.append(match[1] if match[2] is None else int(match[2]))
        end = match.end()
    if not steps or end != len(text):
        raise PathError("is no path such as response.bids[0].price")
    _check_count(steps)
    return tuple(steps)


def xml_path(text: str) -> tuple[XmlStep, ...]:
    """The steps of `/a/b[2]`, `//b`, `/a/@c`. Prefixes of names say nothing; `text()` may end it. Raises PathError."""
    steps: list[XmlStep] = []
    end = 0
    for match in _XML_STEP.finditer(text):
        if match.start() != end or (steps and steps[-1].attribute):
            break
        end = match.end()
        deep, own_text, name, number, attribute = match.groups()
        if own_text:
            if deep == "//" or not steps:
                end = -1
            break
        steps.append(XmlStep(deep == "//", name or attribute, int(number) if number else None, attribute is not None))
    if not steps or end != len(text) or any(step.number == 0 for step in steps):
        raise PathError("is no path such as /Response/Price, //Price or //Bid[1]/@id")
    _check_count(steps)
    return tuple(steps)


def json_finder(text: str) -> Find:
    steps = json_path(text)
    first = steps[0]
    if len(steps) > 1 or isinstance(first, int):
        return partial(find_in_json, steps)

    def find(document: Any) -> Any:
        """What most paths are: one key."""
        if not isinstance(document, dict):
            return None
        return document[first] if first in document else _folded(document, first)

    return find


def xml_finder(text: str) -> Find:
    return partial(_find_in_xml, xml_path(text))


def list_finder(text: str, *, xml: bool) -> Find:
    """What finds all that stands at a path: a list in JSON, elements of one name in XML; None for neither."""
    if not xml:
        return partial(_list_in_json, json_path(text))
    steps = xml_path(text)
    if steps[-1].attribute or text.endswith("text()"):
        raise PathError("leads to no elements")
    return partial(_list_in_xml, steps)


def _check_count(steps: Sized) -> None:
    if len(steps) > STEPS_MAX:
        raise PathError(f"has more than {STEPS_MAX} steps")


def find_in_json(steps: tuple[str | int, ...], document: Any) -> Any:
    """What stands below the steps of a path; None for nothing."""
    for step in steps:
        if isinstance(step, int):
            document = document[step] if isinstance(document, list) and step < len(document) else None
        elif isinstance(document, dict):
            document = document[step] if step in document else _folded(document, step)
        else:
            return None
    return document


def key_for(keys: Collection[str], name: str) -> str | None:
    """The key that a name means: itself, else the one that differs in upper and lower case alone, if there is one."""
    if name in keys:
        return name
    wanted, length = name.casefold(), len(name)
    found = [key for key in keys if len(key) == length and key.casefold() == wanted]
    return found[0] if len(found) == 1 else None


def _folded(document: dict[str, Any], name: str) -> Any:
    key = key_for(document, name)
    return None if key is None else document[key]


def _list_in_json(steps: tuple[str | int, ...], document: Any) -> list[Any] | None:
    found = find_in_json(steps, document)
    return found if isinstance(found, list) else None


def _list_in_xml(steps: Sequence[XmlStep], root: Any) -> list[Element] | None:
    return _elements(steps, root) or None if isinstance(root, Element) else None


def _elements(steps: Sequence[XmlStep], root: Element) -> list[Element]:
    found = [Element("", {}, "", [root])]
    for step in steps:
        found = [item for element in found for item in _below(element, step)]
    return found


def _find_in_xml(steps: tuple[XmlStep, ...], root: Element) -> str | None:
    *above, last = steps
    found = _elements(above if last.attribute else steps, root)
    if not last.attribute:
        return found[0].text if found else None
    if last.deep:
        found = [item for element in found for item in _descendants(element)]
    wanted = last.name.casefold()
    texts = (text for element in found for name, text in element.attributes.items() if name.casefold() == wanted)
    return next(texts, None)


def _below(element: Element, step: XmlStep) -> list[Element]:
    """The children or descendants that a step leads to: those of exactly that name, else of one that folds to it."""
    candidates = list(_descendants(element)) if step.deep else element.children
    found = [item for item in candidates if item.name == step.name]
    if not found:
        wanted = step.name.casefold()
        found = [item for item in candidates if item.name.casefold() == wanted]
    return found if step.number is None else found[step.number - 1 : step.number]


def _descendants(element: Element) -> Iterator[Element]:
    for child in element.children:
        yield child
        yield from _descendants(child)
