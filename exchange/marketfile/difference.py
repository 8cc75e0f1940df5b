"""What changes from one market to another, field by field, in words that a person can agree to."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from exchange.marketfile.leaves import Leaf, Tree, flow
from exchange.marketfile.tree import describe, sections
from exchange.values.market import Market


class ChangeKind(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where, and the text before and after it. Secrets that are written out read `***`."""

    kind: ChangeKind
    path: str
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        match self.kind:
            case ChangeKind.ADDED:
                return f"+ {self.path}: {self.after}"
            case ChangeKind.REMOVED:
                return f"- {self.path}: {self.before}"
            case ChangeKind.CHANGED:
                return f"~ {self.path}: {self.before} -> {self.after}"


def compare(old: Market | None, new: Market) -> tuple[Change, ...]:
    """The changes that lead from `old` (None: no market yet) to `new`, in the order of the file.

    A new or vanished entry is one change; an entry that stays is compared key by key.
    """
    return tuple(_changes(old, new))


def _changes(old: Market | None, new: Market) -> Iterator[Change]:
    if old is None:
        yield Change(ChangeKind.ADDED, "currency", after=new.currency)
    elif old.currency != new.currency:
        yield Change(ChangeKind.CHANGED, "currency", old.currency, new.currency)
    olds = sections(old) if old is not None else {}
    for section, entries in sections(new).items():
        before = olds.get(section, {})
        for key in [*before, *(key for key in entries if key not in before)]:
            was, now = before.get(key), entries.get(key)
            if was != now:  # most entries stay as they are: those are not written down
                trees = (None if was is None else describe(was)), (None if now is None else describe(now))
                yield from _difference(f"{section}.{key}", *trees)


def _difference(path: str, was: Leaf | Tree | None, now: Leaf | Tree | None) -> Iterator[Change]:
    if was == now:
        return
    if was is None or now is None:
        kind = ChangeKind.ADDED if was is None else ChangeKind.REMOVED
        yield Change(kind, path, None if was is None else flow(was), None if now is None else flow(now))
    elif isinstance(was, Leaf) or isinstance(now, Leaf):
        yield Change(ChangeKind.CHANGED, path, flow(was), flow(now))
    else:
        for key in [*was, *(key for key in now if key not in was)]:
            yield from _difference(f"{path}.{key}", was.get(key), now.get(key))
