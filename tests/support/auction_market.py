"""The market of an auction case: the usual one with the case's changes, under keys that no other case has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from support.auction_case import Document
from support.market import market

CAMPAIGN = "auto-us"
SELLERS = ("acme", "other")

_MERGED = ("endpoint", "endpoints")
"""Parts of an entry that a case changes key by key; all other values are replaced."""

_REFERENCES = ("buyer", "campaign", "campaigns", "exclude_buyers", "exclude_sellers", "not_with")
"""Keys of an entry that hold the keys of others."""


@dataclass(frozen=True)
class Names:
    """The keys of one case. What the exchange remembers of keys, balances and caps, so never meets another case."""

    number: int

    @property
    def suffix(self) -> str:
        return f"--{self.number}"

    def full(self, name: str) -> str:
        return f"{name}{self.suffix}"

    def bare(self, name: str) -> str:
        return name.removesuffix(self.suffix)

    def bare_text(self, text: bytes) -> bytes:
        """A text of the exchange with the keys as the case has them."""
        return text.replace(self.suffix.encode(), b"")


def changed(document: Document, changes: Mapping[str, Any], orders: Iterable[str]) -> Document:
    """A market with a case's changes: `campaign` and `vertical` are those of the one campaign, the rest is as written.

    Every order of `orders` is there, with a buyer of its own name where it does not say another.
    """
    found: Document = _copy(document)
    for key, value in changes.items():
        match key:
            case "campaign":
                found["campaigns"][CAMPAIGN] |= value
            case "vertical":
                fields = found["verticals"]["auto"]["fields"] | value.get("fields", {})
                found["verticals"]["auto"] |= value | {"fields": fields}
            case "sellers" | "buyers" | "orders":
                for name, entry in value.items():
                    _change(found[key].setdefault(name, {}), entry)
            case _:
                found[key] = value
    for name in orders:
        found["orders"][name] = {"buyer": name, "campaign": CAMPAIGN} | found["orders"].get(name, {})
    for name in {order["buyer"] for order in found["orders"].values()} | found["buyers"].keys():
        _complete(found["buyers"].setdefault(name, {}), name)
    for seller in found["sellers"].values():
        seller.setdefault("campaigns", [CAMPAIGN])
    return found


def usual() -> Document:
    """The market without orders, that every case starts from."""
    found: Document = _copy(market({}))
    found["sellers"] = {name: {"campaigns": [CAMPAIGN]} for name in SELLERS}
    return found


def with_probe(document: Document, name: str) -> Document:
    """The market with a campaign of its own for asking whether it is in force, balances and all.

    Its one buyer has no money, and the exchange must know that to find no order eligible.
    """
    found: Document = _copy(document)
    url = "http://127.0.0.1:9"
    found["campaigns"][name] = {"vertical": "auto", "floor": "1.00"}
    found["buyers"][name] = {"endpoint": {"ping_url": url, "post_url": url}}
    found["orders"][name] = {"buyer": name, "campaign": name}
    found["sellers"][SELLERS[0]]["campaigns"] = [*found["sellers"][SELLERS[0]]["campaigns"], name]
    return found


def qualified(document: Document, names: Names) -> Document:
    """The market under the case's own keys, wherever one is named."""
    found: Document = _copy(document)
    for section in ("campaigns", "sellers", "buyers", "orders"):
        found[section] = {names.full(key): entry for key, entry in found[section].items()}
    for section in ("sellers", "buyers", "orders"):
        for entry in found[section].values():
            entry |= {key: _renamed(entry[key], names) for key in _REFERENCES if key in entry}
    return found


def placed(document: Any, places: Mapping[str, str]) -> Any:
    """The document with `{north}` in its texts replaced by where the buyer of that name listens."""
    if isinstance(document, dict):
        return {key: placed(value, places) for key, value in document.items()}
    if isinstance(document, list):
        return [placed(value, places) for value in document]
    if isinstance(document, str):
        for name, place in places.items():
            document = document.replace(f"{{{name}}}", place)
    return document


def _renamed(reference: Any, names: Names) -> Any:
    return [names.full(key) for key in reference] if isinstance(reference, list) else names.full(reference)


def _change(entry: Document, changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if key in _MERGED and isinstance(entry.get(key), dict) and isinstance(value, dict):
            _change(entry[key], value)
        else:
            entry[key] = value


def _complete(buyer: Document, name: str) -> None:
    """Gives a buyer what the case does not say: money, and endpoints on his own socket."""
    buyer.setdefault("credit_limit", "100000.00")
    if "endpoints" not in buyer:
        buyer.setdefault("endpoint", {})
    for endpoint in [buyer["endpoint"]] if "endpoint" in buyer else buyer["endpoints"].values():
        usually = {"ping_url": f"http://{{{name}}}/bid", "post_url": f"http://{{{name}}}/post"}
        for key, value in (usually | {"ping_timeout_ms": 2000, "post_timeout_ms": 5000}).items():
            endpoint.setdefault(key, value)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
