"""Matching: the set algebra over all orders says the same as looking at each order's filter plainly."""

from string import ascii_letters
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.market import market

from exchange.marketfile.reader import read
from exchange.rules.matching import Filter, accepts, bits, compile_filters
from exchange.values.market import Condition
from exchange.values.vertical import Field, FieldType, Lead, Stage, Value, Vertical

CREDIT = ("poor", "fair", "good", "excellent")
TEXTS = ("Straße", "STRASSE", "strasse", "İ", "ann", "Ann", "ANN", "")
SPACES: dict[FieldType, st.SearchStrategy[Value]] = {
    FieldType.TEXT: st.one_of(st.sampled_from(TEXTS), st.text(ascii_letters, max_size=2)),
    FieldType.INTEGER: st.integers(-3, 8),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.DATE: st.sampled_from(["2026-01-01", "2026-01-02", "2026-02-01", "1999-12-31", "2030-07-04"]),
    FieldType.ENUM: st.sampled_from(CREDIT),
    FieldType.US_STATE: st.sampled_from(["IL", "WI", "NY", "CA"]),
}
BOUNDED = {FieldType.INTEGER, FieldType.DATE}


def as_written(kind: FieldType, value: Value) -> Value:
    """A value as a filter holds it: the market file's reader folds the case of texts."""
    return value.casefold() if kind is FieldType.TEXT and isinstance(value, str) else value


def conditions(kind: FieldType) -> st.SearchStrategy[Condition]:
    values = SPACES[kind].map(lambda value: as_written(kind, value))
    bound = st.none() | values if kind in BOUNDED else st.none()
    return st.builds(
        Condition,
        any_of=st.none() | st.frozensets(values, min_size=1, max_size=4),
        none_of=st.frozensets(values, max_size=3),
        minimum=bound,
        maximum=bound,
    )


@st.composite
def markets(draw: st.DrawFn) -> tuple[Vertical, list[Filter], list[Lead]]:
    """A vertical, the filters of some orders on it, and leads with absent fields."""
    kinds = draw(st.lists(st.sampled_from(list(SPACES)), min_size=1, max_size=4))
    fields = {f"f{number}": Field(f"f{number}", kind, Stage.PING) for number, kind in enumerate(kinds)}
    optional = {name: conditions(field.type) for name, field in fields.items()}
    filters = draw(st.lists(st.fixed_dictionaries({}, optional=optional), max_size=12))
    values = {name: SPACES[field.type] for name, field in fields.items()}
    leads = draw(st.lists(st.fixed_dictionaries({}, optional=values), min_size=1, max_size=8))
    return Vertical("v", fields), list(filters), list(leads)


def plainly(vertical: Vertical, filters: list[Filter], lead: Lead) -> list[int]:
    return [
        number
        for number, item in enumerate(filters)
        if all(accepts(condition, lead.get(name), vertical.fields[name].type) for name, condition in item.items())
    ]


@given(markets())
def test_the_sets_agree_with_every_filter_looked_at_plainly(
    market_: tuple[Vertical, list[Filter], list[Lead]],
) -> None:
    vertical, filters, leads = market_
    matcher = compile_filters(vertical, filters)
    for lead in leads:
        assert list(bits(matcher.matching(lead))) == plainly(vertical, filters, lead)


