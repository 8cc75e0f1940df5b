"""References between the entries of a market file: each must lead somewhere.

They are checked on the document itself, entry by entry, so that an entry that is wrong elsewhere does not hide a dead
reference in it, and is not taken for missing by those that refer to it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from exchange.marketfile.limits import ENDPOINTS_MAX
from exchange.marketfile.problems import Problems, shown
from exchange.marketfile.scalars import as_text
from exchange.marketfile.secrets import ENDPOINT_NAME


def name_in(raw: object, key: str) -> str | None:
    """The name that an entry gives under a key; None where it gives none, or none that could be meant."""
    found = raw.get(key) if isinstance(raw, dict) else None
    name = found if found is None or type(found) is str else as_text(found)
    return name if name and name == name.strip() else None


def endpoint_names(raw: object) -> tuple[str, ...] | None:
    """The endpoints that a buyer's entry has, or None where that cannot be said."""
    if not isinstance(raw, dict):
        return None
    if isinstance(raw.get("endpoints"), dict):
        return tuple(name for name in raw["endpoints"] if isinstance(name, str))
    return (ENDPOINT_NAME,) if raw.get("endpoint") is not None else None


def check_name(name: str | None, path: str, what: str, known: Collection[str], problems: Problems) -> None:
    """Reports a name that is not among the known ones."""
    if name is not None and name not in known:
        problems.unknown(path, f"there is no {what} {shown(name)}", name, known)


def check_list(raw: object, path: str, what: str, known: Collection[str], problems: Problems) -> None:
    """Reports the names of a list that are not known, or are there twice."""
    names = [name for name in map(as_text, raw) if name] if isinstance(raw, list) else []
    seen: set[str] = set()
    for name in names:
        if name in seen:
            problems.add(path, f"{shown(name)} is listed twice")
        else:
            check_name(name, path, what, known, problems)
        seen.add(name)


def check_endpoints(raw: object, path: str, problems: Problems) -> None:
    """Reports a buyer without endpoints, and one that writes them both ways."""
    if not isinstance(raw, dict):
        return
    alone, several = raw.get("endpoint"), raw.get("endpoints")
    if alone is not None and several is not None:
        problems.add(path, "must say either endpoint or endpoints")
    elif several == {} or (alone is None and several is None):
        problems.add(path, "has no endpoint")
    elif isinstance(several, dict) and len(several) > ENDPOINTS_MAX:
        problems.add(f"{path}.endpoints", f"holds more than {ENDPOINTS_MAX:,} entries")


def check_price_of_order(raw: Mapping[str, Any], path: str, buyers: Mapping[str, Any], problems: Problems) -> None:
    """Reports an order that asks for bids where nobody can be asked, and rules for a price that is not fixed."""
    if raw.get("price", "bid") != "bid":
        return
    if raw.get("prices") is not None:
        problems.add(f"{path}.prices", "is for orders with a fixed price: give them one, for all other leads")
    endpoint = endpoint_of(raw, buyers.get(name_in(raw, "buyer") or ""))
    if isinstance(endpoint, dict) and endpoint.get("ping_url") is None:
        problems.add(f"{path}.price", "is bid, but the endpoint has no ping_url to ask for it: give one of both")


def check_method(raw: object, path: str, problems: Problems) -> None:
    """Reports terms of a campaign that its method has no use for."""
    if not isinstance(raw, dict):
        return
    method, second = raw.get("method", "highest_bid"), raw.get("fallback_method")
    if raw.get("price_rule") == "second_price" and method != "highest_bid":
        problems.add(f"{path}.price_rule", "second_price goes with method highest_bid only")
    plain = method == "highest_bid" and raw.get("price_rule") != "second_price"
    if name_in(raw, "sale") in {"shared", "best"} and not plain:
        problems.add(f"{path}.sale", "goes with method highest_bid, and with first prices, only")
    if "tiers" in raw and "priority" not in {name_in(raw, "method"), name_in(raw, "fallback_method")}:
        problems.add(f"{path}.tiers", "goes with method priority only")
    if second is not None and (raw.get("price_rule") == "second_price" or name_in(raw, "sale") in {"shared", "best"}):
        problems.add(f"{path}.fallback_method", "goes with exclusive sales and first prices only")


def check_adjustment(raw: object, path: str, problems: Problems) -> None:
    """Reports an entry that is boosted and held back at once."""
    if isinstance(raw, dict) and "boost" in raw and "penalty" in raw:
        problems.add(path, "must say either boost or penalty")


def endpoint_of(order: Mapping[str, Any], buyer: object) -> object:
    """The endpoint that an order uses, as its buyer's entry writes it; None where that cannot be said."""
    if not isinstance(buyer, dict):
        return None
    several, name = buyer.get("endpoints"), name_in(order, "endpoint")
    if not isinstance(several, dict):
        return buyer.get("endpoint") if name in {None, ENDPOINT_NAME} else None
    return several.get(name) if name is not None else next(iter(several.values()), None)


def check_endpoint_of_order(
    raw: Mapping[str, Any], path: str, buyers: Mapping[str, Sequence[str] | None], problems: Problems
) -> None:
    """Reports an order's endpoint that its buyer has not, and one that is not said where there are several."""
    buyer = name_in(raw, "buyer")
    names = buyers.get(buyer) if buyer is not None else None
    if not names:
        return
    if raw.get("endpoint") is not None:
        check_name(name_in(raw, "endpoint"), path, f"endpoint of {buyer} called", names, problems)
    elif len(names) > 1:
        problems.add(path, f"is missing: {buyer} has several ({', '.join(names)})")
