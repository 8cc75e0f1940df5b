"""One file for a buyer's server, and what opens that server."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from exchange.carriers.outcome import Sent
from exchange.marketfile.secrets import resolve
from exchange.values.deliveries import Files

STEP_TIMEOUT_S = 15.0
"""For each step of a conversation."""

THERE_ALREADY = Sent("it was there from an earlier try")


@dataclass(frozen=True, slots=True)
class Login:
    """The secrets of a files' delivery, resolved."""

    password: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class File:
    """What is to be put down, under a name that is the same with every try. `again`: this is not the first."""

    name: str
    content: bytes
    again: bool

    def paths(self, folder: str) -> tuple[str, str]:
        """Where it lies in the end, and while it is being written."""
        return posixpath.join(folder, self.name), posixpath.join(folder, f".{self.name}.part")


def login_of(way: Files, environment: Mapping[str, str]) -> Login | None:
    """The secrets, where they are set."""
    password = None if way.password is None else resolve(way.password, environment)
    key = None if way.key is None else resolve(way.key, environment, lines=True)
    return Login(password, key) if password is not None or key is not None else None
