"""The market as configured: verticals, campaigns, sellers, buyers with their endpoints, and orders. Frozen, acyclic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from exchange.values.auth import Auth
from exchange.values.brakes import BreakerWish, Rate
from exchange.values.deliveries import Following, Means, Webhook
from exchange.values.filters import Condition, Filter, Group
from exchange.values.mapping import EndpointMapping
from exchange.values.notices import Notices, NoticeTerms
from exchange.values.reason import Reason
from exchange.values.schedule import Schedule
from exchange.values.selling import Adjustment, Method, PriceRule
from exchange.values.vertical import Vertical

EXPLORATION = 100_000
"""How many millionths of the places to be asked are for exploring, unless a campaign says otherwise."""

RETURNS_WINDOW_DAYS = 14
"""How long a sale may be returned, unless a campaign says otherwise."""

MAX_SHARES = 3
"""By how many at most a shared lead is bought, unless a campaign says otherwise."""


PACING_BURST = 50_000
"""How many millionths of its open time an order with an even pace may be ahead, unless it says otherwise."""


class Sale(StrEnum):
    """How a lead is sold. `EITHER` is what an order takes, `BEST` what a campaign sells; neither is what a bid is."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"
    EITHER = "either"
    BEST = "best"


class Fallback(StrEnum):
    """What happens after a winner's clear no: margin down to nothing, or the end of the ladder."""

    BREAK_EVEN = "break_even"
    NONE = "none"


class Presumption(StrEnum):
    """How an attempt that nobody answered counts when the agreed time is over."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Period(StrEnum):
    """The calendar windows of caps and budgets; a week starts on Monday, `TOTAL` never ends."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Margin:
    """What the exchange keeps of a gross price: `parts_per_million` of it, or `amount_micros` flat (never both)."""

    parts_per_million: int = 0
    amount_micros: int = 0


