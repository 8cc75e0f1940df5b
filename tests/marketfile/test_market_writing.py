"""A document that is written down as YAML reads back as the same document."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_example import example

from exchange.marketfile.source import parse
from exchange.marketfile.writing import as_yaml
from exchange.simulation.market import render_demo_market

TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"], exclude_characters="\ufeff"), max_size=40)
TREES = st.recursive(
    TEXTS | st.integers(-(10**18) + 1, 10**18 - 1) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXTS, TREES, max_size=5))
def test_any_document_reads_back(document: dict[str, Any]) -> None:
    assert parse(as_yaml(document)) == document


@pytest.mark.parametrize(
    "text", ["NO", "yes", "01234", "0x10", "1e3", "1_000", "12:30", "~", "null", "5.00", "=", "<<", ""]
)
def test_texts_that_yaml_would_take_for_something_else(text: str) -> None:
    assert parse(as_yaml({"a": text, "b": [text]})) == {"a": text, "b": [text]}


def test_whole_markets_read_back() -> None:
    for document in (example(), parse(render_demo_market(9101))):
        assert parse(as_yaml(document)) == document


def test_a_part_that_stands_in_two_places_is_written_twice() -> None:
    part = {"bearer": "${env:TOKEN}"}
    assert parse(as_yaml({"a": part, "b": part})) == {"a": part, "b": part}
