"""The rule book: one market compiled into an immutable snapshot that a worker swaps in whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exchange.rules.ages import Ages, ages_asked
from exchange.rules.bitsets import set_of
from exchange.rules.intake import LeadReader
from exchange.rules.matching import Matcher, compile_filters
from exchange.rules.notices import delays_of
from exchange.rules.selling import Selling, compile_selling
from exchange.rules.shares import Apart
from exchange.rules.states import States, compile_states
from exchange.rules.sub_caps import SubCaps, compile_sub_caps
from exchange.rules.zones import instant_of, zone_of
from exchange.values.filters import Filter
from exchange.values.market import Buyer, Campaign, Endpoint, Market, Order, Sale, Seller
from exchange.values.selling import Method
from exchange.values.vertical import Lead, Stage, Vertical

EndpointKey = tuple[str, str]
"""A buyer and the name of one of his endpoints."""


@dataclass(frozen=True, slots=True)
class OrderEntry:
    """An order with everything that asking it needs.

    `auth_headers` say who we are to the buyer; they are None while this process lacks the endpoint's secret.
    `paused_until_s` is a Unix time.
    """

    order: Order
    buyer: Buyer
    endpoint: Endpoint
    visible: tuple[str, ...]
    auth_headers: Mapping[str, str] | None = field(repr=False)
    paused_until_s: float = 0.0
    sale: Sale | None = Sale.EXCLUSIVE
    """What it is asked for: what order and campaign both allow; None where they allow nothing in common."""
    shown: tuple[str, ...] = ()
    """What is the same for two orders that are sent the same ping; of a campaign also the same object."""

    @property
    def key(self) -> str:
        return self.order.key

    @property
    def filter(self) -> Filter:
        """All that the order asks of a lead."""
        return Filter(self.order.filter, self.order.filter_groups)


@dataclass(frozen=True, slots=True)
class CampaignBook:
    """One campaign, compiled: bit `i` of the matcher's sets is `entries[i]`."""

    campaign: Campaign
    vertical: Vertical
    reader: LeadReader
    entries: tuple[OrderEntry, ...]
    by_key: Mapping[str, OrderEntry]
    matcher: Matcher
    duplicate_days: Mapping[str, int]
    """The windows of the buyers who do not want a person twice, in days."""
    states: States | None
    """What keeps orders out whatever the lead; None where nothing ever does."""
    selling: Selling | None = None
    """Fixed prices and the like, where there are any."""
    apart: Apart = field(default_factory=dict)
    """The buyers who must not share a lead."""
    askable: int = -1
    """The orders, as a bit set, that take leads as the campaign sells them."""
    testable: int = -1
    """Those of them, as a bit set, whose buyers can tell tests from leads."""
    ages: Ages | None = None
    """The ages that its rules ask for, if they do."""
    sub_caps: SubCaps | None = None
    """Further limits of orders for some leads, where there are any."""
    has_share_caps: bool = False
    """Whether any order buys a share of the leads that its filter lets through."""
    notice_delays_s: Mapping[str, int] = field(default_factory=dict)
    """The buyers who are told of lost bids, and after how many seconds at the earliest."""

    def with_ages(self, lead: Lead, moment: datetime) -> Lead:
        """A lead as the campaign's rules look at it at the moment of its ping."""
        return lead if self.ages is None else self.ages.beside(lead, moment)


@dataclass(frozen=True, slots=True)
class RuleBook:
    """A whole market, compiled. `version` is the market version in Postgres that it was made from."""

    version: int
    market: Market
    campaigns: Mapping[str, CampaignBook]
    by_endpoint: Mapping[EndpointKey, Mapping[str, Sequence[int]]] = field(default_factory=dict)
    """The numbers of the orders on each endpoint, by campaign."""

    def wind(self, now_s: float) -> None:
        """Works out which orders are open at an instant (Unix time), so that the first pings need not."""
        for campaign in self.campaigns.values():
            if campaign.states is not None:
                campaign.states.wind(now_s)

    def by_performance(self) -> list[list[str]]:
        """The orders of each campaign that ranks by their acceptance."""
        found = ((book, book.campaign) for book in self.campaigns.values())
        return [list(book.by_key) for book, item in found if Method.PERFORMANCE in {item.method, item.fallback_method}]


AuthHeaders = Mapping[tuple[str, str], Mapping[str, str]]
"""The auth headers of each (buyer, endpoint name) whose secret is known."""

Entries = Mapping[str, OrderEntry]
"""A campaign's entries by the keys of their orders."""

NO_ENTRIES: Mapping[str, Entries] = {}


def compile_book(
    market: Market, version: int, auth_headers: AuthHeaders, before: Mapping[str, Entries] = NO_ENTRIES
) -> RuleBook:
    """Compiles a market; orders on endpoints without `auth_headers` are there, but not asked.

    Entries that are as they were `before`, by campaign, are the same objects.
    """
    by_campaign: dict[str, list[Order]] = {key: [] for key in market.campaigns}
    for order in market.orders.values():
        by_campaign[order.campaign].append(order)
    excluding = [seller for seller in market.sellers.values() if seller.exclude_buyers]
    campaigns = {
        key: _compile_campaign(market, campaign, by_campaign[key], auth_headers, excluding, before.get(key, {}))
        for key, campaign in market.campaigns.items()
    }
    return RuleBook(version, market, campaigns, _by_endpoint(campaigns))


