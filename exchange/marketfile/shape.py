"""The shape of a market file: every key that it may have, and what stands behind each.

Keys of the contract that are not built yet are here as `later`: they are refused by name, never called unknown.
"""

from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from exchange.marketfile.limits import (
    CAP,
    FANOUT,
    FIELD_CHARS_MAX,
    OFFER_TTL_S,
    PING_TIMEOUT_MS,
    POST_TIMEOUT_MS,
    PRESUME_DAYS,
    PRIORITY,
    RETURN_DAYS,
    SCHEDULE_WINDOWS_MAX,
    SHARES,
    TIER_SHARE,
    WEIGHT,
    WINDOW_DAYS,
)
from exchange.marketfile.outside import (
    Bearer,
    Currency,
    HeaderName,
    HeaderValue,
    Password,
    Region,
    Url,
    UrlOrNone,
    User,
    Zone,
)
from exchange.marketfile.problems import shown, wrong
from exchange.marketfile.scalars import (
    Amount,
    Dialect,
    FixedPrice,
    Flag,
    Key,
    MaxBid,
    Percent,
    Price,
    Text,
    choice,
    later,
    refuse,
    whole,
)
from exchange.marketfile.times import DaysList, Holidays, HoursText, Moment, moment_text, windows_of
from exchange.rules.schedule import ever_opens
from exchange.values.market import EXPLORATION, MAX_SHARES, Presumption
from exchange.values.schedule import Schedule
from exchange.values.selling import Method, PriceRule
from exchange.values.vertical import FieldType, Stage

_AUTH_LATER = ("query", "hmac", "oauth2")

Kind = TypeVar("Kind")


def _given(value: object) -> object:
    if value is None:
        raise refuse("is empty: give it a value, or leave the key out")
    return value


Given = Annotated[Kind | None, BeforeValidator(_given)]
"""What may be left out, but not be written and empty."""

PingTimeout = Annotated[int, whole(*PING_TIMEOUT_MS)]
PostTimeout = Annotated[int, whole(*POST_TIMEOUT_MS)]
Cap = Annotated[int, whole(*CAP)]
Mapping = dict[str, Any]
"""Entries that are read one by one, so that one wrong entry hides nothing of the others."""


def _version(value: object) -> int:
    if type(value) is not int or value != 1:
        raise refuse(f"must be 1, not {shown(value)}" if type(value) in {int, str} else wrong("1", value))
    return 1


class Shape(BaseModel):
    """What all parts have in common: a key that is not listed is a mistake."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True)


class FieldShape(Shape):
    """One field of a vertical."""

    type: Annotated[str, choice(*FieldType)]
    stage: Annotated[str, choice(*Stage)] = Field(alias="in")
    required: Flag = False
    minimum: Any = Field(default=None, alias="min")
    maximum: Any = Field(default=None, alias="max")
    max_length: Given[Annotated[int, whole(1, FIELD_CHARS_MAX)]] = None
    values: Given[list[Text]] = None
    region: Region = "US"
    multiple: Annotated[None, later("a field with several values", False)] = None


class VerticalShape(Shape):
    """A kind of lead; its fields are read one by one."""

    identity: list[Text] = []
    fields: Mapping


class MarginShape(Shape):
    """What the exchange keeps: a part of the gross price, or an amount a sale."""

    percent: Given[Percent] = None
    amount: Given[Amount] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise refuse("must say either percent or amount")
        return self


class AdjustmentShape(MarginShape):
    """What the ranking adds to a gross price, or takes off: a part of it, or an amount."""


class FloorShape(Shape):
    """A floor for the leads that a filter accepts; the filter is read with the vertical's fields at hand."""

    when: Mapping
    floor: Amount


class TiersShape(Shape):
    """How the tiers of a ping tree share the time."""

    share: Annotated[int, whole(*TIER_SHARE)]


class ReturnsShape(Shape):
    """How long a sale may be returned."""

    window_days: Annotated[int, whole(*RETURN_DAYS)]


class CapsShape(Shape):
    """The most leads in a window."""

    hour: Given[Cap] = None
    day: Given[Cap] = None
    week: Given[Cap] = None
    month: Given[Cap] = None
    total: Given[Cap] = None


class BudgetShape(Shape):
    """The most money in a window."""

    hour: Given[Amount] = None
    day: Given[Amount] = None
    week: Given[Amount] = None
    month: Given[Amount] = None
    total: Given[Amount] = None


class DuplicatesShape(Shape):
    """For how long a person who was sold is not sold again."""

    window_days: Annotated[int, whole(*WINDOW_DAYS)]


class CampaignShape(Shape):
    """The market for one vertical."""

    vertical: Text
    time_zone: Zone = "UTC"
    ping_timeout_ms: PingTimeout = 800
    post_timeout_ms: PostTimeout = 8000
    offer_ttl_s: Annotated[int, whole(*OFFER_TTL_S)] = 300
    sale: Annotated[str, choice("exclusive", "shared", "best")] = "exclusive"
    max_shares: Annotated[int, whole(*SHARES)] = MAX_SHARES
    fallback: Annotated[str, choice("break_even", "none")] = "break_even"
    method: Annotated[str, choice(*Method)] = "highest_bid"
    tiers: Given[TiersShape] = None
    fallback_method: Annotated[None, later("a second method for what the first leaves unsold")] = None
    max_fanout: Annotated[int, whole(*FANOUT)] | None = None
    exploration: Percent = EXPLORATION
    floor: Amount = 0
    floors: Given[list[FloorShape]] = None
    payout_floor: Amount = 0
    price_rule: Annotated[str, choice(*PriceRule)] = "first_price"
    margin: Given[MarginShape] = None
    duplicates: DuplicatesShape | None = None
    caps: CapsShape | None = None
    changed_fields: Annotated[str, choice("keep", "refuse")] = "keep"
    returns: Given[ReturnsShape] = None
    consent: list[Text] = []


