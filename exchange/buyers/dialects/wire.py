"""What a dialect is: pure functions from a ping or a post to a request, and from an answer to what it means.

A dialect opens no socket and reads no clock. It says what is sent; the engine and the courier send it, once.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol
from uuid import UUID

from exchange.values.bid import Delivery, Reply
from exchange.values.market import Sale
from exchange.values.vertical import Lead

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
PLAIN_METHOD = "POST"


class Ping(NamedTuple):
    """What an order is told of a lead that is for sale: `lead` has the fields that it may see.

    `written` keeps what has been written of them already, for all who are shown the same.
    """

    ping_id: UUID
    order: str
    campaign: str
    vertical: str
    test: bool
    currency: str
    floor_micros: int
    sale: Sale
    lead: Lead
    written: dict[object, bytes] | None = None


class Post(NamedTuple):
    """What the order that buys is told: the full lead, at `gross_micros`. Nothing of it is kept as `written`."""

    attempt_id: UUID
    ping_id: UUID
    bid_id: str | None
    order: str
    campaign: str
    test: bool
    gross_micros: int
    currency: str
    sale: Sale
    lead: Lead
    written: None = None


class Request(NamedTuple):
    """What is written for one ping or post: the body, and what its URL and head say that others do not.

    `query` is added to that of the URL, already encoded.
    """

    body: bytes
    query: str = ""
    headers: Mapping[str, str] = NO_HEADERS


class Unsendable(Exception):
    """A value that this wire cannot carry as it is: the order is not asked, or nothing is delivered to it.

    The message names the place, never the value.
    """


Read = Callable[[int, bytes], Reply]
"""What an answer to a ping means, from its status and its body. It never raises."""


class Dialect(Protocol):
    """One way of speaking. `ping`, `post`, `status` raise Unsendable; what reads an answer never raises."""

    @property
    def ping_method(self) -> str: ...

    @property
    def post_method(self) -> str: ...

    @property
    def status_method(self) -> str: ...

    def standing_headers(self, order: str) -> Mapping[str, str]:
        """The headers that all pings for an order have."""
        ...

    def ping(self, ping: Ping) -> Request:
        """The request that asks for a bid; orders that are shown the same are sent the same."""
        ...

    def bid_reader(self, *, sale: Sale, currency: str) -> Read:
        """What reads all the answers to one ping; `sale` and `currency` are what was asked for."""
        ...

    def post(self, post: Post) -> Request:
        """The request that delivers a lead: the same again for the same attempt."""
        ...

    def read_delivery(self, status: int, body: bytes, gross_micros: int) -> Delivery:
        """What an answer to a post at this price means; nothing that is not said clearly is a yes or a no."""
        ...

    def status(self, post: Post) -> Request:
        """The request that asks what became of a post, which comes without its lead."""
        ...

    def read_status(self, status: int, body: bytes, gross_micros: int) -> Delivery:
        """What an answer to that means; `NotSent` is the buyer's word that he knows no such attempt."""
        ...


def with_query(url: str, query: str) -> str:
    """A URL with more in its query."""
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"
