"""The conditions of a filter: how they can be written, what they mean, and which no lead could meet."""

from dataclasses import replace
from typing import Any

import pytest
from market_example import EXAMPLE, changed, problems_of

from exchange.errors import MarketFileError
from exchange.marketfile import conditions
from exchange.marketfile.conditions import ConditionReader
from exchange.marketfile.problems import Problems
from exchange.marketfile.reader import read
from exchange.marketfile.source import parse
from exchange.values.filters import Condition
from exchange.values.vertical import Field, FieldType, Single, Stage

FILTER = "orders/northwind-il/filter"


def any_of(*values: Single) -> Condition:
    return Condition(any_of=frozenset(values))


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("state", "IL", any_of("IL")),
        ("state", ["il", "IL", "dc", "PR"], any_of("IL", "DC", "PR")),
        ("state", {"is": "IL"}, any_of("IL")),
        ("state", {"in": ["IL", "WI"]}, any_of("IL", "WI")),
        ("state", {"in": "IL"}, any_of("IL")),
        ("state", {"in": ["IL", "WI"], "not": "WI"}, Condition(frozenset({"IL", "WI"}), frozenset({"WI"}))),
        ("state", {"in": ["IL", "WI"], "is": "WI"}, any_of("WI")),
        ("state", {"not": ["IL"]}, Condition(none_of=frozenset({"IL"}))),
        ("zip", ["60601", 60602, "60603-1234", "00501"], any_of("60601", "60602", "60603", "00501")),
        ("age", 41, any_of(41)),
        ("age", {"min": 25}, Condition(minimum=25)),
        ("age", {"max": 65}, Condition(maximum=65)),
        ("age", {"between": [25, 65]}, Condition(minimum=25, maximum=65)),
        ("age", {"between": [25, 65], "min": 30, "max": 70}, Condition(minimum=30, maximum=65)),
        ("age", {"min": 16, "max": 16}, Condition(minimum=16, maximum=16)),
        ("age", {"min": 5}, Condition(minimum=5)),
        ("born", {"between": ["1990-01-01", "2000-01-01"]}, Condition(minimum="1990-01-01", maximum="2000-01-01")),
        ("born", {"max_age_days": 30, "min_age_days": 1}, Condition(min_age_s=86_400, max_age_s=2_592_000)),
        ("insured", False, any_of(False)),
        ("occupation", [" Teacher ", "NURSE", "STRASSE", "straße"], any_of("teacher", "nurse", "strasse")),
        ("credit", ["good", "poor"], any_of("good", "poor")),
    ],
)
def test_a_condition_means_what_it_says(name: str, written: Any, meant: Condition) -> None:
    assert read(changed(FILTER, {name: written})).orders["northwind-il"].filter == {name: meant}


