"""A market written down again as a person would write it: nested texts by key, with secrets covered."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.marketfile.secrets import ENDPOINT_NAME, has_unnamed_endpoint, masked
from exchange.marketfile.times import days_text, hours_text, moment_text
from exchange.rules.ages import DAY_S, HOUR_S
from exchange.values.deliveries import Files, Following, LeadWebhook, Mail, Webhook
from exchange.values.filters import Condition, Filter, Group, Junction, Member, Point
from exchange.values.market import (
    EXPLORATION,
    AmountRule,
    Auth,
    AuthKind,
    Buyer,
    Campaign,
    Caps,
    Duplicates,
    Endpoint,
    Margin,
    Market,
    Order,
    Seller,
)
from exchange.values.money import format_amount
from exchange.values.schedule import Schedule
from exchange.values.selling import Adjustment, PriceRule
from exchange.values.vertical import Field, FieldType, Value, Vertical

_PLAIN = re.compile(r"[\w+@$%&/.-][\w +@$%&/.-]*")
"""Text that reads well without quotes."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value as text. `hidden` is what the text does not show; two secrets differ although both read `***`."""

    text: str
    hidden: str = field(default="", repr=False)


Tree = Mapping[str, "Leaf | Tree"]


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
            excluded = _named(sorted(item.exclude_buyers))
            tree = {"campaigns": _list(item.campaigns), **floors, "margin": margin, "caps": caps}
            return _tidy(tree | {"exclude_buyers": excluded, "webhook": _webhook(item.webhook)})
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


def flow(node: "Leaf | Tree") -> str:
    """A node on one line, as in YAML's flow style."""
    if isinstance(node, Leaf):
        return node.text
    return "{" + ", ".join(f"{key}: {flow(child)}" for key, child in node.items()) + "}"


def _vertical(item: Vertical) -> Tree:
    return {
        "identity": _list(item.identity),
        "fields": {name: _field(entry) for name, entry in item.fields.items()},
    }


def _field(item: Field) -> Tree:
    return _tidy(
        {
            "type": Leaf(item.type),
            "in": Leaf(item.stage),
            "required": Leaf(_text(item.required)),
            "min": _value(item.minimum),
            "max": _value(item.maximum),
            "max_length": _value(item.max_length),
            "values": _list(item.values) if item.type is FieldType.ENUM else None,
            "region": Leaf(item.region) if item.type is FieldType.PHONE else None,
        }
    )


def _campaign(item: Campaign) -> Tree:
    return _tidy(
        {
            "vertical": Leaf(item.vertical),
            "time_zone": Leaf(item.time_zone),
            "ping_timeout_ms": _value(item.ping_timeout_ms),
            "post_timeout_ms": _value(item.post_timeout_ms),
            "offer_ttl_s": _value(item.offer_ttl_s),
            "sale": Leaf(item.sale),
            "max_shares": Leaf(str(item.max_shares)),
            "fallback": Leaf(item.fallback),
            "method": Leaf(item.method),
            "fallback_method": _value(item.fallback_method),
            "max_fanout": _value(item.fanout_max),
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
            "consent": _named(item.consent),
        }
    )


def _buyer(item: Buyer) -> Tree:
    endpoints = {name: _endpoint(endpoint) for name, endpoint in item.endpoints.items()}
    alone = has_unnamed_endpoint(item)
    return _tidy(
        {
            "time_zone": Leaf(item.time_zone),
            "credit_limit": Leaf(format_amount(item.credit_limit_micros)),
            "max_bid": None if item.max_bid_micros is None else Leaf(format_amount(item.max_bid_micros)),
            "margin": _margin(item.margin),
            **_adjustment(item.adjustment),
            "duplicates": _duplicates(item.duplicates),
            "exclude_sellers": _named(sorted(item.exclude_sellers)),
            "endpoint": endpoints[ENDPOINT_NAME] if alone else None,
            "endpoints": None if alone else endpoints,
            "not_with": _list(item.not_with) if item.not_with else None,
        }
    )


def _endpoint(item: Endpoint) -> Tree:
    terms = item.unknown
    return _tidy(
        {
            "dialect": Leaf(item.dialect),
            "ping_url": None if item.ping_url is None else Leaf(item.ping_url),
            "post_url": Leaf(item.post_url),
            "status_url": None if item.status_url is None else Leaf(item.status_url),
            "ping_timeout_ms": Leaf(str(item.ping_timeout_ms)),
            "post_timeout_ms": Leaf(str(item.post_timeout_ms)),
            "idempotent_post": Leaf(_text(item.idempotent_post)),
            "unknown": None if terms is None else Leaf(f"{{presume: {terms.presume}, after_days: {terms.after_days}}}"),
            "auth": _auth(item.auth),
            "signing": _signing(item.signing) or None,
        }
    )


def _signing(secrets: Sequence[str]) -> Tree:
    """The secrets of signatures, under the key that there is for one, or for several."""
    covered = [masked(secret) for secret in secrets]
    if len(secrets) > 1:
        return {"secrets": Leaf(f"[{', '.join(covered)}]", "\n".join(secrets))}
    return {"secret": Leaf(covered[0], secrets[0])} if secrets else {}


