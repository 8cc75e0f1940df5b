"""The orders of a market file: what each refers to, what it may see, and what it asks of a lead."""

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

from exchange.marketfile.build import build_order
from exchange.marketfile.consent import check_consent
from exchange.marketfile.deliveries import check_deliveries, check_endpoint_templates, read_delivery_filters
from exchange.marketfile.entries import as_written, below, shaped
from exchange.marketfile.filters import read_filter
from exchange.marketfile.index import Index
from exchange.marketfile.limits import AMOUNT_RULES_MAX, SUB_CAPS_MAX
from exchange.marketfile.problems import Problems, shown
from exchange.marketfile.references import (
    check_adjustment,
    check_endpoint_of_order,
    check_list,
    check_name,
    check_price_of_order,
    endpoint_of,
    name_in,
)
from exchange.marketfile.scalars import as_text
from exchange.marketfile.shapes.orders import OrderShape
from exchange.marketfile.verticals import Catalogue
from exchange.values.filters import Filter
from exchange.values.market import Order
from exchange.values.vertical import Stage

_FIELDS = tuple(field.name for field in fields(Order))
_VALUES = attrgetter(*_FIELDS)
_KEY, _FILTER, _GROUPS = map(_FIELDS.index, ("key", "filter", "filter_groups"))


def read_order(key: str, raw: object, index: Index, problems: Problems) -> Order | None:
    """One order, or None with its problems reported; all of them, as far as what it refers to can be read.

    Of orders that differ in nothing but their filters the first is read, the others are made like it.
    """
    rest = _all_but_filter(raw)
    like = None if rest is None else index.orders_read.get(rest)
    if like is not None and isinstance(raw, dict):
        return _made_like(like, key, raw, index, problems)
    found = _read(key, raw, index, problems)
    if found is not None and rest is not None:
        index.orders_read[rest] = found
    return found


def _all_but_filter(raw: object) -> bytes | None:
    """How an order is written besides its filter, which has its own place; None where it must be looked at."""
    if not isinstance(raw, dict):
        return None
    conditions = raw.get("filter", {})
    if not isinstance(conditions, dict) or not all(isinstance(name, str) for name in conditions):
        return None
    return as_written({name: found for name, found in raw.items() if name != "filter"})


def _made_like(like: Order, key: str, raw: dict[str, Any], index: Index, problems: Problems) -> Order | None:
    before, catalogue = len(problems), index.catalogue_of(raw)
    if catalogue is None:
        raise AssertionError(f"the campaign of an order that was read has gone: {like.campaign}")
    wanted = read_filter(raw.get("filter"), f"{below('orders', key)}.filter", catalogue, problems)
    if len(problems) > before:
        return None
    values = list(_VALUES(like))  # half of what dataclasses.replace takes
    values[_KEY], values[_FILTER], values[_GROUPS] = key, wanted.conditions, wanted.groups
    return Order(*values)


def _read(key: str, raw: object, index: Index, problems: Problems) -> Order | None:
    path, before = below("orders", key), len(problems)
    shape = shaped(OrderShape, path, raw, problems)
    if not isinstance(raw, dict):
        return None
    _check_references(raw, path, index, problems)
    catalogue = index.catalogue_of(raw)
    if catalogue is None:
        return None
    _check_visible(raw, path, catalogue, problems)
    check_consent(raw, path, catalogue, problems)
    check_deliveries(raw, path, catalogue, problems)
    check_endpoint_templates(endpoint_of(raw, index.buyers.get(name_in(raw, "buyer") or "")), path, catalogue, problems)
    found = read_filter(raw.get("filter"), f"{path}.filter", catalogue, problems)
    whens = read_whens(raw, "prices", path, catalogue, problems)
    sub_caps = read_whens(raw, "sub_caps", path, catalogue, problems, at_most=SUB_CAPS_MAX)
    followings = read_delivery_filters(raw, path, catalogue, problems)
    endpoints = index.endpoints.get(name_in(raw, "buyer") or "")
    if shape is None or not endpoints or len(problems) > before:
        return None
    return build_order(
        key, shape, endpoints, tuple(catalogue.stages), found, whens, sub_caps, followings, catalogue.schedules
    )


def read_whens(
    raw: Mapping[str, Any],
    key: str,
    path: str,
    catalogue: Catalogue,
    problems: Problems,
    *,
    at_most: int = AMOUNT_RULES_MAX,
) -> list[Filter]:
    """The filters of a list of rules, each of which says `when` it holds."""
    rules = raw.get(key)
    if not isinstance(rules, list):
        return []
    if len(rules) > at_most:
        problems.add(f"{path}.{key}", f"holds more than {at_most:,} entries")
        return []
    return [
        read_filter(rule.get("when"), f"{path}.{key}[{index}].when", catalogue, problems)
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
