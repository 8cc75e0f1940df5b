"""Matching: the set algebra over all orders says the same as looking at each order's filter plainly."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from string import ascii_letters
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.market import market
from support.places import PLACES, UNKNOWN_ZIP, known_places

from exchange.marketfile.possible import dead_end
from exchange.marketfile.reader import read
from exchange.rules.ages import DAY_S, HOUR_S, Ages
from exchange.rules.alternatives import alternatives, count
from exchange.rules.bitsets import bits
from exchange.rules.dimensions import Membership
from exchange.rules.filters import accepts, failing, holds
from exchange.rules.matching import compile_filters
from exchange.values.filters import Condition, Filter, Group, Junction, Point, Radius
from exchange.values.vertical import AGED_TYPES, MULTIPLE_TYPES, Field, FieldType, Lead, Single, Stage, Value, Vertical

CREDIT = ("poor", "fair", "good", "excellent")
TEXTS = ("Straße", "STRASSE", "strasse", "İ", "ann", "Ann", "ANN", "")
ZIPS = (*PLACES, UNKNOWN_ZIP)
SPACES: dict[FieldType, st.SearchStrategy[Single]] = {
    FieldType.TEXT: st.one_of(st.sampled_from(TEXTS), st.text(ascii_letters, max_size=2)),
    FieldType.INTEGER: st.integers(-3, 8),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.DATE: st.sampled_from(["2026-01-01", "2026-01-02", "2026-02-01", "1999-12-31", "2030-07-04"]),
    FieldType.DATE_TIME: st.sampled_from(
        [
            "2026-02-01T12:00:00Z",
            "2026-02-01T11:00:00Z",
            "2026-01-31T12:00:00Z",
            "2026-01-02T00:00:00Z",
            "2030-01-01T00:00:00Z",
        ]
    ),
    FieldType.ENUM: st.sampled_from(CREDIT),
    FieldType.US_STATE: st.sampled_from(["IL", "WI", "NY", "CA"]),
    FieldType.US_ZIP: st.sampled_from(ZIPS),
}
BOUNDED = {FieldType.INTEGER, *AGED_TYPES}
MOMENT = datetime(2026, 2, 1, 12, tzinfo=UTC)
AGES = st.sampled_from([0, HOUR_S, DAY_S, 30 * DAY_S, 31 * DAY_S, 400 * DAY_S])
PREFIXES: dict[FieldType, st.SearchStrategy[str]] = {
    FieldType.TEXT: st.sampled_from(["a", "an", "ann", "s", "stras", "strasse", "i", "b"]),
    FieldType.US_ZIP: st.sampled_from(["6", "606", "6060", "60601", "9", "10"]),
}
PATTERNS: dict[FieldType, st.SearchStrategy[str]] = {
    FieldType.TEXT: st.sampled_from(["^a", "n+$", "^[a-m]", "SS", "", "^.$", "ß"]),
    FieldType.US_ZIP: st.sampled_from(["^606", "01$", "7"]),
    FieldType.ENUM: st.sampled_from(["oo", "^P", "e"]),
}
POINT = {"lat": "41.922", "lon": "-87.652"}
RADII = st.builds(
    Radius,
    miles=st.sampled_from([0.5, 3.0, 30.0, 85.0, 500.0]),
    of=st.sampled_from(ZIPS) | st.builds(Point, st.floats(-90, 90), st.floats(-180, 180)),
)


@pytest.fixture(scope="module", autouse=True)
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with known_places(tmp_path_factory.mktemp("places")):
        yield


def as_written(kind: FieldType, value: Single) -> Single:
    """A value as a filter holds it: the market file's reader folds the case of texts."""
    return value.casefold() if kind is FieldType.TEXT and isinstance(value, str) else value


DEPTH = 2
FIELDS = {
    name: Field(name, kind, Stage.PING, values=CREDIT if kind is FieldType.ENUM else (), multiple=multiple)
    for kind in SPACES
    for name, multiple in [(kind.value, False), (f"{kind.value}s", True)]
    if not multiple or kind in MULTIPLE_TYPES
}
VERTICAL = Vertical("v", FIELDS)
AGED = Ages(tuple((kind.value, kind) for kind in sorted(AGED_TYPES)), ZoneInfo("America/Chicago"))
LEADS = st.fixed_dictionaries(
    {},
    optional={
        name: st.lists(SPACES[item.type], min_size=1, max_size=3, unique=True) if item.multiple else SPACES[item.type]
        for name, item in FIELDS.items()
    },
).map(lambda lead: AGED.beside(lead, MOMENT))


