"""Turns the shapes of a market file into the values of the exchange; nothing can be wrong here any more."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from exchange.marketfile.auth import build_auth
from exchange.marketfile.deliveries import build_deliveries, build_means, build_notices, build_webhook
from exchange.marketfile.mappings import build_mapping
from exchange.marketfile.secrets import ENDPOINT_NAME
from exchange.marketfile.shapes.campaigns import CampaignNoticesShape, CampaignShape, QueueShape
from exchange.marketfile.shapes.endpoints import BreakerShape, EndpointShape, UnknownShape
from exchange.marketfile.shapes.orders import OrderShape, ScheduleShape
from exchange.marketfile.shapes.parties import BuyerShape, SellerShape
from exchange.marketfile.shapes.terms import (
    BudgetShape,
    CapsShape,
    DuplicatesShape,
    MarginShape,
    RateShape,
    ShareCapShape,
)
from exchange.values.brakes import BreakerWish, Rate
from exchange.values.filters import Filter
from exchange.values.market import (
    PACING_BURST,
    RATE_BURST_S,
    RETURNS_WINDOW_DAYS,
    AmountRule,
    Buyer,
    Campaign,
    Duplicates,
    Endpoint,
    Fallback,
    Margin,
    Order,
    Pacing,
    Period,
    Presumption,
    Queue,
    Sale,
    Seller,
    ShareCap,
    SubCap,
    UnknownTerms,
)
from exchange.values.notices import NoticeTerms
from exchange.values.reason import Reason
from exchange.values.schedule import Schedule
from exchange.values.selling import Adjustment, Method, PriceRule

_PERIODS = tuple((period, period.value) for period in Period)


def build_campaign(key: str, shape: CampaignShape, whens: Sequence[Filter] = ()) -> Campaign:
    """A campaign; `whens` are the filters of its floors."""
    return Campaign(
        key=key,
        vertical=shape.vertical,
        time_zone=shape.time_zone,
        ping_timeout_ms=shape.ping_timeout_ms,
        post_timeout_ms=shape.post_timeout_ms,
        offer_ttl_s=shape.offer_ttl_s,
        sale=Sale(shape.sale),
        fallback=Fallback(shape.fallback),
        method=Method(shape.method),
        fallback_method=None if shape.fallback_method is None else Method(shape.fallback_method),
        floor_micros=shape.floor,
        margin=_margin(shape.margin) or Margin(),
        changed_fields_refused=shape.changed_fields == "refuse",
        caps=_limits(shape.caps),
        duplicates=_duplicates(shape.duplicates),
        returns_window_days=shape.returns.window_days if shape.returns else RETURNS_WINDOW_DAYS,
        consent=tuple(shape.consent),
        payout_floor_micros=shape.payout_floor,
        floors=tuple(AmountRule(when, rule.floor) for when, rule in zip(whens, shape.floors or (), strict=True)),
        price_rule=PriceRule(shape.price_rule),
        fanout_max=shape.max_fanout,
        exploration=shape.exploration,
        tier_share_percent=None if shape.tiers is None else shape.tiers.share,
        max_shares=shape.max_shares,
        queue=_queue(shape.queue),
        notices=_notice_terms(shape.notices),
    )


def build_seller(key: str, shape: SellerShape) -> Seller:
    """A seller."""
    return Seller(
        key=key,
        campaigns=tuple(shape.campaigns),
        margin=_margin(shape.margin),
        caps=_limits(shape.caps),
        exclude_buyers=frozenset(shape.exclude_buyers),
        floor_micros=shape.floor,
        payout_floor_micros=shape.payout_floor,
        webhook=build_webhook(shape.webhook),
        rate=_rate(shape.rate, RATE_BURST_S),
    )


def build_buyer(key: str, shape: BuyerShape) -> Buyer:
    """A buyer with his endpoints by name; a single one without a name is called `default`."""
    shapes = shape.endpoints or ({ENDPOINT_NAME: shape.endpoint} if shape.endpoint else {})
    return Buyer(
        key=key,
        endpoints={name: _endpoint(name, endpoint) for name, endpoint in shapes.items()},
        time_zone=shape.time_zone,
        credit_limit_micros=shape.credit_limit,
        max_bid_micros=shape.max_bid,
        margin=_margin(shape.margin),
        duplicates=_duplicates(shape.duplicates),
        exclude_sellers=frozenset(shape.exclude_sellers),
        adjustment=_adjustment(shape),
        not_with=tuple(shape.not_with),
        notices=build_notices(shape.notices),
    )


def build_order(
    key: str,
    shape: OrderShape,
    endpoints: Sequence[str],
    catalogue: Sequence[str],
    wanted: Filter,
    whens: Sequence[Filter] = (),
    sub_caps: Sequence[Filter] = (),
    followings: Mapping[str, Filter] = MappingProxyType({}),
    schedules: dict[Schedule, Schedule] | None = None,
) -> Order:
    """An order; `whens`, `sub_caps` and `followings` are the filters of its prices, sub-caps and deliveries.

    What it may see is kept in the order of the vertical's `catalogue` of fields. Of equal schedules one is kept, which
    `schedules` hold.
    """
    schedule = _schedule(shape.schedule)
    if schedule is not None and schedules is not None:
        schedule = schedules.setdefault(schedule, schedule)
    return Order(
        key=key,
        buyer=shape.buyer,
        campaign=shape.campaign,
        endpoint=shape.endpoint or endpoints[0],
        sale=Sale(shape.sale),
        fields=None if shape.fields is None else tuple(name for name in catalogue if name in shape.fields),
        filter=wanted.conditions,
        priority=shape.priority,
        exclude_sellers=frozenset(shape.exclude_sellers),
        paused=shape.paused,
        caps=_limits(shape.caps),
        budget=_limits(shape.budget),
        schedule=schedule,
        paused_until=shape.paused_until,
        consent=tuple(shape.consent),
        filter_groups=wanted.groups,
        price_micros=shape.price,
        adjustment=_adjustment(shape),
        weight=shape.weight or 1,
        deliver=build_deliveries(shape.deliver, followings),
        prices=tuple(AmountRule(when, rule.price) for when, rule in zip(whens, shape.prices or (), strict=True)),
        sub_caps=_sub_caps(shape, sub_caps),
        share_cap=_share_cap(shape.share_cap),
        spacing_s=shape.spacing_s,
        pacing=_pacing(shape),
    )


def _queue(shape: QueueShape | None) -> Queue | None:
    if shape is None:
        return None
    reasons = frozenset(Reason[name.upper()] for name in shape.reasons)
    return Queue(shape.for_s, shape.every_s, shape.max_leads, reasons)


def _notice_terms(shape: CampaignNoticesShape | None) -> NoticeTerms | None:
    return None if shape is None else NoticeTerms(shape.delay_min, shape.rank, shape.clearing_price_step)


def _sub_caps(shape: OrderShape, whens: Sequence[Filter]) -> tuple[SubCap, ...]:
    return tuple(
        SubCap(item.name, when, _limits(item.caps), _limits(item.budget))
        for when, item in zip(whens, shape.sub_caps or (), strict=True)
    )


def _share_cap(shape: ShareCapShape | None) -> ShareCap | None:
    return None if shape is None else ShareCap(shape.percent, Period(shape.of))


def _pacing(shape: OrderShape) -> Pacing | None:
    burst = PACING_BURST if shape.pacing_burst is None else shape.pacing_burst
    return None if shape.pacing is None else Pacing(burst)


def _schedule(shape: ScheduleShape | None) -> Schedule | None:
    """When an order is open; None where that is always."""
    found = None if shape is None else shape.value()
    return None if found == Schedule() else found


def _limits(shape: CapsShape | BudgetShape | None) -> dict[Period, int]:
    """The windows that have a limit."""
    if shape is None:
        return {}
    return {period: limit for period, name in _PERIODS if (limit := getattr(shape, name, None)) is not None}


def _duplicates(shape: DuplicatesShape | None) -> Duplicates | None:
    return None if shape is None else Duplicates(shape.window_days)


def _margin(shape: MarginShape | None) -> Margin | None:
    return None if shape is None else Margin(parts_per_million=shape.percent or 0, amount_micros=shape.amount or 0)


def _adjustment(shape: BuyerShape | OrderShape) -> Adjustment | None:
    found, sign = (shape.boost, 1) if shape.boost is not None else (shape.penalty, -1)
    return None if found is None else Adjustment(sign * (found.percent or 0), sign * (found.amount or 0))


def _endpoint(name: str, shape: EndpointShape) -> Endpoint:
    return Endpoint(
        name=name,
        dialect=shape.dialect,
        ping_url=shape.ping_url,
        post_url=shape.post_url,
        ping_timeout_ms=shape.ping_timeout_ms,
        post_timeout_ms=shape.post_timeout_ms,
        auth=build_auth(shape.auth),
        status_url=shape.status_url,
        keep_alive_s=shape.keep_alive_s,
        idempotent_post=shape.idempotent_post,
        unknown=_unknown(shape.unknown),
        mapping=None if shape.mapping is None else build_mapping(shape.mapping),
        signing=() if shape.signing is None else shape.signing.all_secrets(),
        breaker=_breaker(shape.breaker),
        rate=_rate(shape.rate, 1),
        in_flight_max=shape.in_flight,
        means=build_means(shape) if shape.post_url is None else None,
    )


def _breaker(shape: BreakerShape | None) -> BreakerWish:
    if shape is None:
        return BreakerWish()
    return BreakerWish(
        enabled=shape.enabled,
        shadow=shape.shadow,
        failed_percent=shape.percent,
        calls_min=shape.calls,
        post_calls_min=shape.post_calls,
        window_s=shape.window_s,
        post_window_s=shape.post_window_s,
        rest_first_s=shape.rest_s,
        probe_percent=shape.probes,
        pause_after_s=shape.pause_after_s,
    )


def _rate(shape: RateShape | None, burst_s: int) -> Rate | None:
    """A rate whose burst, unless it is said, is what it gives in `burst_s` seconds."""
    return None if shape is None else Rate(shape.per_s, shape.burst or burst_s * shape.per_s)


def _unknown(shape: UnknownShape | None) -> UnknownTerms | None:
    return None if shape is None else UnknownTerms(Presumption(shape.presume), shape.after_days)
