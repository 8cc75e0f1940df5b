"""The format of auction cases: every key of a file. tests/cases/auctions/README.md says what each means."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from exchange.marketfile.source import parse
from exchange.values.money import format_amount, parse_amount
from exchange.values.reason import Reason

Document = dict[str, Any]

TIED = "tied"
"""Stands for a reason: `won` or `outbid`, as the hash of ping and order has it."""

REASONS = {reason.wire_name for reason in Reason} | {TIED}


def _amount(value: object) -> str:
    """An amount as the exchange writes it: `21` and `21.0` are "21.00", `-21` is "-21.00"."""
    text = str(value)
    micros = parse_amount(text.removeprefix("-"))
    if isinstance(value, bool) or micros is None:
        raise ValueError(f"{value!r} is not an amount")
    return format_amount(-micros if text.startswith("-") else micros)


def _reason(value: object) -> str:
    if not isinstance(value, str) or value not in REASONS:
        raise ValueError(f"{value!r} is not the name of a reason")
    return value


def _list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _short_bid(value: object) -> object:
    """`north: 21.00` is a bid of so much."""
    return {"bid": value} if isinstance(value, str | int) else value


def _short_word(value: object) -> object:
    """`north: rejected` is the answer to a post with this status."""
    return {"json": {"status": value}} if isinstance(value, str) else value


Amount = Annotated[str, BeforeValidator(_amount)]
ReasonName = Annotated[str, BeforeValidator(_reason)]
Orders = Annotated[list[str], BeforeValidator(_list)]


class Shape(BaseModel):
    """What all parts have in common: a key that is not listed is a mistake."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class Answer(Shape):
    """What a buyer answers to one request."""

    bid: Annotated[str | None, BeforeValidator(str)] = None
    document: Any = Field(default=None, alias="json")
    body: str | None = None
    raw: str | None = None
    silent: bool = False
    closes: bool = False
    status: int = 200
    headers: dict[str, str] = {}
    padding: int = 0
    after_ms: int = 0

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = {"bid", "document", "body", "raw"} & self.model_fields_set
        if len(said) + self.silent + self.closes > 1:
            raise ValueError("an answer is one of bid, json, body, raw, silent and closes")
        return self


class Ping(Shape):
    """What the seller sends. `lead` holds what differs from the usual lead, `person` is sent as hashes."""

    seller: str = "acme"
    lead: Document = {}
    person: dict[str, str] = {}
    min_price: str | int | None = None
    timeout_ms: int | None = None
    source: str | None = None
    test: bool = False


class Sent(Shape):
    """What a buyer was sent: `lead` is all of it; the others say what is among it."""

    lead: Document | None = None
    body: Document = {}
    headers: dict[str, str] = {}


class Offer(Shape):
    """The offer that is made. `winner` may be several orders, of which each has a share."""

    winner: Orders
    price: Amount
    gross: Amount | None = None
    ladder: list[str] | None = None


class Expected(Shape):
    """What becomes of a ping: an offer, `unsold` or `refused`, and a reason for every order."""

    offer: Offer | None = None
    unsold: ReasonName | None = None
    refused: ReasonName | None = None
    reasons: dict[str, ReasonName]
    gross: dict[str, Amount | None] = {}
    fails: dict[str, list[str]] = {}
    answer: Document = {}
    sent: dict[str, Sent] = {}

    @model_validator(mode="after")
    def _has_one_end(self) -> Self:
        if sum(end is not None for end in (self.offer, self.unsold, self.refused)) != 1:
            raise ValueError("a ping ends in one of offer, unsold and refused")
        return self


class PostExpected(Shape):
    """What becomes of a post, and of the money. `attempts` are in the order in which they were made."""

    accepted: Amount | None = None
    rejected: ReasonName | None = None
    pending: ReasonName | None = None
    problem: str | None = None
    attempts: dict[str, ReasonName]
    answer: Document = {}
    sent: dict[str, Sent] = {}
    margin: Amount | None = None
    balances: dict[str, Amount] = {}
    held: dict[str, Amount] = {}
    becomes: str | None = None

    @model_validator(mode="after")
    def _has_one_end(self) -> Self:
        ends = (self.accepted, self.rejected, self.pending, self.problem)
        if sum(end is not None for end in ends) != 1:
            raise ValueError("a post ends in one of accepted, rejected, pending and problem")
        return self


class Post(Shape):
    """A post against the offer. `market` changes before it; `answers` are the buyers', who otherwise accept."""

    market: Document = {}
    lead: Document = {}
    answers: dict[str, Annotated[Answer, BeforeValidator(_short_word)]] = {}
    expect: PostExpected


class Step(Shape):
    """A ping, what becomes of it, and perhaps its post. `market` changes before it, `bids` hold from then on."""

    market: Document = {}
    bids: dict[str, Annotated[Answer, BeforeValidator(_short_bid)]] = {}
    ping: Ping = Ping()
    repeat: int = 1
    soon: bool = False
    expect: Expected
    post: Post | None = None


class Case(Shape):
    """One file."""

    why: str
    market: Document = {}
    deposits: dict[str, Amount] = {}
    steps: list[Step] = Field(min_length=1)

    @property
    def orders(self) -> list[str]:
        """Every order that the case speaks of, as a bidder or in its market."""
        changes = [self.market, *(step.market for step in self.steps)]
        changes += [step.post.market for step in self.steps if step.post is not None]
        written = [name for change in changes for name in change.get("orders", {})]
        return list(dict.fromkeys([*(name for step in self.steps for name in step.bids), *written]))


def load(path: Path) -> Case:
    """The case of a file. Raises ValueError or MarketFileError for one that cannot be read."""
    return read(parse(path.read_text()))


def read(document: Mapping[str, Any]) -> Case:
    """The case of a document; one without `steps` is itself the only step."""
    if "steps" in document:
        return Case.model_validate(dict(document))
    own = {key: value for key, value in document.items() if key in Step.model_fields and key != "market"}
    rest = {key: value for key, value in document.items() if key not in own}
    return Case.model_validate(rest | {"steps": [own]})