@cache
def parts(kind: FieldType) -> dict[str, st.SearchStrategy[Any]]:
    """What a condition on a field of this type can say."""
    values = SPACES[kind].map(lambda value: as_written(kind, value))
    found: dict[str, st.SearchStrategy[Any]] = {
        "any_of": st.frozensets(values, min_size=1, max_size=4),
        "none_of": st.frozensets(values, min_size=1, max_size=3),
        "exists": st.booleans(),
    }
    if kind in BOUNDED:
        found |= {"minimum": values, "maximum": values}
    if kind in AGED_TYPES:
        found |= {"min_age_s": AGES, "max_age_s": AGES}
    if kind in PREFIXES:
        found["prefixes"] = st.frozensets(PREFIXES[kind], min_size=1, max_size=3)
    if kind in PATTERNS:
        found["patterns"] = st.frozensets(PATTERNS[kind], min_size=1, max_size=2)
    if kind is FieldType.US_ZIP:
        found["within"] = RADII
    return found


def some_condition(draw: st.DrawFn, item: Field, depth: int) -> Condition:
    known = parts(item.type)
    said = {name: draw(known[name]) for name in draw(st.sets(st.sampled_from(sorted(known)), max_size=2))}
    groups = some_groups(draw, lambda: some_condition(draw, item, depth - 1), depth)
    return Condition(**said, groups=groups, of_several=item.multiple)


def some_filter(draw: st.DrawFn, depth: int) -> Filter:
    least = 1 if depth < DEPTH else 0  # only a whole filter may ask nothing
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, min_size=least, max_size=2))
    asked = {name: some_condition(draw, FIELDS[name], 1) for name in names}
    return Filter(asked, some_groups(draw, lambda: some_filter(draw, depth - 1), depth))


def some_groups(draw: st.DrawFn, member: Callable[[], Any], depth: int) -> tuple[Group[Any], ...]:
    """No group mostly, or one or two."""
    found = []
    for junction in draw(st.lists(st.sampled_from(Junction), max_size=2)) if depth and draw(st.booleans()) else ():
        several = 1 if junction is Junction.NOT else draw(st.integers(1, 3))
        found.append(Group(junction, tuple(member() for _ in range(several))))
    return tuple(found)


@st.composite
def filters(draw: st.DrawFn) -> list[Filter]:
    """The filters of some orders, the first of them twice."""
    found = [some_filter(draw, DEPTH) for _ in range(draw(st.integers(1, 5)))]
    assume(all(count(item) <= 200 for item in found))
    return [*found, found[0]]


def plainly(filters: list[Filter], lead: Lead) -> list[int]:
    return [number for number, item in enumerate(filters) if holds(item, lead, FIELDS)]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(filters(), st.lists(LEADS, min_size=1, max_size=8))
def test_the_sets_agree_with_every_filter_looked_at_plainly(filters: list[Filter], leads: list[Lead]) -> None:
    matcher = compile_filters(VERTICAL, filters)
    for lead in leads:
        assert list(bits(matcher.matching(lead))) == plainly(filters, lead)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(filters(), LEADS)
def test_a_lead_that_is_kept_out_is_told_why_and_no_other(filters: list[Filter], lead: Lead) -> None:
    for item in filters:
        assert len(alternatives(item)) == count(item)
        assert bool(failing(item, lead, FIELDS)) is not holds(item, lead, FIELDS)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(filters(), LEADS)
def test_a_filter_that_no_lead_can_meet_is_met_by_none(filters: list[Filter], lead: Lead) -> None:
    for item in filters:
        assert dead_end(item, FIELDS) is None or count(item) > 100 or not holds(item, lead, FIELDS)


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
    ("presence", Condition(exists=True), FieldType.INTEGER, [0, 7], [None]),
    ("absence", Condition(exists=False), FieldType.INTEGER, [None], [0, 7]),
    ("a prefix", Condition(prefixes=frozenset({"606", "53"})), FieldType.US_ZIP, ["60601", "53202"], ["61101", None]),
    ("a prefix in any case", Condition(prefixes=frozenset({"ac"})), FieldType.TEXT, ["Acme", "AC"], ["a", "mac", None]),
    ("a pattern", Condition(patterns=frozenset({"^a.*e$"})), FieldType.TEXT, ["Acme", "ae"], ["acmes", "", None]),
    ("a pattern exactly", Condition(patterns=frozenset({"^g"})), FieldType.ENUM, ["good"], ["poor", None]),
    (
        "a radius",
        Condition(within=Radius(30, "60601")),
        FieldType.US_ZIP,
        ["60601", "60614"],
        ["61101", "53202", UNKNOWN_ZIP, None],
    ),
    ("a radius of nowhere", Condition(within=Radius(500, UNKNOWN_ZIP)), FieldType.US_ZIP, [], [UNKNOWN_ZIP, "60601"]),
    (
        "a radius of a point over the date line",
        Condition(within=Radius(400, Point(51.8, 179.5))),
        FieldType.US_ZIP,
        ["99546"],
        ["60601", None],
    ),
    (
        "not around a condition, which absence fails",
        Condition(groups=(Group(Junction.NOT, (Condition(minimum=3),)),)),
        FieldType.INTEGER,
        [2],
        [3, 4, None],
    ),
    (
        "one of several, absence among them",
        Condition(groups=(Group(Junction.OR, (Condition(exists=False), Condition(minimum=3))),)),
        FieldType.INTEGER,
        [3, None],
        [2],
    ),
    (
        "all of several",
        Condition(groups=(Group(Junction.AND, (Condition(none_of=frozenset({3})), Condition(minimum=3))),)),
        FieldType.INTEGER,
        [4],
        [3, 2, None],
    ),
    ("yes or no", Condition(any_of=frozenset({False})), FieldType.BOOLEAN, [False], [True, None]),
]


