"""A market written down again as a person would write it: nested texts by key, with secrets covered."""

from collections.abc import Callable, Mapping, Sequence

from exchange.marketfile.delivery_tree import endpoint_tree, following_tree, rate_leaf, webhook_tree
from exchange.marketfile.leaves import Leaf, Tree, flow, in_order, listed, named, shown, tidy, written
from exchange.marketfile.secrets import ENDPOINT_NAME, has_unnamed_endpoint
from exchange.marketfile.times import days_text, hours_text, moment_text
from exchange.rules.ages import DAY_S, HOUR_S
from exchange.values.filters import Condition, Filter, Group, Junction, Member, Point
from exchange.values.market import (
    EXPLORATION,
    AmountRule,
    Budget,
    Buyer,
    Campaign,
    Caps,
    Duplicates,
    Margin,
    Market,
    Order,
    Queue,
    Seller,
    ShareCap,
    SubCap,
)
from exchange.values.money import format_amount
from exchange.values.notices import NoticeTerms
from exchange.values.schedule import Schedule
from exchange.values.selling import Adjustment, PriceRule
from exchange.values.vertical import Field, FieldType, Vertical


def describe(item: Vertical | Campaign | Seller | Buyer | Order) -> Tree:
    """One entry of the market by its keys in the file. What is None has no key."""
    match item:
        case Vertical():
            return _vertical(item)
        case Campaign():
            return _campaign(item)
        case Seller():
            margin, caps = _margin(item.margin), _caps(item.caps)
            floors = {"floor": _least(item.floor_micros), "payout_floor": _least(item.payout_floor_micros)}
            excluded, rate = named(sorted(item.exclude_buyers)), rate_leaf(item.rate)
            tree = {"campaigns": listed(item.campaigns), **floors, "margin": margin, "caps": caps}
            return tidy(tree | {"exclude_buyers": excluded, "webhook": webhook_tree(item.webhook), "rate": rate})
        case Buyer():
            return _buyer(item)
        case Order():
            return _order(item)


def sections(market: Market) -> Mapping[str, Mapping[str, Vertical | Campaign | Seller | Buyer | Order]]:
    """The market's entries by section, in the order of the file."""
    return {
        "verticals": market.verticals,
        "campaigns": market.campaigns,
        "sellers": market.sellers,
        "buyers": market.buyers,
        "orders": market.orders,
    }


def _vertical(item: Vertical) -> Tree:
    return {
        "identity": listed(item.identity),
        "fields": {name: _field(entry) for name, entry in item.fields.items()},
    }


def _field(item: Field) -> Tree:
    return tidy(
        {
            "type": Leaf(item.type),
            "in": Leaf(item.stage),
            "required": Leaf(written(item.required)),
            "min": shown(item.minimum),
            "max": shown(item.maximum),
            "max_length": shown(item.max_length),
            "values": listed(item.values) if item.type is FieldType.ENUM else None,
            "region": Leaf(item.region) if item.type is FieldType.PHONE else None,
            "multiple": Leaf("true") if item.multiple else None,
        }
    )


def _campaign(item: Campaign) -> Tree:
    return tidy(
        {
            "vertical": Leaf(item.vertical),
            "time_zone": Leaf(item.time_zone),
            "ping_timeout_ms": shown(item.ping_timeout_ms),
            "post_timeout_ms": shown(item.post_timeout_ms),
            "offer_ttl_s": shown(item.offer_ttl_s),
            "sale": Leaf(item.sale),
            "max_shares": Leaf(str(item.max_shares)),
            "fallback": Leaf(item.fallback),
            "method": Leaf(item.method),
            "fallback_method": shown(item.fallback_method),
            "max_fanout": shown(item.fanout_max),
            "exploration": None if item.exploration == EXPLORATION else Leaf(_percent(item.exploration)),
            "tiers": None if item.tier_share_percent is None else {"share": Leaf(str(item.tier_share_percent))},
            "floor": Leaf(format_amount(item.floor_micros)),
            "floors": _rules(item.floors, "floor"),
            "payout_floor": _least(item.payout_floor_micros),
            "price_rule": None if item.price_rule is PriceRule.FIRST_PRICE else Leaf(item.price_rule),
            "margin": _margin(item.margin),
            "changed_fields": Leaf("refuse" if item.changed_fields_refused else "keep"),
            "caps": _caps(item.caps),
            "duplicates": _duplicates(item.duplicates),
            "returns": Leaf(f"{{window_days: {item.returns_window_days}}}"),
            "queue": _queue(item.queue),
            "consent": named(item.consent),
            "notices": None if item.notices is None else _notice_terms(item.notices),
        }
    )