@pytest.mark.parametrize(
    ("name", "written", "problem"),
    [
        ("state", [], ": is an empty list"),
        ("state", {"in": []}, ".in: is an empty list"),
        ("state", {"not": []}, ".not: is an empty list"),
        ("state", {}, ": is empty: leave the field out where every value will do"),
        ("state", None, ": is empty: must be text"),
        ("state", {"is": ["IL"]}, ".is: must be a single value: use in for a list"),
        ("state", {"inn": ["IL"]}, ".inn: unknown operator; did you mean in?"),
        ("state", {"of": "60601"}, ".of: is for within_miles, which is not here"),
        ("state", "XX", ": no lead has 'XX' as its state: must be the two letters of a US state or territory"),
        ("state", [["IL"]], ": must be text, not a list"),
        ("state", True, ": must be text, not true or false"),
        ("state", {"min": "IL"}, ".min: is for integer, date and date_time fields only, state is us_state"),
        ("zip", "6060", ": no lead has '6060' as its zip: must be a ZIP code: five digits, or ZIP+4 with a hyphen"),
        ("zip", 1234, ": no lead has 1234 as its zip: must be a ZIP code: five digits, or ZIP+4 with a hyphen"),
        ("age", "41", ": must be a whole number, not text"),
        ("age", 41.0, ": must be a whole number, not a decimal number"),
        ("age", True, ": must be a whole number, not true or false"),
        ("age", 15, ": no lead has 15 as its age: must be at least 16"),
        ("age", {"between": [5]}, ".between: must be a list of two values: [least, greatest]"),
        ("age", {"between": 5}, ".between: must be a list of two values: [least, greatest]"),
        ("age", {"min": [5]}, ".min: must be a whole number, not a list"),
        ("age", {"min": None}, ".min: is empty: must be a whole number"),
        ("age", {"min": 65, "max": 25}, ": no lead can match: the least value 65 is above the greatest 25"),
        ("age", {"between": [65, 25]}, ": no lead can match: the least value 65 is above the greatest 25"),
        ("age", {"min": 111}, ": no lead can match: age is at most 110"),
        ("age", {"max": 15}, ": no lead can match: age is at least 16"),
        ("age", {"in": [20, 30], "min": 40}, ": no lead can match: what one part asks for, another excludes"),
        ("age", {"min": 20, "max": 20, "not": 20}, ": no lead can match: what one part asks for, another excludes"),
        ("state", {"in": ["IL"], "not": ["IL", "WI"]}, ": no lead can match: what one part asks for, another excludes"),
        ("state", {"in": ["IL"], "is": "WI"}, ": no lead can match: what one part asks for, another excludes"),
        ("credit", {"not": ["poor", "fair", "good", "excellent"]},
         ": no lead can match: what one part asks for, another excludes"),
        ("insured", {"not": [True, False]}, ": no lead can match: what one part asks for, another excludes"),
        ("insured", "true", ": must be true or false, not text"),
        ("insured", 1, ": must be true or false, not a number"),
        ("credit", "Good", ": no lead has 'Good' as its credit: must be exactly one of: poor, fair, good, excellent"),
        ("born", "2020-02-30", (": no lead has '2020-02-30' as its born: must be a day of the calendar, "
         "written YYYY-MM-DD")),
        ("born", {"max": "1899-12-31"}, ": no lead can match: born is at least 1900-01-01"),
        ("occupation", "  ", ": is blank"),
        ("occupation", "x" * 61, f": no lead has '{'x' * 39}… as its occupation: must have at most 60 characters"),
        ("occupation", {"max": "z"}, ".max: is for integer, date and date_time fields only, occupation is text"),
        ("age", {"max_age_days": 5}, ".max_age_days: is for date and date_time fields only, age is integer"),
        ("born", {"max_age_hours": 5}, ".max_age_hours: is for date_time fields only, born is date"),
        ("born", {"max_age_days": "5"}, ".max_age_days: must be a whole number, not text"),
        ("born", {"min_age_days": 36501}, ".min_age_days: must be from 0 to 36500, not 36501"),
        ("born", {"min_age_days": -1}, ".min_age_days: must be from 0 to 36500, not -1"),
        ("born", {"min_age_days": 6, "max_age_days": 5}, ": no lead can match: the least age is above the greatest"),
        ("born", {"and": [{"min_age_days": 6}, {"max_age_days": 5}]},
         ": no lead can match: what one part asks for, another excludes"),
        ("phone", "x", ": is sent with the post only: a filter can ask for fields of the ping"),
        ("agee", 5, ": there is no field 'agee'; did you mean age?"),
    ],
)  # fmt: skip
def test_a_condition_that_is_wrong_or_impossible_is_refused(name: str, written: Any, problem: str) -> None:
    assert problems_of(changed(FILTER, {name: written})) == [f"orders.northwind-il.filter.{name}{problem}"]


def with_several(written: Any) -> dict[str, Any]:
    """The example with fields that have several values, and a filter."""
    document = changed(FILTER, written)
    fields = document["verticals"]["auto_insurance"]["fields"]
    fields["cars"] = {"type": "text", "in": "ping", "multiple": True, "max_length": 60}
    fields["kinds"] = {"type": "enum", "values": ["a", "b"], "in": "ping", "multiple": True, "required": True}
    fields["children"] = {"type": "integer", "min": 0, "max": 17, "in": "ping", "multiple": True}
    return document


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("cars", ["Audi", "BMW"], any_of("audi", "bmw")),
        ("cars", {"not": "Fiat"}, Condition(none_of=frozenset({"fiat"}))),
        ("cars", {"is": "Audi", "not": "Fiat"}, Condition(frozenset({"audi"}), frozenset({"fiat"}))),
        ("cars", {"prefix": "Au", "matches": "x"}, Condition(prefixes=frozenset({"au"}), patterns=frozenset({"x"}))),
        ("cars", {"exists": False}, Condition(exists=False)),
        ("children", {"between": [4, 8]}, Condition(minimum=4, maximum=8)),
        ("kinds", {"not": ["a"]}, Condition(none_of=frozenset({"a"}))),
    ],
)
def test_a_condition_on_several_values_is_written_as_any_other(name: str, written: Any, meant: Condition) -> None:
    market = read(with_several({name: written}))
    assert market.orders["northwind-il"].filter == {name: replace(meant, of_several=True)}


