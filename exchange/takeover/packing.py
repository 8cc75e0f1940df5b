"""Packs what was made of a market in pieces that are unpacked in well under a millisecond each.

Each piece is a pickle. A collection that is long goes ahead, some entries a piece. All that a piece has made has a
number, by which the pieces after it name it: so what two of them have in common is sent once.
"""

import io
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from sys import getrefcount
from typing import Any, Final, NamedTuple

from exchange.rules.book import OrderEntry
from exchange.rules.caps import Cap, Pace, Proportion, Spacing
from exchange.rules.schedule import Timeline
from exchange.values.market import Buyer, Order, Seller
from exchange.values.vertical import Vertical

ENTRIES: Final = 10
"""Entries of a collection in one piece; as many orders take some 0.2 ms to unpack. Shorter collections go whole."""

FORGOTTEN_AT_ONCE: Final = 5_000
"""How many numbers are forgotten in one go."""

_WHOLE: Final = frozenset(
    {str, int, float, bool, bytes, type(None), Order, OrderEntry, Buyer, Seller, Vertical, Timeline}
    | {Cap, Pace, Proportion, Spacing}
)
"""What is not looked into for long collections: entries go whole."""

_REFERENCES: Final = 4
"""To what only the memo of a pickle holds: its own, that of its copy, a variable's, and an argument's."""

_COLLECTIONS: Final = frozenset({dict, list, tuple})


class _Part(NamedTuple):
    """Some entries of a long collection, of a mapping with their keys. The last completes it, and gives it a number."""

    kind: type[Any]
    keys: Sequence[object]
    values: Sequence[object]
    is_last: bool


class _All(NamedTuple):
    """What was packed; it is the last piece."""

    value: object


def pack(value: object, known: Sequence[object] = ()) -> Iterator[bytes]:
    """The pieces of a value, which must not change meanwhile. What the unpacker knows already is named, not sent."""
    packer = _Packer(known)
    for collection in long_collections(value):
        for part in _parts(collection):
            yield packer.piece(part)
        packer.name(collection)
    yield packer.piece(_All(value))


def long_collections(value: object) -> Iterator[Any]:
    """The long mappings, lists and tuples in a value, each once, and after those that it holds."""
    yield from _found(value, set())


class Unpacker:
    """Puts one packed value together again. Only what a process of ours has packed may be unpacked."""

    def __init__(self, known: Sequence[object] = ()) -> None:
        self.is_complete = False
        self.value: Any = None
        self._collection: Any = None
        self._made: list[Any] = [*known]
        self._named = self._made.__getitem__

    def take(self, piece: bytes) -> None:
        """Takes the next piece."""
        unpickler = pickle.Unpickler(io.BytesIO(piece))  # noqa: S301  # see above
        unpickler.persistent_load = self._named  # type: ignore[method-assign]  # a method of a subclass would be Python
        found = unpickler.load()
        self._made.extend(unpickler.memo.copy().values())
        if isinstance(found, _All):
            self.value, self.is_complete = found.value, True
        else:
            self._add(found)

    def forget(self) -> Iterator[None]:
        """Lets go, in small steps, of what holds the value together no longer."""
        self.value = None
        while self._made:
            del self._made[-FORGOTTEN_AT_ONCE:]
            yield

    def _add(self, part: _Part) -> None:
        if self._collection is None:
            self._collection = {} if part.kind is dict else []
        into = self._collection
        if part.kind is dict:
            into.update(zip(part.keys, part.values, strict=True))
        else:
            into.extend(part.values)
        if part.is_last:
            self._made.append(tuple(into) if part.kind is tuple else into)
            self._collection = None


class _Packer(pickle.Pickler):
    """Numbers are those of what is known, then of what the pieces and their collections make, one after the other."""

    def __init__(self, known: Sequence[object]) -> None:
        self._file = io.BytesIO()
        super().__init__(self._file, pickle.HIGHEST_PROTOCOL)
        self._numbers = {id(found): number for number, found in enumerate(known)}
        self._count = len(known)
        self._held: list[object] = [known]  # so that nothing else gets its place in memory
        self._fields: dict[type, list[tuple[str, object]] | None] = {}
        number_of, place_of = self._numbers.get, id
        self.persistent_id = lambda found: number_of(place_of(found))  # type: ignore[method-assign]

    def piece(self, value: object) -> bytes:
        self.dump(value)
        found = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        self._number(self.memo.copy())
        self.clear_memo()
        return found

    def _number(self, made: dict[int, tuple[int, object]]) -> None:
        """Numbers what a piece has made, but for what was there only to make it: nothing else will name that."""
        for place, (number, found) in made.items():
            if getrefcount(found) > _REFERENCES:
                self._numbers[place] = self._count + number
                self._held.append(found)
        self._count += len(made)

    def name(self, collection: object) -> None:
        """From now on a collection is named by its number."""
        self._numbers[id(collection)] = self._count
        self._count += 1

    def reducer_override(self, found: object) -> Any:
        """Frozen values are made anew from their fields: much faster than what dataclasses do by themselves."""
        kind = type(found)
        if kind not in self._fields:
            self._fields[kind] = _defaults(kind) if is_dataclass(kind) else None
        defaults = self._fields[kind]
        if defaults is None:
            return NotImplemented
        values = [getattr(found, name) for name, _ in defaults]
        for _, default in reversed(defaults):
            if default is MISSING or values[-1] != default:
                break
            values.pop()
        return kind, tuple(values)


def _defaults(kind: type[Any]) -> list[tuple[str, object]]:
    return [
        (item.name, item.default if item.default_factory is MISSING else item.default_factory())
        for item in fields(kind)
    ]


def _parts(collection: Any) -> Iterator[_Part]:
    kind = type(collection)
    keys = list(collection) if kind is dict else []
    values = list(collection.values() if kind is dict else collection)
    for at in range(0, len(values), ENTRIES):
        end = at + ENTRIES
        yield _Part(kind, keys[at:end], values[at:end], end >= len(values))


def _found(value: object, seen: set[int]) -> Iterator[Any]:
    if id(value) in seen:
        return
    seen.add(id(value))
    for member in _members(value):
        if type(member) not in _WHOLE:
            yield from _found(member, seen)
    if type(value) in _COLLECTIONS and len(value) > ENTRIES:  # type: ignore[arg-type]  # it has a length
        yield value


def _members(value: object) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    kind = type(value)
    is_ours = kind.__module__.startswith("exchange.") and kind.__reduce__ is object.__reduce__
    return (getattr(value, name) for name in getattr(kind, "__slots__", ())) if is_ours else ()
