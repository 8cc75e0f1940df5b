"""The JSON Schema of the market file: it is current, knows every key, and takes what the reader takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from market_example import changed, example
from support.schemas import faults, references, resolve
from support.shapes import all_shapes

from exchange.marketfile.conditions import OPERATORS
from exchange.marketfile.schema import market_schema, text
from exchange.marketfile.source import parse
from exchange.simulation.market import render_demo_market

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = market_schema()


def test_the_kept_schema_is_current() -> None:
    kept = (DOCS / "reference/market.schema.json").read_text()
    assert kept == text() + "\n", "run: exchange market schema > docs/reference/market.schema.json"


def test_every_reference_leads_somewhere() -> None:
    assert set(references(SCHEMA))
    for reference in references(SCHEMA):
        resolve(SCHEMA, reference)


def test_every_key_of_every_shape_is_in_it() -> None:
    found = {name: set(part["properties"]) for name, part in SCHEMA["$defs"].items() if "properties" in part}
    found["MarketShape"] = set(SCHEMA["properties"])
    for model in all_shapes():
        assert found[model.__name__] == {field.alias or name for name, field in model.model_fields.items()}
    [operators] = [part for part in SCHEMA["$defs"]["Condition"]["anyOf"] if "properties" in part]
    assert set(operators["properties"]) == set(OPERATORS)


def test_the_demo_market_and_the_examples_fit() -> None:
    assert faults(SCHEMA, SCHEMA, parse(render_demo_market(9101))) == []
    assert faults(SCHEMA, SCHEMA, example()) == []
    [written] = re.findall(r"```yaml\n(version:.*?)```", (DOCS / "operate/market.md").read_text(), re.DOTALL)
    assert faults(SCHEMA, SCHEMA, parse(written)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("currency", "dollars"),
        ("campaigns/auto-us/flor", "5.00"),
        ("campaigns/auto-us/floor", "five"),
        ("campaigns/auto-us/fallback", "perhaps"),
        ("campaigns/auto-us/margin", {"percent": "a lot"}),
        ("sellers/acme", {}),
        ("buyers/northwind/endpoint/ping_url", "ftp://northwind.example"),
        ("buyers/northwind/endpoint/auth", "some"),
        ("orders/northwind-il/paused", "no"),
        ("orders/northwind-il/caps", {"year": 5}),
    ],
)
def test_slips_are_seen(path: str, value: Any) -> None:
    assert faults(SCHEMA, SCHEMA, changed(path, value)) != []


def test_it_is_json() -> None:
    assert json.loads(text()) == SCHEMA
