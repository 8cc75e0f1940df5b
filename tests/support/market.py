"""Market documents for tests: a small vertical, a campaign, sellers, and one order a buyer."""

from typing import Any

from support.buyer import Buyer

Document = dict[str, Any]

VERTICAL: Document = {
    "identity": ["phone", "email"],
    "fields": {
        "zip": {"type": "us_zip", "in": "ping", "required": True},
        "state": {"type": "us_state", "in": "ping"},
        "age": {"type": "integer", "in": "ping", "min": 16, "max": 110},
        "credit": {"type": "enum", "values": ["poor", "fair", "good", "excellent"], "in": "ping"},
        "first_name": {"type": "text", "in": "post", "required": True, "max_length": 80},
        "phone": {"type": "phone", "region": "US", "in": "post", "required": True},
        "email": {"type": "email", "in": "post", "required": True},
    },
}
LEAD: Document = {"zip": "60601", "age": 41, "credit": "good"}
CONTACT: Document = {"first_name": "Ann", "phone": "312-555-0123", "email": "Ann.Canary@example.com"}


def market(buyers: dict[str, Buyer | str], *, orders: Document | None = None, **campaign: Any) -> Document:
    """A market in which every buyer has one order named after him; `orders` adds to them or replaces keys of them.

    A buyer given as text is the base URL of nobody in particular. Times are long, for busy machines: a test that waits
    for one to pass sets a shorter one.
    """
    terms = {
        "vertical": "auto",
        "ping_timeout_ms": 3000,
        "post_timeout_ms": 5000,
        "offer_ttl_s": 60,
        "floor": "5.00",
        "margin": {"percent": 15},
    }
    found: Document = {
        "version": 1,
        "currency": "USD",
        "verticals": {"auto": VERTICAL},
        "campaigns": {"auto-us": terms | campaign},
        "sellers": {"acme": {"campaigns": ["auto-us"]}, "other": {"campaigns": ["auto-us"]}, "shut": {"campaigns": []}},
        "buyers": {},
        "orders": {},
    }
    for name, buyer in buyers.items():
        url = buyer if isinstance(buyer, str) else buyer.url
        endpoint = {"dialect": "native", "ping_url": f"{url}/bid", "post_url": f"{url}/post", "ping_timeout_ms": 2000}
        found["buyers"][name] = {"credit_limit": "100000.00", "endpoint": endpoint | {"post_timeout_ms": 5000}}
        found["orders"][name] = {"buyer": name, "campaign": "auto-us"}
    for key, changes in (orders or {}).items():
        found["orders"][key] = found["orders"].get(key, {}) | changes
    return found
