"""A mapping: how an endpoint's requests are built field by field, and by which rules its answers are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Body(StrEnum):
    """How a request's fields are written; `QUERY` puts them into the URL and sends no body."""

    JSON = "json"
    FORM = "form"
    QUERY = "query"
    XML = "xml"
    SOAP11 = "soap11"
    SOAP12 = "soap12"


class Format(StrEnum):
    """How an answer is read; `TEXT` is for what is not well-formed: by patterns alone."""

    JSON = "json"
    XML = "xml"
    TEXT = "text"


class Fact(StrEnum):
    """What can be said of a ping or post besides the lead."""

    PING_ID = "ping_id"
    ATTEMPT_ID = "attempt_id"
    BID_ID = "bid_id"
    ORDER = "order"
    CAMPAIGN = "campaign"
    CURRENCY = "currency"
    SALE = "sale"
    FLOOR = "floor"
    PRICE = "price"
    TEST = "test"


PING_FACTS = frozenset(Fact) - {Fact.ATTEMPT_ID, Fact.BID_ID, Fact.PRICE}
POST_FACTS = frozenset(Fact) - {Fact.FLOOR}
"""What is known of a post, and when it is asked what became of one."""


class Origin(StrEnum):
    """Where a value comes from: a field of the lead, a fact of the request, the mapping itself, or the environment."""

    FIELD = "field"
    VALUE = "value"
    CONST = "const"
    SECRET = "secret"  # noqa: S105  # the word for it
    LIST = "list"


class Money(StrEnum):
    """How an amount is written: "1234.50", "$1,234.50", "1.234,50" or "123450"."""

    PLAIN = "plain"
    DOLLARS = "dollars"
    COMMA = "comma"
    CENTS = "cents"


class Phone(StrEnum):
    """How a phone number is written: "+13125550123", "13125550123", "3125550123" or "312-555-0123"."""

    E164 = "e164"
    DIGITS = "digits"
    NATIONAL = "national"
    DASHED = "dashed"


class Kind(StrEnum):
    """What a value is in JSON."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


class Less(StrEnum):
    """What a yes to a post means that confirms a lower price than was bid."""

    UNKNOWN = "unknown"
    REJECTED = "rejected"


class Case(StrEnum):
    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class When:
    """When a part is sent: where a field or fact is there and, with `values`, is (or with `negated` is not) one."""

    origin: Origin
    name: str
    values: tuple[str, ...] | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from and how it is written. `name` is a field, a fact, a constant or a secret's template.

    `values` are pairs of what is meant and what is sent; `otherwise` is sent for what is not among them, `default`
    where there is nothing to send. `boolean` are the words for yes and no. `join` makes one text of several values.
    """

    origin: Origin
    name: str = ""
    items: "tuple[Source, ...]" = ()
    join: str | None = None
    values: tuple[tuple[str, str], ...] = ()
    otherwise: str | None = None
    default: str | None = None
    date: str | None = None
    phone: Phone | None = None
    money: Money | None = None
    boolean: tuple[str, str] | None = None
    case: Case | None = None
    max_chars: int | None = None
    kind: Kind | None = None
    when: When | None = None

    def all(self) -> "Iterator[Source]":
        """The source and those that it is made of."""
        yield self
        for item in self.items:
            yield from item.all()

    def names(self, fact: Fact) -> bool:
        """Whether what is sent depends on a fact."""
        when = self.when
        return (self.origin is Origin.VALUE and self.name == fact) or (
            when is not None and when.origin is Origin.VALUE and when.name == fact
        )


@dataclass(frozen=True, slots=True)
class Part:
    """One place of a request, and what stands there."""

    place: str
    source: Source


@dataclass(frozen=True, slots=True)
class Condition:
    """Something an answer may say. All that is given must hold; without `statuses` the answer must be a 2xx.

    `at` is a path; without it `matches` is looked for in the whole body. `statuses` are numbers, or classes as "4xx";
    `also` are further conditions that must hold.
    """

    at: str | None = None
    values: tuple[str, ...] | None = None
    negated: bool = False
    exists: bool | None = None
    matches: str | None = None
    above_micros: int | None = None
    statuses: tuple[str, ...] = ()
    also: "tuple[Condition, ...]" = ()


@dataclass(frozen=True, slots=True)
class Saying:
    """Where an answer says something: at a path, or in the group of a pattern."""

    at: str | None = None
    matches: str | None = None
    money: Money = Money.PLAIN
    optional: bool = False


@dataclass(frozen=True, slots=True)
class SaleWords:
    """Where a bid says how the lead would be bought, and the words for that."""

    saying: Saying
    exclusive: tuple[str, ...]
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BidList:
    """Where an answer has a list of bids, and what each of them says, as an answer of its own."""

    at: str
    each: "ReplyRules"


@dataclass(frozen=True, slots=True)
class ReplyRules:
    """What an answer means. Of each kind of rule one condition that holds is enough; `error` goes before all others.

    `confirmed` is the price that a yes to a post repeats; one that is `less` than was bid is no sale. `not_found` is
    the buyer's word that he knows no such post. Without a `success` a list of `bids` is a yes, and each of them, of
    which nothing says no, too.
    """

    format: Format
    charset: str = "utf-8"
    error: tuple[Condition, ...] = ()
    duplicate: tuple[Condition, ...] = ()
    reject: tuple[Condition, ...] = ()
    success: tuple[Condition, ...] = ()
    price: Saying | None = None
    bid_id: Saying | None = None
    reason: Saying | None = None
    reference: Saying | None = None
    redirect_url: Saying | None = None
    confirmed: Saying | None = None
    less: Less = Less.UNKNOWN
    not_found: tuple[Condition, ...] = ()
    sale: SaleWords | None = None
    max_shares: Saying | None = None
    bids: BidList | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """How a ping or a post is written, and its answer read."""

    method: str
    body: Body
    fields: tuple[Part, ...]
    reply: ReplyRules
    query: tuple[Part, ...] = ()
    headers: tuple[Part, ...] = ()
    charset: str = "utf-8"
    root: str = ""
    namespace: str = ""
    action: str = ""

    def sources(self) -> Iterator[Source]:
        """Everything that is sent."""
        for part in (*self.fields, *self.query, *self.headers):
            yield from part.source.all()

    def names(self, fact: Fact) -> bool:
        """Whether what is sent depends on a fact."""
        return any(source.names(fact) for source in self.sources())

    def lead_fields(self) -> frozenset[str]:
        """The fields of the lead that what is sent depends on."""
        sources = list(self.sources())
        sent = [source.name for source in sources if source.origin is Origin.FIELD]
        asked = [item.when.name for item in sources if item.when is not None and item.when.origin is Origin.FIELD]
        return frozenset(sent + asked)


@dataclass(frozen=True, slots=True)
class EndpointMapping:
    """How an endpoint is spoken to. Without a `ping` it is not asked for bids.

    Without a `status` it is asked what became of a post as in the native dialect.
    """

    ping: Message | None
    post: Message
    status: Message | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(message for message in (self.ping, self.post, self.status) if message is not None)

    @property
    def marks_tests(self) -> bool:
        """Whether a buyer can tell tests from leads."""
        return all(message.names(Fact.TEST) for message in (self.ping, self.post) if message is not None)

    @property
    def differs_by_order(self) -> bool:
        """Whether two orders that may see the same are sent different pings."""
        return self.ping is not None and self.ping.names(Fact.ORDER)

    def secrets(self) -> Iterator[str]:
        """The templates of all secrets that are sent."""
        for message in self.messages:
            for source in message.sources():
                if source.origin is Origin.SECRET:
                    yield source.name
