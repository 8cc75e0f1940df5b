"""Requests of the usual kind on their straight way to a door, and what is remembered of their heads."""

from typing import NamedTuple, Protocol

from exchange.api.door import Door
from exchange.api.problems import Prepared


class _Nobody:
    """Waits for nothing: a request that goes straight to its door is whole before it is begun."""

    def set(self) -> None:
        """Nobody is woken."""


class Head(NamedTuple):
    """What a head of the usual kind says: whose request it is, and how many bytes follow."""

    length: int
    door: Door
    bearer: str
    path: str
    headers: list[tuple[bytes, bytes]]


class Connection(Protocol):
    """Where a request came from, as far as it has to know."""

    def begin(self, request: "Straight", *, inside: str | None = None) -> None:
        """Opens the door to a request."""

    def refuse(self, request: "Straight", refusal: Prepared) -> None:
        """Answers a request for which the door is not opened."""


class Straight:
    """A request on its straight way to a door, as the server's protocol sees it."""

    __slots__ = (
        "arrived_s", "bearer", "content", "disconnected", "door", "headers", "keep_alive", "path", "protocol",
        "response_complete", "seller", "since_s",
    )  # fmt: skip

    message_event = _Nobody()

    def __init__(
        self,
        protocol: Connection,
        door: Door,
        path: str,
        headers: list[tuple[bytes, bytes]],
        bearer: str,
        arrived_s: float,
        *,
        keep_alive: bool,
    ) -> None:
        self.protocol = protocol
        self.bearer = bearer
        self.seller = ""
        self.since_s = 0.0
        self.door = door
        self.path = path
        self.headers = headers
        self.arrived_s = arrived_s
        self.content = b""
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    def go(self) -> bool:
        """Goes in to its door; false where its client is gone."""
        if not self.disconnected:
            self.protocol.begin(self, inside=self.seller)
        return not self.disconnected

    def refuse(self, refusal: Prepared) -> None:
        """Is answered without having been in."""
        self.protocol.refuse(self, refusal)
