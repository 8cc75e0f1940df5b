"""What follows a sale, as configured: sellers' webhooks, and the deliveries of an order besides the deciding one.

Secrets are as written in the market file: `${env:NAME}` references or literals.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from exchange.values.auth import Auth
from exchange.values.filters import Filter
from exchange.values.mapping import Fact, Message, Origin

WEBHOOK_NAME = "webhook"
"""What a seller's only webhook is called in the outbox."""

SALE_EVENT = "sale"


class SellerEvent(StrEnum):
    """What a seller can be told of."""

    ACCEPTED = "post.accepted"
    REJECTED = "post.rejected"
    RETURNED = "post.returned"


class FileFormat(StrEnum):
    JSON = "json"
    CSV = "csv"


class Protocol(StrEnum):
    SFTP = "sftp"
    FTPS = "ftps"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a seller is told what became of his posts, and with which secrets that is signed."""

    url: str
    secrets: tuple[str, ...]
    events: frozenset[SellerEvent]


@dataclass(frozen=True, slots=True)
class LeadWebhook:
    """A lead as JSON to an address, signed; `auth` is what else the receiver knows us by."""

    url: str
    secrets: tuple[str, ...]
    auth: Auth = field(default_factory=Auth)


@dataclass(frozen=True, slots=True)
class Mail:
    """A lead as an e-mail; `html` None: text only."""

    to: tuple[str, ...]
    subject: str
    text: str
    html: str | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """A lead as a file of its own, or together with others every `every_min` minutes.

    One of `password` and `key` is there with SFTP, which also needs the server's `host_key`, as in `known_hosts`.
    """

    protocol: Protocol
    host: str
    port: int
    user: str
    password: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    host_key: str | None = None
    folder: str = ""
    format: FileFormat = FileFormat.JSON
    every_min: int | None = None


Means = LeadWebhook | Mail | Files


@dataclass(frozen=True, slots=True)
class Call:
    """A request of the receiver's own kind, as to a gateway for text messages, and what its answers mean."""

    url: str
    message: Message
    auth: Auth = field(default_factory=Auth)

    @property
    def marks_tests(self) -> bool:
        """Whether the receiver can tell tests from leads."""
        return self.message.names(Fact.TEST)

    def secrets(self) -> Iterator[str]:
        """The templates of all secrets in the request, but for that of `auth`."""
        return (source.name for source in self.message.sources() if source.origin is Origin.SECRET)


def kind_of(means: Means | Call) -> str:
    """The key that a way of delivering has in the market file."""
    match means:
        case LeadWebhook():
            return "webhook"
        case Mail():
            return "email"
        case Files():
            return means.protocol.value
        case Call():
            return "http"
    assert_never(means)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a delivery is tried at most, and how long the pauses are; None: as for all."""

    tries_max: int | None = None
    first_s: int | None = None
    longest_s: int | None = None


@dataclass(frozen=True, slots=True)
class Following:
    """A delivery that follows a sale, `after_s` seconds later, where its conditions hold.

    `when` is what the lead must be; `after` another delivery that must have arrived, `instead_of` one that must have
    been given up. `in_hours`: it waits until the order's schedule is open. `on` is a field with a date, or a date and
    time, that it waits for: of a date until the clock in the buyer's zone reads `at_minute`, counted from midnight.
    """

    name: str
    means: Means | Call
    after_s: int = 0
    when: Filter = field(default_factory=Filter)
    after: str | None = None
    instead_of: str | None = None
    in_hours: bool = False
    retry: Retry | None = None
    on: str | None = None
    at_minute: int = 0

    @property
    def kind(self) -> str:
        return kind_of(self.means)

    @property
    def every_s(self) -> int | None:
        """Of what is sent in batches: how many seconds apart."""
        every_min = self.means.every_min if isinstance(self.means, Files) else None
        return None if every_min is None else every_min * 60
