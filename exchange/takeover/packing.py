"""Packs what was made of a market in pieces that are unpacked in well under a millisecond each.

Each piece is a pickle. A collection that is long goes ahead, some entries a piece, and has a number by which what holds
it names it. All else that two pieces have in common is sent once, too: both ends keep what a pickle remembers.
"""

import copyreg
import io
import pickle
import sys
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

from exchange.rules.book import OrderEntry
from exchange.rules.caps import Cap, Pace, Proportion, Spacing
from exchange.rules.schedule import Timeline
from exchange.values.market import Buyer, Order, Seller
from exchange.values.vertical import Vertical

ENTRIES: Final = 10
"""Entries of a collection in one piece, at least; as many orders take some 0.2 ms to unpack. Shorter ones go whole."""

ENTRIES_MAX: Final = 50
"""Entries in one piece where they are light: what was sent already, numbers, names."""

PIECE_BYTES: Final = 2_000
"""About as much goes in one piece, where neither of them is passed: the next is as many entries as the last suggests.
"""

AT_ONCE: Final = 2_000
"""How many things are remembered, or forgotten, in one go."""

_WHOLE: Final = frozenset(
    {str, int, float, bool, bytes, type(None), Order, OrderEntry, Buyer, Seller, Vertical, Timeline}
    | {Cap, Pace, Proportion, Spacing}
)
"""What is not looked into for long collections: entries go whole."""

_COLLECTIONS: Final = frozenset({dict, list, tuple})

_BEGIN: Final = pickle.PROTO + bytes([pickle.HIGHEST_PROTOCOL]) + pickle.FRAME

_Taker = Callable[[Any], tuple[Any, ...]]


class _Part(NamedTuple):
    """Some entries of a long collection, of a mapping with their keys. The last one completes it."""

    kind: type[Any]
    keys: Sequence[object]
    values: Sequence[object]
    is_last: bool


class _All(NamedTuple):
    """What was packed; it is the last piece."""

    value: object


class _Sent(NamedTuple):
    """Stands for a collection that went ahead, until it is unpacked."""

    number: int


def pack(value: object, known: Sequence[object] = ()) -> Iterator[bytes]:
    """The pieces of a value, which must not change meanwhile. What the unpacker knows already is named, not sent."""
    return Packing(known).whole(value)


class Packing:
    """Packs one value, parts of which may be there before the rest. Nothing of it may change meanwhile."""

    def __init__(self, known: Sequence[object] = ()) -> None:
        self._known = known
        self._packer = _Packer(known)
        self._began = False

    def ahead(self, part: object) -> Iterator[bytes]:
        """The pieces of what is long in a part. The value must hold what the part holds, itself."""
        if not self._began:
            self._began = True
            yield from self._named()
        for collection in long_collections(part):
            if not self._packer.has_sent(collection):
                yield from self._packer.parts(collection)

    def whole(self, value: object) -> Iterator[bytes]:
        """All other pieces."""
        yield from self.ahead(value)
        yield self._packer.piece(_All(value))

    def _named(self) -> Iterator[bytes]:
        each = pickle.BINPERSID + pickle.MEMOIZE + pickle.POP
        for start in range(0, len(self._known), AT_ONCE):
            yield _repeated(pickle.BININT, range(start, min(start + AT_ONCE, len(self._known))), each)


def long_collections(value: object) -> Iterator[Any]:
    """The long mappings, lists and tuples in a value, each once, and after those that it holds.

    Short ones that hold one of them are among them.
    """
    yield from _found(value, {})


class Unpacker:
    """Puts one packed value together again. Only what a process of ours has packed may be unpacked."""

    def __init__(self, known: Sequence[object] = ()) -> None:
        self.is_complete = False
        self.value: Any = None
        self._collections: list[Any] = []
        self._collection: Any = None
        self._piece = io.BytesIO()
        self._unpickler = _Unpickler(self._piece, known, self._collections)
        self._remembered_max = 0

    def take(self, piece: bytes) -> None:
        """Takes the next piece."""
        self._remembered_max += piece.count(pickle.MEMOIZE)  # or a few more, where it is part of something else
        found = self._load(piece)
        if isinstance(found, _All):
            self.value, self.is_complete = found.value, True
        elif found is not None:
            self._add(found)

    def forget(self) -> Iterator[None]:
        """Lets go, in small steps, of what holds the value together no longer."""
        self.value = None
        self._collections.clear()
        for start in range(0, self._remembered_max, AT_ONCE):
            self._load(_repeated(pickle.LONG_BINPUT, range(start, start + AT_ONCE), b""))
            yield

    def _load(self, piece: bytes) -> Any:
        self._piece.seek(0)
        self._piece.write(piece)
        self._piece.truncate()
        self._piece.seek(0)
        return self._unpickler.load()

    def _add(self, part: _Part) -> None:
        if self._collection is None:
            self._collection = {} if part.kind is dict else []
        into = self._collection
        if part.kind is dict:
            into.update(zip(part.keys, part.values, strict=True))
        else:
            into.extend(part.values)
        if part.is_last:
            self._collections.append(tuple(into) if part.kind is tuple else into)
            self._collection = None