class SellerShape(Shape):
    """Who sends pings and posts."""

    campaigns: list[Text]
    floor: Amount = 0
    payout_floor: Amount = 0
    margin: Given[MarginShape] = None
    caps: CapsShape | None = None
    exclude_buyers: list[Text] = []


class BasicShape(Shape):
    """A user and a password (RFC 7617)."""

    user: User
    password: Password


class HeaderShape(Shape):
    """A header that carries a secret."""

    name: HeaderName
    value: HeaderValue


class AuthShape(Shape):
    """How a buyer knows us: one of these."""

    bearer: Given[Bearer] = None
    basic: Given[BasicShape] = None
    header: Given[HeaderShape] = None
    query: Annotated[None, later("auth query")] = None
    hmac: Annotated[None, later("auth hmac")] = None
    oauth2: Annotated[None, later("auth oauth2")] = None

    @model_validator(mode="after")
    def _one_of_all(self) -> Self:
        if sum(part is not None for part in (self.bearer, self.basic, self.header)) != 1:
            raise refuse("must be none or say one of bearer, basic and header")
        return self


def _auth(value: object) -> object:
    """`none` in a word; every other way is a mapping."""
    if value == "none":
        return None
    if value in _AUTH_LATER:
        raise refuse(f"not supported yet: auth {value}")
    if not isinstance(value, dict):
        raise refuse(wrong('none or a mapping such as {bearer: "${env:NAME}"}', value))
    return value


class UnknownShape(Shape):
    """How an attempt that nobody answers counts, and when."""

    presume: Annotated[str, choice(*Presumption)]
    after_days: Annotated[int, whole(*PRESUME_DAYS)]


class EndpointShape(Shape):
    """Where and how a buyer is asked and delivered to."""

    dialect: Dialect = "native"
    ping_url: UrlOrNone = None
    post_url: Url
    status_url: UrlOrNone = None
    ping_timeout_ms: PingTimeout = 500
    post_timeout_ms: PostTimeout = 30_000
    idempotent_post: Flag = False
    unknown: UnknownShape | None = None
    auth: Annotated[AuthShape | None, BeforeValidator(_auth)] = None


class BuyerShape(Shape):
    """Who buys leads."""

    time_zone: Zone = "UTC"
    credit_limit: Amount = 0
    max_bid: MaxBid = None
    margin: Given[MarginShape] = None
    boost: Given[AdjustmentShape] = None
    penalty: Given[AdjustmentShape] = None
    duplicates: DuplicatesShape | None = None
    exclude_sellers: list[Text] = []
    endpoint: Given[EndpointShape] = None
    endpoints: Given[dict[Key, EndpointShape]] = None
    not_with: list[Text] = []


class WindowShape(Shape):
    """The same hours on some days of the week."""

    days: Given[DaysList] = None
    hours: Given[HoursText] = None


class ScheduleShape(Shape):
    """When an order is open: one window or several, holidays, and the time that it runs."""

    days: Given[DaysList] = None
    hours: Given[HoursText] = None
    windows: Given[list[WindowShape]] = None
    holidays: Holidays = []
    starts: Given[Moment] = Field(default=None, alias="from")
    ends: Given[Moment] = Field(default=None, alias="until")

    @model_validator(mode="after")
    def _can_open(self) -> Self:
        if self.windows is not None and (self.days is not None or self.hours is not None):
            raise refuse("must say either windows, or days and hours")
        if self.windows is not None and not 1 <= len(self.windows) <= SCHEDULE_WINDOWS_MAX:
            raise refuse(f"must have 1 to {SCHEDULE_WINDOWS_MAX} windows")
        if self.starts is not None and self.ends is not None and self.starts >= self.ends:
            raise refuse(f"until {moment_text(self.ends)} is not after from {moment_text(self.starts)}")
        if not ever_opens(self.value()):
            raise refuse("no lead can match: it is never open")
        return self

    def value(self) -> Schedule:
        """The schedule that is written down."""
        parts = [self] if self.windows is None else self.windows
        windows = windows_of([(part.days, part.hours) for part in parts])
        return Schedule(windows, frozenset(self.holidays), self.starts, self.ends)


class PriceShape(Shape):
    """A fixed price for the leads that a filter accepts; the filter is read with the vertical's fields at hand."""

    when: Mapping
    price: FixedPrice


class OrderShape(Shape):
    """A buyer's standing order; its filter is read with the vertical's fields at hand."""

    buyer: Text
    campaign: Text
    endpoint: Given[Text] = None
    price: Price = None
    prices: Given[list[PriceShape]] = None
    sale: Annotated[str, choice("exclusive", "shared", "either")] = "either"
    fields: Given[list[Text]] = None
    filter: Mapping = {}
    schedule: ScheduleShape | None = None
    caps: CapsShape | None = None
    budget: BudgetShape | None = None
    priority: Annotated[int, whole(*PRIORITY)] = 1
    boost: Given[AdjustmentShape] = None
    penalty: Given[AdjustmentShape] = None
    weight: Annotated[int, whole(*WEIGHT)] | None = None
    exclude_sellers: list[Text] = []
    consent: list[Text] = []
    paused: Flag = False
    paused_until: Moment | None = None


class MarketShape(Shape):
    """The whole file; its entries are read one by one."""

    version: Annotated[int, PlainValidator(_version)]
    currency: Currency
    verticals: Mapping | None = None
    campaigns: Mapping | None = None
    sellers: Mapping | None = None
    buyers: Mapping | None = None
    orders: Mapping | None = None
