"""The orders of a market file: what each refers to, what it may see, and what it asks of a lead."""

from collections.abc import Mapping
from typing import Any

from exchange.marketfile.build import build_order
from exchange.marketfile.conditions import OPERATORS_LATER
from exchange.marketfile.entries import below, shaped
from exchange.marketfile.index import Index
from exchange.marketfile.limits import AMOUNT_RULES_MAX
from exchange.marketfile.problems import Problems, shown
from exchange.marketfile.references import (
    check_adjustment,
    check_endpoint_of_order,
    check_list,
    check_name,
    check_price_of_order,
    name_in,
)
from exchange.marketfile.scalars import as_text
from exchange.marketfile.shape import OrderShape
from exchange.marketfile.verticals import Catalogue
from exchange.values.market import Condition, Order
from exchange.values.vertical import Stage

_GROUPS = frozenset({"and", "or", "not"})


def read_order(key: str, raw: object, index: Index, problems: Problems) -> Order | None:
    """One order, or None with its problems reported; all of them, as far as what it refers to can be read."""
    path, before = below("orders", key), len(problems)
    shape = shaped(OrderShape, path, raw, problems)
    if not isinstance(raw, dict):
        return None
    _check_references(raw, path, index, problems)
    catalogue = index.catalogue_of(raw)
    if catalogue is None:
        return None
    _check_visible(raw, path, catalogue, problems)
    conditions = _read_filter(raw, path, catalogue, problems)
    whens = read_whens(raw, "prices", path, catalogue, problems)
    endpoints = index.endpoints.get(name_in(raw, "buyer") or "")
    if shape is None or not endpoints or len(problems) > before:
        return None
    return build_order(key, shape, endpoints, tuple(catalogue.stages), conditions, whens)


def read_whens(
    raw: Mapping[str, Any], key: str, path: str, catalogue: Catalogue, problems: Problems
) -> list[dict[str, Condition]]:
    """The filters of a list of rules, each of which says `when` it holds."""
    rules = raw.get(key)
    if not isinstance(rules, list):
        return []
    if len(rules) > AMOUNT_RULES_MAX:
        problems.add(f"{path}.{key}", f"holds more than {AMOUNT_RULES_MAX:,} entries")
        return []
    return [
        _read_filter(rule, f"{path}.{key}[{index}]", catalogue, problems, "when")
        for index, rule in enumerate(rules)
        if isinstance(rule, dict)
    ]


def _check_references(raw: dict[str, Any], path: str, index: Index, problems: Problems) -> None:
    check_name(name_in(raw, "buyer"), f"{path}.buyer", "buyer", index.buyers, problems)
    check_name(name_in(raw, "campaign"), f"{path}.campaign", "campaign", index.campaigns, problems)
    check_endpoint_of_order(raw, f"{path}.endpoint", index.endpoints, problems)
    check_price_of_order(raw, path, index.buyers, problems)
    check_adjustment(raw, path, problems)
    check_list(raw.get("exclude_sellers"), f"{path}.exclude_sellers", "seller", index.sellers, problems)


def _check_visible(raw: dict[str, Any], path: str, catalogue: Catalogue, problems: Problems) -> None:
    """Finds what an order wants to see at ping and cannot."""
    names = raw.get("fields")
    check_list(names, f"{path}.fields", "field", catalogue.stages, problems)
    for name in filter(None, map(as_text, names)) if isinstance(names, list) else ():
        if catalogue.stages.get(name) is Stage.POST:
            problems.add(f"{path}.fields", f"{shown(name)} is sent with the post only: an order sees it when it buys")


def _read_filter(
    raw: Mapping[str, Any], path: str, catalogue: Catalogue, problems: Problems, key: str = "filter"
) -> dict[str, Condition]:
    conditions: dict[str, Condition] = {}
    written = raw.get(key)
    for name, condition in written.items() if isinstance(written, dict) else ():
        if not isinstance(name, str):
            continue  # reported with the order's shape
        where = below(f"{path}.{key}", name)
        reader = catalogue.conditions.get(name)
        if reader is not None:
            found = reader.read(condition, where, problems)
            if found is not None:
                conditions[name] = found
        elif catalogue.stages.get(name) is Stage.POST:
            problems.add(where, "is sent with the post only: a filter can ask for fields of the ping")
        elif name not in catalogue.stages:
            _report_unknown(name, where, catalogue, problems)
    return conditions


def _report_unknown(name: str, path: str, catalogue: Catalogue, problems: Problems) -> None:
    if name in _GROUPS:
        problems.add(path, f"not supported yet: groups of conditions ({name})")
    elif name in OPERATORS_LATER:
        problems.add(path, f"not supported yet: {OPERATORS_LATER[name]}")
    else:
        problems.unknown(path, f"there is no field {shown(name)}", name, catalogue.conditions)