class _Packer(pickle.Pickler):
    """Its memo holds what is known and what was in former pieces: that is named without a call of Python."""

    def __init__(self, known: Sequence[object]) -> None:
        self._file = io.BytesIO()
        super().__init__(self._file, pickle.HIGHEST_PROTOCOL)
        self.memo = {id(found): (number, found) for number, found in enumerate(known)}
        self._sent: dict[int, _Sent] = {}
        self._takers: dict[type, _Taker | None] = {}

    def piece(self, value: object) -> bytes:
        self.dump(value)
        found = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        return found

    def has_sent(self, collection: object) -> bool:
        return id(collection) in self._sent

    def parts(self, collection: Any) -> Iterator[bytes]:
        """The pieces of a long collection, which is named from then on."""
        kind = type(collection)
        keys = list(collection) if kind is dict else []
        values = self._named(collection.values() if kind is dict else collection)
        at, count = 0, ENTRIES
        while at < len(values):
            end = at + count
            piece = self.piece(_Part(kind, keys[at:end], values[at:end], end >= len(values)))
            yield piece
            at, count = end, min(max(count * PIECE_BYTES // len(piece), ENTRIES), 2 * count, ENTRIES_MAX)
        self._sent[id(collection)] = _Sent(len(self._sent))

    def reducer_override(self, found: object) -> Any:
        """Frozen values are made anew from their fields: much faster than what dataclasses do by themselves."""
        kind = type(found)
        if kind not in self._takers:
            self._takers[kind] = _taker(kind)
        take = self._takers[kind]
        if take is not None:
            return kind, tuple(self._named(take(found)))
        if _is_slotted(kind):
            names = getattr(kind, "__slots__", ())
            values = self._named([getattr(found, name) for name in names])
            return copyreg.__newobj__, (kind,), (None, dict(zip(names, values, strict=True)))  # type: ignore[attr-defined]
        return NotImplemented

    def _named(self, values: Iterable[object]) -> list[Any]:
        """Values with what stands for them where they were sent ahead."""
        listed = list(values)
        return list(map(self._sent.get, map(id, listed), listed))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, known: Sequence[Any], collections: Sequence[Any]) -> None:
        super().__init__(file)
        self._known = known
        self._collections = collections

    def persistent_load(self, number: int) -> Any:
        return self._known[number]

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        return self._collections.__getitem__ if found is _Sent else found


def _taker(kind: type[Any]) -> _Taker | None:
    """What finds the arguments that a value of a kind is made from again; None where a pickle knows better."""
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return tuple
    if not is_dataclass(kind) or not fields(kind):
        return None
    items = fields(kind)
    defaults = [item.default if item.default_factory is MISSING else item.default_factory() for item in reversed(items)]
    find = attrgetter(*(item.name for item in items))

    def take(found: object) -> tuple[Any, ...]:
        values = find(found) if len(items) > 1 else (find(found),)
        count = len(values)
        for default in defaults:
            value = values[count - 1]
            if default is MISSING or (value is not default and value != default):
                break
            count -= 1
        return values[:count]

    return take


def _repeated(before: bytes, numbers: range, after: bytes) -> bytes:
    """A pickle that does the same for many numbers, with None at hand, and makes nothing."""
    written = array("I", numbers)
    if sys.byteorder == "big":
        written.byteswap()
    text, width = written.tobytes(), len(before) + 4 + len(after)
    found = bytearray((before + bytes(4) + after) * len(numbers))
    for place in range(4):
        found[len(before) + place :: width] = text[place::4]
    frame = pickle.NONE + bytes(found) + pickle.STOP
    return _BEGIN + len(frame).to_bytes(8, "little") + frame


def _found(value: object, seen: dict[int, bool]) -> Generator[Any, None, bool]:
    """Yields long collections; whether the value is among them."""
    if id(value) in seen:
        return seen[id(value)]
    holds_one = False
    for member in _members(value):
        if type(member) not in _WHOLE:
            holds_one = (yield from _found(member, seen)) or holds_one
    is_long = type(value) in _COLLECTIONS and (holds_one or len(value) > ENTRIES)  # type: ignore[arg-type]  # it has a length
    seen[id(value)] = is_long
    if is_long:
        yield value
    return is_long


def _members(value: object) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    kind = type(value)
    return (getattr(value, name) for name in kind.__slots__) if _is_slotted(kind) else ()  # type: ignore[attr-defined]


def _is_slotted(kind: type[Any]) -> bool:
    """Whether it is of our kinds, and all that a value of it has is in its slots."""
    is_ours = kind.__module__.startswith("exchange.") and bool(getattr(kind, "__slots__", ()))
    return is_ours and not any("__reduce__" in vars(base) for base in kind.__mro__[:-1])
