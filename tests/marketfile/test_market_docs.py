"""Every key, word and limit of the market file stands in its documentation, and the example there can be applied."""

import re
from pathlib import Path

import pytest

from exchange.marketfile import limits, shape
from exchange.marketfile.conditions import OPERATORS, OPERATORS_LATER
from exchange.marketfile.reader import load
from exchange.values.vertical import FieldType

PAGE = (Path(__file__).parents[2] / "docs/operate/market.md").read_text()
BUILT, LATER = PAGE.split("## Not supported yet")

MODELS = [
    model
    for model in vars(shape).values()
    if isinstance(model, type) and issubclass(model, shape.Shape) and model is not shape.Shape
]
KEYS = [
    (model.__name__, field.alias or name, field.annotation is type(None))
    for model in MODELS
    for name, field in model.model_fields.items()
]


def test_all_models_are_looked_at() -> None:
    assert len(MODELS) == 17
    assert {key for _, key, later in KEYS if later} == {
        "multiple", "query", "hmac", "oauth2", "schedule", "weight",
    }  # fmt: skip


@pytest.mark.parametrize(("model", "key", "later"), KEYS)
def test_every_key_is_documented(model: str, key: str, later: bool) -> None:
    assert f"`{key}`" in (LATER if later else BUILT), f"{key} of {model}"


def test_every_type_and_operator_is_documented() -> None:
    assert all(f"`{word}`" in BUILT for word in [*FieldType, *OPERATORS])
    assert all(f"`{word}`" in LATER for word in OPERATORS_LATER)


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("size of the file", f"{limits.FILE_BYTES_MAX // 1024 // 1024} MiB"),
        ("verticals", limits.VERTICALS_MAX),
        ("campaigns", limits.CAMPAIGNS_MAX),
        ("sellers", limits.SELLERS_MAX),
        ("buyers", limits.BUYERS_MAX),
        ("orders", limits.ORDERS_MAX),
        ("endpoints of a buyer", limits.ENDPOINTS_MAX),
        ("fields of a vertical", limits.FIELDS_MAX),
        ("values of a list in a condition, of an enum", limits.VALUES_MAX),
        ("characters of a text", limits.TEXT_CHARS_MAX),
        ("characters of an address", limits.URL_CHARS_MAX),
        ("characters of a secret", limits.SECRET_CHARS_MAX),
    ],
)
def test_every_limit_is_documented(what: str, limit: int | str) -> None:
    assert f"| {what} | {limit if isinstance(limit, str) else f'{limit:,}'} |" in PAGE


def test_every_range_is_documented() -> None:
    ranges = [
        limits.PING_TIMEOUT_MS,
        limits.POST_TIMEOUT_MS,
        limits.OFFER_TTL_S,
        limits.PRIORITY,
        limits.PRESUME_DAYS,
        limits.RETURN_DAYS,
        limits.SHARES,
    ]
    for low, high in ranges:
        assert f"{low:,} to {high:,}" in PAGE
    assert f"1 to {limits.FIELD_CHARS_MAX:,}" in PAGE


def test_the_example_on_the_page_is_a_market() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    _, market = load(example)
    assert list(market.orders) == ["northwind-il"]
