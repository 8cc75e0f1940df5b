"""A market as JSON is the same document as the market in YAML, with every number as it is written."""

import json

import pytest
from market_example import example
from support.market import market

from exchange.errors import MarketFileError
from exchange.marketfile.json_source import loads
from exchange.marketfile.limits import DEPTH_MAX
from exchange.marketfile.source import parse


@pytest.mark.parametrize("document", [example(), market({"high": "http://127.0.0.1:9"})])
def test_it_reads_what_yaml_reads(document: dict[str, object]) -> None:
    text = json.dumps(document)
    assert loads(text.encode()) == parse(text) == document


def test_numbers_keep_their_text() -> None:
    found = loads(b'{"a": 5.00, "b": 0.1, "c": 12, "d": 1e3, "e": 123456789012345678901, "f": -7, "g": "5.00"}')
    assert found == {"a": "5.00", "b": "0.1", "c": 12, "d": "1e3", "e": "123456789012345678901", "f": -7, "g": "5.00"}


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b'{"a": Infinity}', b"\xff\xfe", b"[" * 10_000])
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(body)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[]", "file: must be a mapping (key: value)"),
        (b"null", "file: must be a mapping (key: value)"),
        (b'{"a": {"b": 1, "b": 2}}', "b: is written twice"),
        (b'{"a": "x\\u0000"}', "file: holds a NUL character, or half of a surrogate pair"),
        (b'{"\\udc00": 1}', "file: holds a NUL character, or half of a surrogate pair"),
        (
            b'{"a":' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 1),
            "file: more than 16 mappings and lists inside one another",
        ),
    ],
)
def test_what_no_market_holds(body: bytes, problem: str) -> None:
    with pytest.raises(MarketFileError) as raised:
        loads(body)
    assert [str(item) for item in raised.value.problems] == [problem]


def test_what_only_looks_so_is_fine() -> None:
    assert loads(b'{"a": "\\\\u0000", "b": "\\ud83d\\ude00"}') == {"a": "\\u0000", "b": "\U0001f600"}
    deepest = b'{"a":' * DEPTH_MAX + b"1" + b"}" * DEPTH_MAX
    assert loads(deepest)