def _notice_terms(item: NoticeTerms) -> Tree:
    step = None if item.step_micros is None else Leaf(format_amount(item.step_micros))
    rank = Leaf(written(item.has_rank))
    return tidy({"delay_min": Leaf(str(item.delay_min)), "rank": rank, "clearing_price_step": step})


def _queue(item: Queue | None) -> Tree | None:
    if item is None:
        return None
    return {
        "for_s": Leaf(str(item.for_s)),
        "every_s": Leaf(str(item.every_s)),
        "max_leads": Leaf(str(item.leads_max)),
        "reasons": listed(sorted(reason.wire_name for reason in item.reasons)),
    }


def _buyer(item: Buyer) -> Tree:
    endpoints = {name: endpoint_tree(endpoint) for name, endpoint in item.endpoints.items()}
    alone = has_unnamed_endpoint(item)
    return tidy(
        {
            "time_zone": Leaf(item.time_zone),
            "credit_limit": Leaf(format_amount(item.credit_limit_micros)),
            "max_bid": None if item.max_bid_micros is None else Leaf(format_amount(item.max_bid_micros)),
            "margin": _margin(item.margin),
            **_adjustment(item.adjustment),
            "duplicates": _duplicates(item.duplicates),
            "exclude_sellers": named(sorted(item.exclude_sellers)),
            "endpoint": endpoints[ENDPOINT_NAME] if alone else None,
            "endpoints": None if alone else endpoints,
            "not_with": listed(item.not_with) if item.not_with else None,
            "notices": webhook_tree(item.notices),
        }
    )


def _order(item: Order) -> Tree:
    return tidy(
        {
            "buyer": Leaf(item.buyer),
            "campaign": Leaf(item.campaign),
            "endpoint": None if item.endpoint == ENDPOINT_NAME else Leaf(item.endpoint),
            "price": None if item.price_micros is None else Leaf(format_amount(item.price_micros)),
            "prices": _rules(item.prices, "price"),
            "sale": Leaf(item.sale),
            "fields": None if item.fields is None else listed(item.fields),
            "filter": _filter(Filter(item.filter, item.filter_groups)),
            "priority": Leaf(str(item.priority)),
            "weight": None if item.weight == 1 else Leaf(str(item.weight)),
            **_adjustment(item.adjustment),
            "exclude_sellers": listed(sorted(item.exclude_sellers)),
            "paused": Leaf(written(item.paused)),
            "caps": _caps(item.caps),
            "budget": _budget(item.budget),
            "sub_caps": _sub_caps(item.sub_caps),
            "share_cap": None if item.share_cap is None else _share_cap(item.share_cap),
            "spacing_s": shown(item.spacing_s),
            "pacing": None if item.pacing is None else Leaf("even"),
            "pacing_burst": None if item.pacing is None else Leaf(_percent(item.pacing.burst)),
            "schedule": _schedule(item.schedule),
            "paused_until": None if item.paused_until is None else Leaf(moment_text(item.paused_until)),
            "consent": named(item.consent),
            "deliver": {
                following.name: following_tree(following, _filter(following.when)) for following in item.deliver
            }
            or None,
        }
    )


def described_condition(item: Condition) -> str:
    """A condition on one line, as it is written in the file."""
    return flow(_condition(item))


def _filter(item: Filter) -> Tree:
    conditions = {name: _condition(condition) for name, condition in item.conditions.items()}
    return conditions | {group.junction: _group(group, _filter) for group in item.groups}


def _rules(items: Sequence[AmountRule], key: str) -> Leaf | None:
    """A list of rules on one line: its order matters."""
    rules = [flow({"when": _filter(item.when), key: Leaf(format_amount(item.micros))}) for item in items]
    return Leaf(f"[{', '.join(rules)}]") if rules else None


