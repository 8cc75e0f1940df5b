"""Documents of a mapping: which places may stand together, and what builds an object or a list of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exchange.buyers.dialects.paths import PathError, json_path
from exchange.buyers.dialects.sources import ABSENT, Facts, Get, compile_source
from exchange.buyers.dialects.xml_writing import is_xml_name
from exchange.values.mapping import Part

OWN_TEXT = "#"
"""The place of an element's own text, beside its attributes, which are written as `@name`."""

Steps = tuple[str | int, ...]


class PlaceError(ValueError):
    """Two parts of a request that cannot both stand where they are put; `place` is the second one's."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place


def tree(parts: Sequence[Part], secrets: Mapping[str, str], *, xml: bool) -> Get:
    """One function that builds the whole document of all parts."""
    places = read_places([part.place for part in parts], xml=xml)
    gets = [compile_source(part.source, secrets, part.place) for part in parts]
    return object_of(list(zip(places, gets, strict=True)), root=True)


def read_places(places: Sequence[str], *, xml: bool) -> list[Steps]:
    """The steps to each place of a document. Raises PlaceError where they do not fit together."""
    found: list[Steps] = []
    for place in places:
        try:
            steps = json_path(place)
        except PathError as error:
            raise PlaceError(place, str(error)) from error
        if xml:
            _check_xml(steps, place)
        elif isinstance(steps[0], int):
            raise PlaceError(place, "must begin with a name")
        _check_free(found, steps, place)
        found.append(steps)
    return found


def _check_xml(steps: Steps, place: str) -> None:
    *above, last = steps
    names = [step for step in steps if isinstance(step, str)]
    special = [name for name in above if isinstance(name, str) and (name.startswith("@") or name == OWN_TEXT)]
    bare = [name.removeprefix("@") for name in names if name != OWN_TEXT]
    if special or isinstance(steps[0], int) or not all(map(is_xml_name, bare)) or last == "@":
        raise PlaceError(place, "is no place in XML such as Contact.FirstName, Contact.@id or Vehicle[0].Make")


def _check_free(taken: Iterable[Steps], steps: Steps, place: str) -> None:
    for other in taken:
        size = min(len(other), len(steps))
        if other[:size] == steps[:size]:
            raise PlaceError(place, "stands where another part stands already")
        shared = next(index for index in range(size) if other[index] != steps[index])
        if isinstance(other[shared], int) is not isinstance(steps[shared], int):
            raise PlaceError(place, "makes a list of what another part makes an object")


def object_of(parts: list[tuple[Steps, Get]], *, root: bool = False) -> Get:
    """What builds an object, or a list where the steps are numbers; without anything in it, it is absent."""
    below: dict[str | int, list[tuple[Steps, Get]]] = {}
    for (first, *rest), get in parts:
        below.setdefault(first, []).append((tuple(rest), get))
    items = [(key, inner[0][1] if not inner[0][0] else object_of(inner)) for key, inner in below.items()]
    if items and isinstance(items[0][0], int):
        gets = [get for _, get in sorted(items, key=lambda item: item[0])]
        return lambda facts: [value for get in gets if (value := get(facts)) is not ABSENT] or ABSENT

    def build(facts: Facts) -> Any:
        found = {}
        for key, get in items:
            value = get(facts)
            if value is not ABSENT:
                found[key] = value
        return found if found or root else ABSENT

    return build
