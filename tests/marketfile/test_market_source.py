"""The text of a market file: YAML without its traps, and every fault of writing named with its place."""

import json
import time
from typing import Any

import pytest
import yaml
from market_example import EXAMPLE

from exchange.errors import MarketFileError
from exchange.marketfile import source
from exchange.marketfile.limits import DEPTH_MAX, SOURCE_PROBLEMS_MAX
from exchange.marketfile.reader import load
from exchange.marketfile.source import parse

BACKSLASH = "a backslash in double quotes that means nothing: double it, or use single quotes"
TAG = "a tag (!) sets a type: leave it out, and quote what must be text"


def faults(text: str) -> list[str]:
    with pytest.raises(MarketFileError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("NO", "NO"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("'true'", "true"),
        ("null", None),
        ("~", None),
        ("", None),
        ("''", ""),
        ("'null'", "null"),
        ("0", 0),
        ("-7", -7),
        ("60601", 60601),
        ("01234", "01234"),
        ("0123", "0123"),
        ("0o17", "0o17"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("5.10", "5.10"),
        ("5.", "5."),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2020-01-31", "2020-01-31"),
        ("2020-01-31T10:00:00Z", "2020-01-31T10:00:00Z"),
        ("=", "="),
        ("<<", "<<"),
        ('"5"', "5"),
        ("٣", "٣"),
        ("9" * 18, int("9" * 18)),
        ("9" * 19, "9" * 19),
    ],
)
def test_scalars_mean_what_a_person_reads(written: str, meant: Any) -> None:
    found = parse(f"a: [{written}]" if written else "a: ['x']\nb:")
    value = found["a"][0] if written else found["b"]
    assert (type(value), value) == (type(meant), meant)


def test_keys_are_always_text() -> None:
    assert parse("NO: 1\n5: 2\ntrue: 3\n1.5: 4\nnull: 5") == {"NO": 1, "5": 2, "true": 3, "1.5": 4, "null": 5}


@pytest.mark.parametrize("loader", [yaml.SafeLoader, source._LOADER])
def test_both_parsers_read_the_same_document(loader: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_LOADER", loader)
    document = parse(EXAMPLE)
    assert document == json.loads(json.dumps(document))
    assert document["orders"]["southwind-all"]["filter"]["zip"] == "01234"
    assert document["sellers"]["acme"]["margin"]["percent"] == "12.5"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\n\tb: 2", "line 2, column 1: a tab: indent with spaces"),
        ("a:\n\t- b", "line 2, column 1: a tab: indent with spaces"),
        ("a: b: c", "line 1, column 5: a ':' where none is expected: check the indentation, or quote the text"),
        ("a: @x", "line 1, column 4: a text that starts with @ needs quotes"),
        ("a: 1\nb: [1, 2\n", "line 3, column 1: a list in [ ] is not closed or lacks a comma"),
        ("a: {x: 1\n", "line 2, column 1: a mapping in { } is not closed or lacks a comma"),
        ("a: 'x", "line 1, column 6: a quotation mark is not closed"),
        ('a: "\\q"', f"line 1, column 5: {BACKSLASH}"),
        ('a: "\\ud800"', f"line 1, column 7: {BACKSLASH}"),
        ("a:\n   b: 1\n  c: 2", "line 3, column 3: does not fit the lines above: check the indentation and the quotes"),
        ("{a: 1}}", "line 1, column 7: something after the end of the document"),
        ("a: 1\nb: \x07", "line 2, column 4: an unprintable character (U+0007)"),
        ("a: \ud800", "line 1, column 4: an unprintable character (U+D800)"),
        ('a: {b: "x\\0"}', "a.b: holds a NUL character (line 1)"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins: a market file holds one"),
        ("? [a]\n: b", "line 1: a key must be plain text"),
        ("a: {b: !!python/object:os.system x}", f"a.b: {TAG} (line 1)"),
        ("a: [x, !!str 5]", f"a[1]: {TAG} (line 1)"),
        ("", "file: is empty"),
        ("# nothing", "file: is empty"),
        ("null", "file: is empty"),
        ("- a", "file: must be a mapping (key: value)"),
        ("just text", "file: must be a mapping (key: value)"),
    ],
)  # fmt: skip
def test_a_fault_of_writing_is_named_with_its_place(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_every_key_written_twice_is_named_with_both_lines() -> None:
    text = "orders:\n  a: {buyer: x, buyer: y}\n  b: {}\n  a: {}\nsellers: {}\norders: {}\n"
    assert faults(text) == [
        "orders.a.buyer: is written twice, on line 2 and again on line 2",
        "orders.a: is written twice, on line 2 and again on line 4",
        "orders: is written twice, on line 1 and again on line 6",
    ]


def test_keys_written_twice_do_not_hide_what_else_is_wrong() -> None:
    text = EXAMPLE.replace("priority: 1\n", "priority: 1\n    priority: 2\n    sale: shred\n").replace(
        "[acme]", "[acmee]"
    )
    with pytest.raises(MarketFileError) as caught:
        load(text.replace("    sale: either\n", ""))
    found = [str(problem) for problem in caught.value.problems]
    assert [problem.split(":")[0] for problem in found] == ["orders.northwind-il.priority", "orders.northwind-il.sale"]


def test_anchors_and_aliases_are_refused_where_they_stand() -> None:
    assert faults("a: &x {b: 1}\nc: [1, *x]\n*x : 5\n") == [
        "a: &x names a part for use elsewhere: write it out where it is meant (line 1)",
        "c[1]: *x stands for something else: write it out where it is meant (line 2)",
        "file: *x stands for something else: write it out where it is meant (line 3)",
    ]


def test_a_billion_laughs_are_not_laughed() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 200)]
    started = time.perf_counter()
    found = faults("\n".join(lines))
    assert time.perf_counter() - started < 5
    assert len(found) == SOURCE_PROBLEMS_MAX + 1
    assert found[-1] == "file: has more faults than are listed here"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_is_bounded(opening: str) -> None:
    started = time.perf_counter()
    (found,) = faults(opening * 100_000)
    assert time.perf_counter() - started < 5
    assert f"more than {DEPTH_MAX} mappings and lists" in found or "a key must be plain text" in found


def test_the_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "FILE_BYTES_MAX", 1024 * 1024)
    assert parse("a: " + "x" * 1_000_000)
    assert faults("a: " + "x" * 1024 * 1024) == ["file: is larger than 1 MiB"]
    assert faults("a: " + "é" * 600_000) == ["file: is larger than 1 MiB"]


def test_the_number_of_nodes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "NODES_MAX", 10)
    assert parse("a: [1, 2, 3, 4, 5, 6, 7]")
    assert faults("a: [1, 2, 3, 4, 5, 6, 7, 8]") == ["file: holds more than 10 keys and values"]


def test_json_is_read_as_well() -> None:
    document = parse(EXAMPLE)
    assert parse(json.dumps(document, indent=2)) == document