@pytest.mark.parametrize(
    ("condition", "kind", "good", "bad"), [case[1:] for case in CONDITIONS], ids=[c[0] for c in CONDITIONS]
)
def test_a_condition_accepts_what_the_contract_says(
    condition: Condition, kind: FieldType, good: list[Value | None], bad: list[Value | None]
) -> None:
    matcher = compile_filters(Vertical("v", {"f": Field("f", kind, Stage.PING)}), [Filter({"f": condition}), Filter()])
    for value in [*good, *bad]:
        assert accepts(condition, value, kind) is (value in good)
        lead: Lead = {} if value is None else {"f": value}
        assert list(bits(matcher.matching(lead))) == ([0, 1] if value in good else [1])


OF_SEVERAL: list[tuple[str, Condition, FieldType, list[Value], list[Value]]] = [
    ("any of a list", Condition(any_of=frozenset({"IL", "WI"})), FieldType.US_STATE, [["NY", "WI"]], [["NY", "CA"]]),
    ("none of a list", Condition(none_of=frozenset({"IL"})), FieldType.US_STATE, [["NY", "WI"]], [["NY", "IL"]]),
    ("least", Condition(minimum=5), FieldType.INTEGER, [[1, 5]], [[1, 4]]),
    ("both ends by one value", Condition(minimum=3, maximum=5), FieldType.INTEGER, [[1, 4]], [[1, 9]]),
    (
        "not between by any value",
        Condition(groups=(Group(Junction.NOT, (Condition(minimum=3, maximum=5, of_several=True),)),)),
        FieldType.INTEGER,
        [[1, 9]],
        [[1, 4], [3]],
    ),
    (
        "two ends by two values",
        Condition(
            groups=(
                Group(Junction.AND, (Condition(minimum=5, of_several=True), Condition(maximum=3, of_several=True))),
            )
        ),
        FieldType.INTEGER,
        [[1, 9]],
        [[1, 4], [5, 9]],
    ),
    (
        "parts by values of their own",
        Condition(prefixes=frozenset({"a"}), patterns=frozenset({"z$"}), none_of=frozenset({"b"})),
        FieldType.TEXT,
        [["Ann", "Fez"], ["AZ"]],
        [["ann", "fez", "B"], ["ann"], ["fez"]],
    ),
    (
        "any place in a radius",
        Condition(within=Radius(30, "60601")),
        FieldType.US_ZIP,
        [["61101", "60614"]],
        [["61101", UNKNOWN_ZIP]],
    ),
    ("presence", Condition(exists=True), FieldType.ENUM, [["good"]], []),
    ("nothing but presence", Condition(), FieldType.ENUM, [["good"]], []),
]


@pytest.mark.parametrize(
    ("condition", "kind", "good", "bad"), [case[1:] for case in OF_SEVERAL], ids=[c[0] for c in OF_SEVERAL]
)
def test_any_of_several_values_meets_a_condition_and_not_is_about_all(
    condition: Condition, kind: FieldType, good: list[Value], bad: list[Value]
) -> None:
    field = Field("f", kind, Stage.PING, multiple=True)
    condition = replace(condition, of_several=True)
    matcher = compile_filters(Vertical("v", {"f": field}), [Filter({"f": condition}), Filter()])
    for value in [*good, *bad]:
        assert accepts(condition, value, kind) is (value in good)
        assert list(bits(matcher.matching({"f": value}))) == ([0, 1] if value in good else [1])
    assert not accepts(condition, None, kind)
    assert list(bits(matcher.matching({}))) == [1]


def test_absence_of_several_values_can_be_asked_for() -> None:
    condition = Condition(exists=False, of_several=True)
    field = Field("f", FieldType.ENUM, Stage.PING, values=CREDIT, multiple=True)
    matcher = compile_filters(Vertical("v", {"f": field}), [Filter({"f": condition})])
    assert (accepts(condition, None, FieldType.ENUM), accepts(condition, ["good"], FieldType.ENUM)) == (True, False)
    assert (matcher.matching({}), matcher.matching({"f": ["good"]})) == (1, 0)