def _webhook(item: Webhook | None) -> Tree | None:
    if item is None:
        return None
    return {"url": Leaf(item.url), **_signing(item.secrets), "events": _list(sorted(item.events))}


def _following(item: Following) -> Tree:
    after = {"after_s": Leaf(str(item.after_s)) if item.after_s else None}
    match item.means:
        case LeadWebhook(url, secrets):
            means: Tree = {"url": Leaf(url), **_signing(secrets)}
        case Mail(to, subject, text, html):
            texts = {"subject": _value(subject), "text": _value(text), "html": _value(html)}
            means = _tidy({"to": _list(to), **texts})
        case Files() as files:
            means = _files(files)
    return _tidy(after | {item.kind: means})


def _files(item: Files) -> Tree:
    login = {"password": item.password, "key": item.key}
    return _tidy(
        {
            "host": Leaf(item.host),
            "port": Leaf(str(item.port)),
            "user": Leaf(item.user),
            **{name: None if secret is None else Leaf(masked(secret), secret) for name, secret in login.items()},
            "host_key": _value(item.host_key),
            "folder": _value(item.folder or None),
            "format": Leaf(item.format),
            "every_min": _value(item.every_min),
        }
    )


def _auth(item: Auth) -> "Leaf | Tree":
    secret = Leaf(masked(item.secret), item.secret)
    match item.kind:
        case AuthKind.NONE:
            return Leaf("none")
        case AuthKind.BEARER:
            return {"bearer": secret}
        case AuthKind.BASIC:
            return {"basic": {"user": Leaf(item.name), "password": secret}}
        case AuthKind.HEADER:
            return {"header": {"name": Leaf(item.name), "value": secret}}


def _order(item: Order) -> Tree:
    return _tidy(
        {
            "buyer": Leaf(item.buyer),
            "campaign": Leaf(item.campaign),
            "endpoint": None if item.endpoint == ENDPOINT_NAME else Leaf(item.endpoint),
            "price": None if item.price_micros is None else Leaf(format_amount(item.price_micros)),
            "prices": _rules(item.prices, "price"),
            "sale": Leaf(item.sale),
            "fields": None if item.fields is None else _list(item.fields),
            "filter": _filter(Filter(item.filter, item.filter_groups)),
            "priority": Leaf(str(item.priority)),
            "weight": None if item.weight == 1 else Leaf(str(item.weight)),
            **_adjustment(item.adjustment),
            "exclude_sellers": _list(sorted(item.exclude_sellers)),
            "paused": Leaf(_text(item.paused)),
            "caps": _caps(item.caps),
            "budget": {period: Leaf(format_amount(micros)) for period, micros in item.budget.items()} or None,
            "schedule": _schedule(item.schedule),
            "paused_until": None if item.paused_until is None else Leaf(moment_text(item.paused_until)),
            "consent": _named(item.consent),
            "deliver": {following.name: _following(following) for following in item.deliver} or None,
        }
    )


def _filter(item: Filter) -> Tree:
    conditions = {name: _condition(condition) for name, condition in item.conditions.items()}
    return conditions | {group.junction: _group(group, _filter) for group in item.groups}


def _rules(items: Sequence[AmountRule], key: str) -> Leaf | None:
    """A list of rules on one line: its order matters."""
    rules = [flow({"when": _filter(item.when), key: Leaf(format_amount(item.micros))}) for item in items]
    return Leaf(f"[{', '.join(rules)}]") if rules else None


def _condition(item: Condition) -> "Leaf | Tree":
    wanted = None if item.any_of is None else _list(_sorted(item.any_of))
    tree = _tidy(
        {
            "in": wanted,
            "not": _list(_sorted(item.none_of)) if item.none_of else None,
            "min": _value(item.minimum),
            "max": _value(item.maximum),
            "exists": _value(item.exists),
            "prefix": _list(_sorted(item.prefixes)) if item.prefixes else None,
            "matches": _list(_sorted(item.patterns)) if item.patterns else None,
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
    return _tidy(
        {
            **alone,
            "holidays": _named([day.isoformat() for day in sorted(item.holidays)]),
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


def _tidy(tree: "Mapping[str, Leaf | Tree | None]") -> Tree:
    return {key: node for key, node in tree.items() if node is not None}


def _named(values: Sequence[str]) -> Leaf | None:
    """A list that is not there where it is empty."""
    return _list(values) if values else None


def _list(values: Iterable[Value]) -> Leaf:
    return Leaf("[" + ", ".join(map(_text, values)) + "]")


def _value(value: Value | None) -> Leaf | None:
    return None if value is None else Leaf(_text(value))


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or _PLAIN.fullmatch(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _sorted(values: Iterable[Value]) -> list[Value]:
    """Numbers by size, text by the alphabet."""
    return sorted(values, key=lambda value: (0, value) if isinstance(value, str) else (int(value), ""))