def _by_endpoint(campaigns: Mapping[str, CampaignBook]) -> dict[EndpointKey, dict[str, list[int]]]:
    found: dict[EndpointKey, dict[str, list[int]]] = {}
    for key, campaign in campaigns.items():
        for number, entry in enumerate(campaign.entries):
            endpoint = entry.buyer.key, entry.order.endpoint
            found.setdefault(endpoint, {}).setdefault(key, []).append(number)
    return found


def _compile_campaign(
    market: Market,
    campaign: Campaign,
    orders: Sequence[Order],
    auth_headers: AuthHeaders,
    excluding: Sequence[Seller],
    before: Entries,
) -> CampaignBook:
    vertical = market.verticals[campaign.vertical]
    ping_fields = vertical.names(Stage.PING)
    sight = _Sight(ping_fields)
    made = (_entry(market, campaign, order, sight, auth_headers) for order in orders)
    entries = tuple(_as_before(entry, before) for entry in made)
    unusable = [number for number, entry in enumerate(entries) if entry.auth_headers is None]
    return CampaignBook(
        campaign=campaign,
        vertical=vertical,
        reader=LeadReader(vertical),
        entries=entries,
        by_key={entry.key: entry for entry in entries},
        matcher=compile_filters(vertical, [entry.filter for entry in entries]),
        duplicate_days={
            entry.buyer.key: entry.buyer.duplicates.window_days
            for entry in entries
            if entry.buyer.duplicates is not None
        },
        states=compile_states(
            [(entry.order, entry.buyer) for entry in entries],
            unusable,
            sellers_exclude=any(campaign.key in seller.campaigns for seller in excluding),
        ),
        selling=compile_selling(vertical, campaign, orders, market.buyers),
        apart=_apart({entry.buyer.key: entry.buyer for entry in entries}),
        askable=set_of([number for number, entry in enumerate(entries) if entry.sale is not None]),
        testable=set_of(
            [number for number, entry in enumerate(entries) if entry.sale is not None and entry.endpoint.marks_tests]
        ),
        ages=ages_asked(vertical, _filters(campaign, orders), zone_of(campaign.time_zone)),
        sub_caps=compile_sub_caps(vertical, orders),
        has_share_caps=any(order.share_cap is not None for order in orders),
        notice_delays_s=delays_of(campaign, (entry.buyer for entry in entries)),
    )


def _as_before(entry: OrderEntry, before: Entries) -> OrderEntry:
    found = before.get(entry.key)
    return entry if found is None or found != entry else found


def _filters(campaign: Campaign, orders: Sequence[Order]) -> Iterator[Filter]:
    """All filters that a campaign's leads may meet."""
    yield from (rule.when for rule in campaign.floors)
    for order in orders:
        yield Filter(order.filter, order.filter_groups)
        yield from (rule.when for rule in order.prices)
        yield from (sub_cap.when for sub_cap in order.sub_caps)


def _entry(
    market: Market,
    campaign: Campaign,
    order: Order,
    sight: "_Sight",
    auth_headers: AuthHeaders,
) -> OrderEntry:
    buyer = market.buyers[order.buyer]
    visible = sight.visible(order.fields)
    sale = _asked_for(campaign.sale, order.sale)
    shown = ("" if sale is None else sale.value, *visible, *_spoken_to(buyer, order))
    return OrderEntry(
        order=order,
        buyer=buyer,
        endpoint=buyer.endpoints[order.endpoint],
        visible=visible,
        auth_headers=auth_headers.get((buyer.key, order.endpoint)),
        paused_until_s=_paused_until_s(order, buyer),
        sale=sale,
        shown=sight.shown.setdefault(shown, shown),
    )


@dataclass(frozen=True, slots=True)
class _Sight:
    """What orders of a campaign see of its leads; those that see the same share it."""

    ping_fields: tuple[str, ...]
    shown: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    known: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def visible(self, fields: tuple[str, ...] | None) -> tuple[str, ...]:
        """The ping fields among some, in their own order."""
        if fields is None:
            return self.ping_fields
        found = self.known.get(fields)
        if found is None:
            wanted = frozenset(fields)
            found = self.known[fields] = tuple(name for name in self.ping_fields if name in wanted)
        return found


def _spoken_to(buyer: Buyer, order: Order) -> tuple[str, ...]:
    """What makes a mapped ping another one: whose mapping it is, and the order where that says which."""
    mapping = buyer.endpoints[order.endpoint].mapping
    if mapping is None:
        return ()
    return (".", buyer.key, order.endpoint, order.key if mapping.differs_by_order else "")


def _asked_for(sold: Sale, taken: Sale) -> Sale | None:
    """What a campaign and an order both allow."""
    if sold is Sale.BEST:
        return taken
    return sold if taken in {sold, Sale.EITHER} else None


def _apart(buyers: Mapping[str, Buyer]) -> Apart:
    """Who must not share a lead with whom: if one of both does not want to, neither does."""
    found: dict[str, set[str]] = {}
    for buyer in buyers.values():
        for other in buyer.not_with:
            if other in buyers:
                found.setdefault(buyer.key, set()).add(other)
                found.setdefault(other, set()).add(buyer.key)
    return {key: frozenset(others) for key, others in found.items()}


def _paused_until_s(order: Order, buyer: Buyer) -> float:
    return 0.0 if order.paused_until is None else instant_of(order.paused_until, zone_of(buyer.time_zone)).timestamp()
