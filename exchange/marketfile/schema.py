"""The JSON Schema of the market file, for editors: made from the shapes that read it, so that it knows the same keys.

It checks less than `exchange apply` does: no references, no filter against its field, nothing of the world outside.
"""

import json
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from exchange.marketfile.conditions import OPERATORS
from exchange.marketfile.shapes.base import Shape
from exchange.marketfile.shapes.campaigns import CampaignShape
from exchange.marketfile.shapes.market import MarketShape
from exchange.marketfile.shapes.orders import OrderShape
from exchange.marketfile.shapes.parties import BuyerShape, SellerShape
from exchange.marketfile.shapes.verticals import FieldShape, VerticalShape

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_KEYS: Schema = {"pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"}
_SECTIONS = {
    "verticals": "VerticalShape",
    "campaigns": "CampaignShape",
    "sellers": "SellerShape",
    "buyers": "BuyerShape",
    "orders": "OrderShape",
}
_MODELS = (
    MarketShape,
    VerticalShape,
    FieldShape,
    CampaignShape,
    SellerShape,
    BuyerShape,
    OrderShape,
)
_FILTERS = (("OrderShape", "filter"), ("PriceShape", "when"), ("FloorShape", "when"))
_SCALAR: Schema = {"type": ["string", "integer", "boolean"]}


def market_schema() -> Schema:
    """The schema of a whole file."""
    models: list[tuple[type[Shape], Literal["validation"]]] = [(model, "validation") for model in _MODELS]
    _, found = models_json_schema(models)
    parts: Schema = _untitled(found["$defs"])
    whole: Schema = parts.pop("MarketShape")
    whole["properties"]["version"] = {"const": 1}
    for section, name in _SECTIONS.items():
        whole["properties"][section] = {"anyOf": [_entries(name), {"type": "null"}]}
    parts["VerticalShape"]["properties"]["fields"] = _entries("FieldShape")
    for name, key in _FILTERS:
        parts[name]["properties"][key] = {"$ref": "#/$defs/Filter"}
    parts["EndpointShape"]["properties"]["auth"]["anyOf"].append({"const": "none"})
    parts["Filter"], parts["Condition"] = _filter(), _condition()
    about = {"$schema": DIALECT, "title": "The market file of a lead exchange"}
    return about | whole | {"$defs": dict(sorted(parts.items()))}


def text() -> str:
    """The schema as it is printed and kept."""
    return json.dumps(market_schema(), indent=2)


def _entries(name: str) -> Schema:
    """A mapping of entries by key."""
    return {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{name}"}, "propertyNames": _KEYS}


def _filter() -> Schema:
    """Conditions by field, and groups of filters."""
    own, several = {"$ref": "#/$defs/Filter"}, {"type": "array", "items": {"$ref": "#/$defs/Filter"}}
    groups: Schema = {"and": several, "or": several, "not": own}
    return {"type": "object", "properties": groups, "additionalProperties": {"$ref": "#/$defs/Condition"}}


def _condition() -> Schema:
    """A condition on one field. What an operator takes depends on the field: that is for `apply` to say."""
    operators: Schema = {"type": "object", "properties": {name: {} for name in OPERATORS}}
    return {
        "description": "A value, a list of values, or operators.",
        "anyOf": [_SCALAR, {"type": "array"}, operators],
    }


def _untitled(value: Any) -> Any:
    """Without the titles that are made of the keys: they say nothing more."""
    if isinstance(value, dict):
        return {key: _untitled(item) for key, item in value.items() if not (key == "title" and isinstance(item, str))}
    return [_untitled(item) for item in value] if isinstance(value, list) else value
