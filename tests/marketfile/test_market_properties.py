"""Whatever is given: JSON keeps a market as it is, and nothing but a list of problems comes of junk."""

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from market_example import EXAMPLE, example

from exchange.errors import MarketFileError
from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.marketfile.secrets import references
from exchange.marketfile.source import parse
from exchange.values.market import Market

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "zip", "IL", "5.00", "${env:X}", "${", "none", "bid", "auto-us", "northwind", "1990-01-01"])
    | st.sampled_from([10**30, "x" * 5000, "\0", "\ud800", -1, 10**18])
)
KEYS = st.text(max_size=8) | st.sampled_from(
    ["version", "orders", "buyers", "campaigns", "verticals", "sellers", "fields", "type", "in", "min", "max", "not",
     "between", "filter", "endpoint", "endpoints", "auth", "bearer", "basic", "margin", "percent", "amount", "values"]
)  # fmt: skip
JUNK = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a document."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


PLACES = [place for place in places(example()) if place]


def market_of(document: object) -> Market | None:
    """The market, or None where it is refused with problems that say where and what."""
    try:
        return read(document)
    except MarketFileError as error:
        problems = error.problems
    assert problems
    assert all(problem.path and problem.message for problem in problems)
    return None


def document_of(text: str) -> dict[str, Any] | None:
    """The document, or None where the text is refused."""
    try:
        document = parse(text)
    except MarketFileError as error:
        problems = error.problems
    else:
        assert json.loads(json.dumps(document)) == document
        return document
    assert all(problem.path and problem.message for problem in problems)
    assert problems
    return None


@settings(deadline=None)
@given(JUNK)
def test_junk_is_never_anything_but_refused(document: object) -> None:
    market_of(document)


@settings(deadline=None)
@given(st.dictionaries(KEYS, JUNK))
def test_a_junk_mapping_is_never_anything_but_refused(document: dict[str, Any]) -> None:
    market_of({"version": 1, "currency": "USD", **document})


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(PLACES), JUNK, st.sampled_from(["replace", "remove", "add"])), max_size=3), KEYS
)
def test_a_market_with_junk_in_it_is_read_or_refused(edits: list[tuple[Any, Any, str]], name: str) -> None:
    document = example()
    for place, junk, how in edits:
        _edit(document, place, copy.deepcopy(junk), how, name)
    found = market_of(document)
    if found is not None:
        assert read(json.loads(json.dumps(document))) == found
        assert compare(found, found) == ()
        references(found)


def _edit(document: Any, place: tuple[Any, ...], junk: Any, how: str, name: str) -> None:
    node = document
    try:
        for part in place[:-1]:
            node = node[part]
        if how == "remove":
            del node[place[-1]]
        elif how == "add" and isinstance(node[place[-1]], dict):
            node[place[-1]][name] = junk
        else:
            node[place[-1]] = junk
    except (KeyError, IndexError, TypeError):
        return  # an earlier edit took the place away


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    document_of(text)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(len(EXAMPLE), start + 30)))
    text = EXAMPLE[:start] + data.draw(st.text(":{}[]-&*!|>'\"%@`#,? \n\tab0", max_size=6)) + EXAMPLE[end:]
    document = document_of(text)
    if document is not None:
        market_of(document)


def test_a_market_survives_json() -> None:
    document = example()
    assert json.loads(json.dumps(document)) == document
    assert read(json.loads(json.dumps(document))) == read(document)
