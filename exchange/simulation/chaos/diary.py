"""What sellers and buyers of a run write down: one JSON line an event, with the system before it has consequences."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import orjson

PING, POST, STATUS, ANSWERED = "ping", "post", "status", "answered"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a seller and what came back: `status` and `answer` are None where no whole answer came.

    `at` and `until` are seconds since the epoch; `phone` and `email` are the person's, as the seller sent them.
    """

    at: float
    until: float
    seller: str
    gateway: str
    path: str
    campaign: str
    phone: str
    email: str
    test: bool
    ping_id: str | None
    key: str | None
    body_is_other: bool
    status: int | None
    answer: str | None
    trouble: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """The answer, where it is an object; empty otherwise."""
        if self.answer is None:
            return {}
        try:
            found = orjson.loads(self.answer)
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a buyer saw and made of it, written before he answered; `body` is what he was sent, byte for byte.

    `what` is one of ping, post, status and answered; `repeat` counts the deliveries of the same attempt before.
    """

    at: float
    buyer: str
    what: str
    ping_id: str = ""
    attempt_id: str = ""
    order: str = ""
    price: str = ""
    decision: str = ""
    move: str = ""
    repeat: int = 0
    body: str = ""


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that was made, and when."""

    at: float
    what: str


Entry = TypeVar("Entry", Asked, Seen)


class Diary:
    """Appends entries to a file; each is with the operating system before `write` returns. One writer a file."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, entry: Asked | Seen) -> None:
        """Raises OSError where the line could not be written whole: a witness with gaps is none."""
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        if os.write(self._descriptor, line) != len(line):
            raise OSError("a diary could not be written whole")

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_diary(path: Path, kind: type[Entry]) -> Iterator[Entry]:
    """The entries of a file that nobody writes to any more."""
    with path.open("rb") as file:
        for line in file:
            yield kind(**orjson.loads(line))
