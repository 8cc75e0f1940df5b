"""A document that is read piece by piece is the document, however it is written."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_example import EXAMPLE

from exchange import json_pieces
from exchange.marketfile.source import parse

plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=12
)
indents = st.sampled_from([None, 0, 2, "\t"])


@given(values, indents, st.booleans())
def test_whatever_the_document_holds(document: Any, indent: Any, is_ascii: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=is_ascii)
    assert json_pieces.loads(f" \r\n{text}\n") == document
    assert json_pieces.loads(orjson.dumps(document).decode()) == document
    assert json_pieces.dumps(document) == orjson.dumps(document).decode()


@pytest.mark.parametrize("document", [{1: "a"}, {"orders": {None: {}}}, {"orders": {"a": {"b": {1}}}}])
def test_what_has_no_json_is_refused(document: Any) -> None:
    with pytest.raises(TypeError):
        json_pieces.dumps(document)


def test_a_market_file_keeps_its_order() -> None:
    document = parse(EXAMPLE)
    found = json_pieces.loads(json.dumps(document, default=str))
    assert list(found) == list(document)
    assert list(found["buyers"]) == list(document["buyers"])
    assert found == json.loads(json.dumps(document, default=str))


def test_of_a_key_that_comes_twice_the_last_counts_as_elsewhere() -> None:
    text = '{"orders": {"a": {"b": 1, "b": 2}, "a": 3}, "version": 1}'
    assert json_pieces.loads(text) == orjson.loads(text)


@pytest.mark.parametrize("document", [{"orders": {"a": {}, "b": {}}, "version": 1}, {}, [], None])
def test_what_is_let_go_of_is_empty(document: Any) -> None:
    json_pieces.let_go(document)
    assert document in ({"orders": {}, "version": 1}, {}, [], None)