@dataclass(frozen=True, slots=True)
class UnknownTerms:
    """What was agreed for attempts that nobody answers: how they count, `after_days` from when they were made."""

    presume: Presumption
    after_days: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a buyer is asked and delivered to. Times are in milliseconds.

    `keep_alive_s` is for how many seconds the buyer is sure to keep an idle connection of posts open; 0: nobody knows.
    `idempotent_post` says that the buyer answers an attempt that he is sent again as he did before; `status_url` is
    where he says what became of one; `unknown` None presumes nothing. Without a `ping_url` nobody is asked for bids
    here: only orders with a fixed price can use it. `mapping` None: the native dialect. `means` is how leads are
    delivered without a `post_url`; one of both is there.
    """

    name: str
    dialect: str
    ping_url: str | None
    post_url: str | None
    ping_timeout_ms: int
    post_timeout_ms: int
    auth: Auth = field(default_factory=Auth)
    status_url: str | None = None
    idempotent_post: bool = False
    unknown: UnknownTerms | None = None
    mapping: EndpointMapping | None = None
    keep_alive_s: int = 0
    signing: tuple[str, ...] = ()
    """The secrets that posts are signed with, as written in the market file; none: they are not."""
    breaker: BreakerWish = field(default_factory=BreakerWish)
    rate: Rate | None = None
    in_flight_max: int | None = None
    """How many pings may be under way to it at a time."""
    means: Means | None = None

    @property
    def marks_tests(self) -> bool:
        """Whether the buyer can tell tests from leads."""
        return self.mapping is None or self.mapping.marks_tests


Caps = Mapping[Period, int]
"""The most leads in each window that has a limit."""

Budget = Mapping[Period, int]
"""The most money in each window that has a limit, in micro-units of gross price."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """For how long a person who was sold is not sold again."""

    window_days: int


@dataclass(frozen=True, slots=True)
class AmountRule:
    """An amount for leads that a filter accepts; of several rules the first that does counts."""

    when: Filter
    micros: int


@dataclass(frozen=True, slots=True)
class SubCap:
    """Further limits of an order, for the leads that a filter accepts."""

    name: str
    when: Filter
    caps: Caps = field(default_factory=dict)
    budget: Budget = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShareCap:
    """The most that an order buys of the leads which its filter lets through in a window, in millionths of them."""

    parts_per_million: int
    period: Period


@dataclass(frozen=True, slots=True)
class Pacing:
    """That an order buys evenly over the time that it is open in a day; so many millionths of that it may be ahead."""

    burst: int


@dataclass(frozen=True, slots=True)
class Queue:
    """That leads which find no buyer wait: for how long, how soon they are offered again, and how many may wait.

    `reasons` are those of pings after which a lead waits. Times are in seconds.
    """

    for_s: int
    every_s: int
    leads_max: int
    reasons: frozenset[Reason]


@dataclass(frozen=True, slots=True)
class Campaign:
    """The market for one vertical that sellers send to. Times are in milliseconds unless the name says seconds.

    `floor_micros` is the least gross price, unless one of `floors` holds for the lead; `payout_floor_micros` is the
    least that a seller is paid. `tier_share_percent` is the part of the time left that each tier of a ping tree has.
    At most `fanout_max` orders are asked at once; `exploration` millionths of these are not chosen for their bids.
    `fallback_method` sells what `method` leaves unsold.
    """

    key: str
    vertical: str
    time_zone: str = "UTC"
    ping_timeout_ms: int = 800
    post_timeout_ms: int = 8000
    offer_ttl_s: int = 300
    sale: Sale = Sale.EXCLUSIVE
    fallback: Fallback = Fallback.BREAK_EVEN
    method: Method = Method.HIGHEST_BID
    fallback_method: Method | None = None
    floor_micros: int = 0
    margin: Margin = Margin()
    changed_fields_refused: bool = False
    caps: Caps = field(default_factory=dict)
    duplicates: Duplicates | None = None
    returns_window_days: int = RETURNS_WINDOW_DAYS
    consent: tuple[str, ...] = ()
    payout_floor_micros: int = 0
    floors: tuple[AmountRule, ...] = ()
    price_rule: PriceRule = PriceRule.FIRST_PRICE
    tier_share_percent: int | None = None
    fanout_max: int | None = None
    exploration: int = EXPLORATION
    max_shares: int = MAX_SHARES
    queue: Queue | None = None
    notices: NoticeTerms | None = None
    """What buyers whose bids lost are told; None: nothing."""


RATE_BURST_S = 2
"""A seller's burst is what his rate gives in so many seconds, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sends pings and posts, and the campaigns that are open to him.

    Of his floors and the campaign's, on gross and on payouts, the higher counts.
    """

    key: str
    campaigns: tuple[str, ...]
    margin: Margin | None = None
    caps: Caps = field(default_factory=dict)
    exclude_buyers: frozenset[str] = frozenset()
    floor_micros: int = 0
    payout_floor_micros: int = 0
    webhook: Webhook | None = None
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys leads. `max_bid_micros` is the most he will ever be charged for one lead, None for no limit.

    `adjustment` is that of his orders in the ranking, where they have none of their own.
    """

    key: str
    endpoints: Mapping[str, Endpoint]
    time_zone: str = "UTC"
    credit_limit_micros: int = 0
    max_bid_micros: int | None = None
    margin: Margin | None = None
    duplicates: Duplicates | None = None
    exclude_sellers: frozenset[str] = frozenset()
    adjustment: Adjustment | None = None
    not_with: tuple[str, ...] = ()
    """The buyers whom he does not share a lead with."""
    notices: Notices | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A buyer's standing order on a campaign. `fields` None means all ping fields; lower `priority` goes first.

    `schedule` None means always open; `paused_until` is what a clock in the buyer's zone reads then; `consent` are the
    ping fields in which the person must have agreed.
    A lead suits it that meets all conditions of `filter` and all `filter_groups`.
    `price_micros` is a fixed gross price, unless one of `prices` holds for the lead; None: the endpoint is asked.
    """

    key: str
    buyer: str
    campaign: str
    endpoint: str
    sale: Sale = Sale.EITHER
    fields: tuple[str, ...] | None = None
    filter: Mapping[str, Condition] = field(default_factory=dict)
    priority: int = 1
    exclude_sellers: frozenset[str] = frozenset()
    paused: bool = False
    caps: Caps = field(default_factory=dict)
    budget: Budget = field(default_factory=dict)
    schedule: Schedule | None = None
    paused_until: datetime | None = None
    consent: tuple[str, ...] = ()
    filter_groups: tuple[Group[Filter], ...] = ()
    price_micros: int | None = None
    prices: tuple[AmountRule, ...] = ()
    adjustment: Adjustment | None = None
    weight: int = 1
    sub_caps: tuple[SubCap, ...] = ()
    share_cap: ShareCap | None = None
    spacing_s: int | None = None
    """The least time between two attempts, in seconds."""
    pacing: Pacing | None = None
    deliver: tuple[Following, ...] = ()
    """What follows a sale, besides the delivery to the endpoint, which decides it."""


@dataclass(frozen=True, slots=True)
class Market:
    """A whole market file, every reference in it known to lead somewhere."""

    currency: str
    verticals: Mapping[str, Vertical]
    campaigns: Mapping[str, Campaign]
    sellers: Mapping[str, Seller]
    buyers: Mapping[str, Buyer]
    orders: Mapping[str, Order]