@pytest.mark.parametrize(
    ("written", "good", "bad"),
    [
        ({"city": ["Chicago", "new York"]}, [{"city": "CHICAGO"}, {"city": "New york"}], [{"city": "Peoria"}, {}]),
        ({"city": {"not": ["Chicago"]}}, [{"city": "Peoria"}], [{"city": "chicago"}, {}]),
        ({"city": "Chicago"}, [{"city": "chicago"}], [{"city": "Chicago Heights"}]),
        ({"age": {"between": [25, 65]}}, [{"age": 25}, {"age": 65}], [{"age": 24}, {"age": 66}, {}]),
        (
            {"zip": {"within_miles": 30, "of": "60601"}},
            [{"zip": "60614"}],
            [{"zip": "61101"}, {"zip": UNKNOWN_ZIP}, {}],
        ),
        (
            {"zip": {"within_miles": "2.5", "of": {"lat": "41.922", "lon": "-87.652"}}},
            [{"zip": "60657"}],
            [{"zip": "60601"}],
        ),
        ({"zip": {"prefix": ["606", 94]}}, [{"zip": "60601"}, {"zip": "94103"}], [{"zip": "61101"}, {}]),
        ({"city": {"prefix": "new "}}, [{"city": "New York"}], [{"city": "Newark"}, {}]),
        ({"city": {"matches": "(heights|park)$"}}, [{"city": "Oak Park"}], [{"city": "Parkville"}, {}]),
        ({"age": {"exists": False}}, [{}], [{"age": 41}]),
        ({"age": {"or": [{"max": 20}, {"exists": False}, 30]}}, [{"age": 20}, {"age": 30}, {}], [{"age": 21}]),
        ({"age": {"not": {"min": 20}}}, [{"age": 19}], [{"age": 20}, {}]),
        ({"not": {"age": {"min": 20}}}, [{"age": 19}, {}], [{"age": 20}]),
        (
            {"or": [{"age": {"min": 60}}, {"city": "Chicago", "age": {"min": 50}}], "not": {"city": "Peoria"}},
            [{"age": 60}, {"age": 50, "city": "Chicago"}],
            [{"age": 50}, {"age": 60, "city": "Peoria"}, {}],
        ),
        ({"and": [{"or": [{"age": 20}, {"age": 30}]}, {"not": {"age": 30}}]}, [{"age": 20}], [{"age": 30}, {}]),
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
    matcher = compile_filters(
        found.verticals["auto"], [Filter(found.orders["ann"].filter, found.orders["ann"].filter_groups)]
    )
    assert [matcher.matching(lead) for lead in good] == [1] * len(good)
    assert [matcher.matching(lead) for lead in bad] == [0] * len(bad)


@given(st.integers(0))
@settings(max_examples=5)
def test_of_many_orders_those_match_that_name_a_value_be_they_few_or_many(seed: int) -> None:
    luck = random.Random(seed)  # noqa: S311  # luck need not be secret
    zips = [f"{number:05d}" for number in range(300)]
    often = [*zips[:5] * 100, *zips[:295]]
    chosen = [frozenset(luck.sample(often, 6)) for _ in range(1_000)]
    kinds = [Condition(any_of=item) if luck.random() < 0.9 else Condition(none_of=item) for item in chosen]
    field = FIELDS[FieldType.US_ZIP.value]
    matcher = compile_filters(VERTICAL, [Filter({field.name: condition}) for condition in kinds])
    ((_, dimension),) = matcher.dimensions
    assert isinstance(dimension, Membership)
    assert dimension.few
    assert set(dimension.by_value) >= set(zips[:5])
    for value in zips:
        expected = [number for number, condition in enumerate(kinds) if accepts(condition, value, field.type)]
        assert bits(matcher.matching({field.name: value})) == expected
    assert bits(matcher.matching({})) == []


@given(st.sets(st.integers(0, 300)))
def test_the_numbers_of_a_set_come_back_in_order(numbers: set[int]) -> None:
    assert list(bits(sum(1 << number for number in numbers))) == sorted(numbers)


@given(st.integers(0), st.integers(50, 400), st.integers(0, 70_000))
@settings(max_examples=20)
def test_so_do_those_of_a_large_set_with_many_members(seed: int, members: int, lowest: int) -> None:
    luck = random.Random(seed)  # noqa: S311  # luck need not be secret
    numbers = luck.sample(range(lowest, lowest + 50_000), members)
    assert bits(sum(1 << number for number in numbers)) == sorted(numbers)
