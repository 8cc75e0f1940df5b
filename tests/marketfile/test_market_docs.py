"""Every key, word and limit of the market file stands in its documentation, and the example there can be applied."""

import re
from pathlib import Path

import pytest
from market_example import changed, problems_of
from support.places import known_places
from support.shapes import all_shapes

from exchange.buyers.dialects import paths
from exchange.marketfile import limits
from exchange.marketfile.conditions import OPERATORS
from exchange.marketfile.filters import GROUPS
from exchange.marketfile.reader import load
from exchange.marketfile.source import parse
from exchange.rules import patterns
from exchange.values.vertical import FieldType

PAGE = (Path(__file__).parents[2] / "docs/operate/market.md").read_text()

MODELS = all_shapes()
KEYS = [(model.__name__, field.alias or name) for model in MODELS for name, field in model.model_fields.items()]


def test_all_models_are_looked_at() -> None:
    assert len(MODELS) == 52


@pytest.mark.parametrize(("model", "key"), KEYS)
def test_every_key_is_documented(model: str, key: str) -> None:
    assert f"`{key}`" in PAGE, f"{key} of {model}"


def test_every_type_and_operator_is_documented() -> None:
    assert all(f"`{word}`" in PAGE for word in [*FieldType, *OPERATORS, *GROUPS])


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
        ("windows of a schedule", limits.SCHEDULE_WINDOWS_MAX),
        ("holidays of a schedule", limits.HOLIDAYS_MAX),
        ("consents of an order, of a campaign", limits.CONSENTS_MAX),
        ("groups of conditions inside one another", limits.GROUP_DEPTH_MAX),
        ("conditions in a group", limits.GROUP_MEMBERS_MAX),
        ("alternatives of a filter", limits.ALTERNATIVES_MAX),
        ("characters of a pattern", limits.PATTERN_CHARS_MAX),
        ("steps of a pattern", patterns.STEPS_MAX),
        ("characters of a text that patterns are looked for in", patterns.TEXT_CHARS_MAX),
        ("different patterns on a field", limits.PATTERNS_MAX),
        ("miles of a radius", limits.MILES_MAX),
        ("rules in a list of prices or floors", limits.AMOUNT_RULES_MAX),
        ("sub-caps of an order", limits.SUB_CAPS_MAX),
        ("deliveries of an order", limits.DELIVERIES_MAX),
        ("addresses of an e-mail", limits.RECIPIENTS_MAX),
        ("characters of a template", limits.TEMPLATE_CHARS_MAX),
        ("characters of a text", limits.TEXT_CHARS_MAX),
        ("characters of an address", limits.URL_CHARS_MAX),
        ("characters of a secret", limits.SECRET_CHARS_MAX),
        ("fields, headers and parts of the query of a message of a mapping", limits.PARTS_MAX),
        ("conditions of a rule on an answer", limits.CONDITIONS_MAX),
        ("words in a list or a translation of a mapping", limits.WORDS_MAX),
        ("steps of a path into an answer", paths.STEPS_MAX),
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
        limits.TIER_SHARE,
        limits.WEIGHT,
        limits.FANOUT,
        limits.SHARES,
        limits.AFTER_S,
        limits.EVERY_MIN,
        limits.NOTICE_DELAY_MIN,
        limits.PORT,
    ]
    for low, high in ranges:
        assert f"{low:,} to {high:,}" in PAGE
    assert "years {} to {}".format(*limits.YEARS) in PAGE
    assert f"1 to {limits.FIELD_CHARS_MAX:,}" in PAGE


def test_the_example_on_the_page_is_a_market() -> None:
    example, *_ = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    _, market = load(example)
    assert list(market.orders) == ["northwind-il"]


def filters_on_the_page() -> list[str]:
    """The examples of conditions and groups, as YAML."""
    section = PAGE.partition("### Filters\n")[2].partition("\n### Schedules\n")[0]
    cells = re.findall(r"\| `([^|]*?(?:\\\|[^|]*?)*)` \|$", section, re.MULTILINE)
    groups = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    return [cell.replace("\\|", "|") for cell in cells] + [text for text in groups if "filter:" in text]


@pytest.mark.parametrize("text", filters_on_the_page())
def test_every_filter_on_the_page_can_be_applied(text: str, tmp_path: Path) -> None:
    written = parse(text)
    with known_places(tmp_path):
        assert problems_of(changed("orders/northwind-il/filter", written.get("filter", written))) == []


def test_all_operators_have_an_example_on_the_page() -> None:
    found = " ".join(filters_on_the_page())
    assert all(re.search(rf"\b{word}:", found) for word in [*OPERATORS, *GROUPS])