def _condition(item: Condition) -> "Leaf | Tree":
    wanted = None if item.any_of is None else listed(in_order(item.any_of))
    tree = tidy(
        {
            "in": wanted,
            "not": listed(in_order(item.none_of)) if item.none_of else None,
            "min": shown(item.minimum),
            "max": shown(item.maximum),
            "exists": shown(item.exists),
            "prefix": listed(in_order(item.prefixes)) if item.prefixes else None,
            "matches": listed(in_order(item.patterns)) if item.patterns else None,
            "within_miles": None if item.within is None else Leaf(f"{item.within.miles:g}"),
            "of": None if item.within is None else _place(item.within.of),
            **_age("min_age", item.min_age_s),
            **_age("max_age", item.max_age_s),
            **{group.junction: _group(group, _condition) for group in item.groups},
        }
    )
    return wanted if wanted is not None and len(tree) == 1 else tree


def _age(key: str, bound_s: int | None) -> Mapping[str, Leaf]:
    """A bound on an age in days, or in hours where it is no number of days."""
    if bound_s is None:
        return {}
    unit, seconds = ("days", DAY_S) if bound_s % DAY_S == 0 else ("hours", HOUR_S)
    return {f"{key}_{unit}": Leaf(str(bound_s // seconds))}


def _schedule(item: Schedule | None) -> Tree | None:
    if item is None:
        return None
    parts = [{"days": Leaf(days_text(part.days)), "hours": Leaf(hours_text(part.hours))} for part in item.windows]
    alone = parts[0] if len(parts) == 1 else {"windows": Leaf(f"[{', '.join(map(flow, parts))}]")}
    return tidy(
        {
            **alone,
            "holidays": named([day.isoformat() for day in sorted(item.holidays)]),
            "from": None if item.starts is None else Leaf(moment_text(item.starts)),
            "until": None if item.ends is None else Leaf(moment_text(item.ends)),
        }
    )


def _group(group: Group[Member], described: "Callable[[Member], Leaf | Tree]") -> "Leaf | Tree":
    if group.junction is Junction.NOT:
        return described(group.members[0])
    return Leaf("[" + ", ".join(flow(described(member)) for member in group.members) + "]")


def _place(of: str | Point) -> Leaf:
    return Leaf(of if isinstance(of, str) else f"{{lat: {of.latitude}, lon: {of.longitude}}}")


def _caps(item: Caps) -> Tree | None:
    return {period: Leaf(str(limit)) for period, limit in item.items()} or None


def _budget(item: Budget) -> Tree | None:
    return {period: Leaf(format_amount(micros)) for period, micros in item.items()} or None


def _sub_caps(items: Sequence[SubCap]) -> Tree | None:
    return {item.name: tidy(_sub_cap(item)) for item in items} or None


def _sub_cap(item: SubCap) -> "Mapping[str, Leaf | Tree | None]":
    return {"when": _filter(item.when), "caps": _caps(item.caps), "budget": _budget(item.budget)}


def _share_cap(item: ShareCap) -> Leaf:
    return Leaf(f"{{percent: {_percent(item.parts_per_million)}, of: {item.period}}}")


def _duplicates(item: Duplicates | None) -> Tree | None:
    return None if item is None else {"window_days": Leaf(str(item.window_days))}


def _margin(item: Margin | None) -> Leaf | None:
    if item is None:
        return None
    if item.amount_micros:
        return Leaf(f"{{amount: {format_amount(item.amount_micros)}}}")
    return Leaf(f"{{percent: {_percent(item.parts_per_million)}}}")


def _percent(parts_per_million: int) -> str:
    whole, fraction = divmod(parts_per_million, 10_000)
    return f"{whole}{f'.{fraction:04d}'.rstrip('0') if fraction else ''}"


def _adjustment(item: Adjustment | None) -> Mapping[str, Leaf | Tree | None]:
    """A boost or a penalty under its own key."""
    if item is None:
        return {}
    kind = "penalty" if min(item.parts_per_million, item.amount_micros) < 0 else "boost"
    return {kind: _margin(Margin(abs(item.parts_per_million), abs(item.amount_micros)))}


def _least(micros: int) -> Leaf | None:
    return Leaf(format_amount(micros)) if micros else None