CONDITIONS: list[tuple[str, Condition, FieldType, list[Value | None], list[Value | None]]] = [
    ("a list", Condition(any_of=frozenset({"IL", "WI"})), FieldType.US_STATE, ["IL", "WI"], ["NY", None]),
    ("not", Condition(none_of=frozenset({"poor"})), FieldType.ENUM, ["fair", "good"], ["poor", None]),
    ("min", Condition(minimum=25), FieldType.INTEGER, [25, 26], [24, None]),
    ("max", Condition(maximum=65), FieldType.INTEGER, [65, -1], [66, None]),
    ("between", Condition(minimum=25, maximum=65), FieldType.INTEGER, [25, 40, 65], [24, 66, None]),
    ("one value", Condition(minimum=7, maximum=7), FieldType.INTEGER, [7], [6, 8, None]),
    ("dates", Condition(minimum="2026-01-02"), FieldType.DATE, ["2026-01-02", "2030-01-01"], ["2026-01-01", None]),
    (
        "all at once",
        Condition(any_of=frozenset({1, 2, 3, 9}), none_of=frozenset({2}), minimum=1, maximum=5),
        FieldType.INTEGER,
        [1, 3],
        [2, 9, 4, 0, None],
    ),
    ("text in any case", Condition(any_of=frozenset({"acme"})), FieldType.TEXT, ["Acme", "ACME", "acme"], ["ac", None]),
    ("not a text in any case", Condition(none_of=frozenset({"acme"})), FieldType.TEXT, ["ac"], ["Acme", "ACME", None]),
    ("enums exactly", Condition(any_of=frozenset({"good"})), FieldType.ENUM, ["good"], ["Good", "GOOD", None]),
    ("bounds that leave nothing", Condition(minimum=5, maximum=4), FieldType.INTEGER, [], [3, 4, 5, 6, None]),
    ("nothing but presence", Condition(), FieldType.INTEGER, [0, 7], [None]),
    ("yes or no", Condition(any_of=frozenset({False})), FieldType.BOOLEAN, [False], [True, None]),
]


@pytest.mark.parametrize(
    ("condition", "kind", "good", "bad"), [case[1:] for case in CONDITIONS], ids=[c[0] for c in CONDITIONS]
)
def test_a_condition_accepts_what_the_contract_says(
    condition: Condition, kind: FieldType, good: list[Value | None], bad: list[Value | None]
) -> None:
    matcher = compile_filters(Vertical("v", {"f": Field("f", kind, Stage.PING)}), [{"f": condition}, {}])
    for value in [*good, *bad]:
        assert accepts(condition, value, kind) is (value in good)
        lead: Lead = {} if value is None else {"f": value}
        assert list(bits(matcher.matching(lead))) == ([0, 1] if value in good else [1])


@pytest.mark.parametrize(
    ("written", "good", "bad"),
    [
        ({"city": ["Chicago", "new York"]}, [{"city": "CHICAGO"}, {"city": "New york"}], [{"city": "Peoria"}, {}]),
        ({"city": {"not": ["Chicago"]}}, [{"city": "Peoria"}], [{"city": "chicago"}, {}]),
        ({"city": "Chicago"}, [{"city": "chicago"}], [{"city": "Chicago Heights"}]),
        ({"age": {"between": [25, 65]}}, [{"age": 25}, {"age": 65}], [{"age": 24}, {"age": 66}, {}]),
        ({"age": 41, "city": "Chicago"}, [{"age": 41, "city": "Chicago"}], [{"age": 41}, {"city": "Chicago"}, {}]),
    ],
)
def test_a_filter_of_the_market_file_matches_as_written(
    written: dict[str, Any], good: list[Lead], bad: list[Lead]
) -> None:
    document = market({"ann": "http://127.0.0.1:9"}, orders={"ann": {"filter": written}})
    fields = document["verticals"]["auto"]["fields"] | {"city": {"type": "text", "in": "ping"}}
    document["verticals"] = {"auto": {"fields": fields}}
    found = read(document)
    matcher = compile_filters(found.verticals["auto"], [found.orders["ann"].filter])
    assert [matcher.matching(lead) for lead in good] == [1] * len(good)
    assert [matcher.matching(lead) for lead in bad] == [0] * len(bad)


@given(st.sets(st.integers(0, 300)))
def test_the_numbers_of_a_set_come_back_in_order(numbers: set[int]) -> None:
    assert list(bits(sum(1 << number for number in numbers))) == sorted(numbers)