@pytest.mark.parametrize(
    ("name", "written", "problem"),
    [
        ("cars", [["Audi"]], ": must be text, not a list"),
        ("cars", {"min": "a"}, ".min: is for integer, date and date_time fields only, cars is text"),
        ("cars", {"in": ["Audi"], "not": ["audi"]}, ": no lead can match: what one part asks for, another excludes"),
        ("cars", {"and": ["Audi", {"not": ["audi"]}]}, ": no lead can match: what one part asks for, another excludes"),
        ("children", {"min": 18}, ": no lead can match: children is at most 17"),
        ("children", {"not": {"min": 0}}, ": no lead can match: what one part asks for, another excludes"),
        ("children", {"min": 9, "max": 8}, ": no lead can match: the least value 9 is above the greatest 8"),
        ("kinds", "c", ": no lead has 'c' as its kinds: must be exactly one of: a, b"),
        ("kinds", {"not": ["a", "b"]}, ": no lead can match: what one part asks for, another excludes"),
        ("kinds", {"exists": False}, ".exists: no lead can match: kinds is required"),
    ],
)
def test_a_condition_on_several_values_that_is_wrong_is_refused(name: str, written: Any, problem: str) -> None:
    assert problems_of(with_several({name: written})) == [f"orders.northwind-il.filter.{name}{problem}"]


def test_two_values_of_several_can_be_asked_for() -> None:
    for written in (
        {"cars": {"and": ["Audi", "BMW"]}},
        {"kinds": {"and": ["a", "b"]}},
        {"and": [{"kinds": "a"}, {"kinds": "b"}]},
    ):
        assert problems_of(with_several(written)) == []


def test_all_problems_of_a_filter_are_named() -> None:
    written = {"state": ["XX", "YY"], "age": {"min": "a", "max": "b"}, "agee": 1}
    assert [problem.split(":")[0] for problem in problems_of(changed(FILTER, written))] == [
        "orders.northwind-il.filter.state",
        "orders.northwind-il.filter.state",
        "orders.northwind-il.filter.age.min",
        "orders.northwind-il.filter.age.max",
        "orders.northwind-il.filter.agee",
    ]


def test_the_values_of_a_condition_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "VALUES_MAX", 3)
    reader, problems = ConditionReader(Field("age", FieldType.INTEGER, Stage.PING)), Problems()
    assert reader.read([1, 2, 3], "age", problems) == any_of(1, 2, 3)
    assert reader.read([1, 2, 3, 4], "age", problems) is None
    assert [str(problem) for problem in problems] == ["age: holds more than 3 values"]


def test_filters_that_look_alike_are_told_apart() -> None:
    """Orders that write the same filter share it; `1`, `true` and `"1"` are not the same."""
    document = parse(EXAMPLE)
    order = {"buyer": "northwind", "campaign": "auto-us"}
    document["orders"] = {
        "first": order | {"filter": {"insured": True, "occupation": "1"}},
        "same": order | {"filter": {"insured": True, "occupation": "1"}},
        "number": order | {"filter": {"insured": 1, "occupation": "1"}},
        "flag": order | {"filter": {"insured": True, "occupation": True}},
    }
    with pytest.raises(MarketFileError) as failed:
        read(document)
    assert {problem.path for problem in failed.value.problems} == {
        "orders.number.filter.insured",
        "orders.flag.filter.occupation",
    }
    del document["orders"]["number"], document["orders"]["flag"]
    orders = read(document).orders
    assert orders["first"].filter is orders["same"].filter
