"""The market of a run: campaigns, buyers with caps, budgets and prepaid balances, and the terms for the checker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exchange.simulation.chaos.conduct import Temper
from exchange.values.money import MICROS_PER_UNIT, format_amount

Document = dict[str, Any]

SELLERS = ("acme", "bolt", "crane")
CAPPED_SELLER = "crane"
CAMPAIGNS = ("auto", "home", "life")
CAMPAIGN_POST_MS = 1500
BUYER_POST_MS = 3000
_FIELDS: Document = {
    "zip": {"type": "us_zip", "in": "ping", "required": True},
    "age": {"type": "integer", "in": "ping", "min": 16, "max": 110},
    "first_name": {"type": "text", "in": "post", "required": True, "max_length": 80},
    "phone": {"type": "phone", "region": "US", "in": "post", "required": True},
    "email": {"type": "email", "in": "post", "required": True},
}
TEMPERS = (
    Temper("steady", 900, 2200, idempotent=True, has_status=True, trouble_pct=6, idle_s=0.4),
    Temper("prepaid", 1200, 3000, has_status=True, trouble_pct=12),
    Temper("capped", 2000, 4000, has_status=True, trouble_pct=12),
    Temper("thrifty", 1500, 3500, idempotent=True, duplicate_pct=0, trouble_pct=15),
    Temper("silent", 800, 2600, appetite=0.6, trouble_pct=14),
    Temper("moody", 1000, 3800, appetite=0.8, has_status=True, trouble_pct=45, reject_pct=20, ping_trouble_pct=10),
    Temper("picky", 700, 3200, idempotent=True, has_status=True, reject_pct=45, duplicate_pct=10, idle_s=1.0),
    Temper("modest", 600, 700, idempotent=True, has_status=True, reject_pct=2, trouble_pct=4),
)
QUEUE: Document = {
    "for_s": 120,
    "every_s": 10,
    "reasons": ["no_eligible_orders", "no_bids", "below_min_price", "seller_capped"],
}
"""With a high floor many whole leads wait, and some find a buyer while everything breaks."""
PREPAID_DEPOSIT_MICROS = 250 * MICROS_PER_UNIT


@dataclass(frozen=True, slots=True)
class Limits:
    """A limit on leads and one on money in one kind of window; None where there is none."""

    leads: Mapping[str, int]
    micros: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed, for the checker: windows are those of UTC."""

    order_limits: Mapping[str, Limits]
    seller_limits: Mapping[str, Limits]
    campaign_limits: Mapping[str, Limits]
    duplicate_campaigns: frozenset[str]
    duplicate_buyers: frozenset[str]
    idempotent: frozenset[str]
    has_status: frozenset[str]


def market(ports: Mapping[str, int], seconds: float) -> Document:
    """The market for buyers behind these ports; caps and budgets are such that some are full before the end."""
    many = max(8, int(seconds / 2))
    return {
        "version": 1,
        "currency": "USD",
        "verticals": {"insurance": {"identity": ["phone", "email"], "fields": _FIELDS}},
        "campaigns": {
            "auto": _campaign(duplicates={"window_days": 30}),
            "home": _campaign(caps={"day": 6 * many}, fallback="none"),
            "life": _campaign(margin={"amount": "1.50"}, floor="30.00", queue=QUEUE),
        },
        "sellers": {
            name: {"campaigns": [*CAMPAIGNS], "caps": {"day": 3 * many} if name == CAPPED_SELLER else None}
            for name in SELLERS
        },
        "buyers": {temper.name: _buyer(temper, ports[temper.name]) for temper in TEMPERS},
        "orders": dict(_order(temper, campaign, many) for temper in TEMPERS for campaign in CAMPAIGNS),
    }  # fmt: skip


def terms_of(document: Document) -> Terms:
    """What the checker holds a market to."""
    buyers = document["buyers"]
    return Terms(
        order_limits=_limits(document["orders"]),
        seller_limits=_limits(document["sellers"]),
        campaign_limits=_limits(document["campaigns"]),
        duplicate_campaigns=frozenset(key for key, item in document["campaigns"].items() if item.get("duplicates")),
        duplicate_buyers=frozenset(key for key, item in buyers.items() if item.get("duplicates")),
        idempotent=frozenset(key for key, item in buyers.items() if item["endpoint"].get("idempotent_post")),
        has_status=frozenset(key for key, item in buyers.items() if item["endpoint"].get("status_url")),
    )


def endpoint(port: int, *, idempotent: bool, has_status: bool, post_timeout_ms: int = BUYER_POST_MS) -> Document:
    """How a buyer on this port is called."""
    url = f"http://127.0.0.1:{port}"
    return {
        "ping_url": f"{url}/bid",
        "post_url": f"{url}/post",
        "status_url": f"{url}/status" if has_status else None,
        "ping_timeout_ms": 400,
        "post_timeout_ms": post_timeout_ms,
        "idempotent_post": idempotent,
    }


def _campaign(**changes: object) -> Document:
    base: Document = {
        "vertical": "insurance",
        "ping_timeout_ms": 800,
        "post_timeout_ms": CAMPAIGN_POST_MS,
        "offer_ttl_s": 60,
        "floor": "5.00",
        "margin": {"percent": 15},
    }
    return base | changes


def _buyer(temper: Temper, port: int) -> Document:
    found: Document = {
        "credit_limit": "0.00" if temper.name == "prepaid" else "1000000.00",
        "endpoint": endpoint(port, idempotent=temper.idempotent, has_status=temper.has_status)
        | {"keep_alive_s": int(temper.idle_s)},
    }
    if temper.name == "picky":
        found["duplicates"] = {"window_days": 7}
    return found


def _order(temper: Temper, campaign: str, many: int) -> tuple[str, Document]:
    order: Document = {"buyer": temper.name, "campaign": campaign}
    if temper.name == "capped":
        order["caps"] = {"hour": many, "total": 2 * many}
    if temper.name == "thrifty":
        order["budget"] = {"day": format_amount(25 * many * MICROS_PER_UNIT)}
    return f"{temper.name}-{campaign}", order


def _limits(items: Mapping[str, Document]) -> Mapping[str, Limits]:
    return {
        key: Limits(
            item.get("caps") or {},
            {period: _micros(amount) for period, amount in (item.get("budget") or {}).items()},
        )
        for key, item in items.items()
        if item.get("caps") or item.get("budget")
    }


def _micros(amount: str) -> int:
    whole, _, fraction = amount.partition(".")
    return int(whole) * MICROS_PER_UNIT + int(fraction.ljust(6, "0"))
