"""Prefixes, patterns, radii, presence and groups: how they are written, what they mean, and what is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from market_example import changed, problems_of
from support.places import UNKNOWN_ZIP, known_places

from exchange.marketfile import texts
from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.values.filters import Condition, Filter, Group, Junction, Point, Radius

FILTER = "orders/northwind-il/filter"
PATH = "orders.northwind-il.filter"


@pytest.fixture(scope="module", autouse=True)
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with known_places(tmp_path_factory.mktemp("places")):
        yield


FIFTY = Condition(frozenset({50}))
POINT = {"lat": 42, "lon": -88}


def any_of(*members: Any) -> Group[Any]:
    return Group(Junction.OR, members)


def none_of(member: Any) -> Group[Any]:
    return Group(Junction.NOT, (member,))


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("age", {"exists": True}, Condition(exists=True)),
        ("age", {"exists": False}, Condition(exists=False)),
        ("zip", {"prefix": "606"}, Condition(prefixes=frozenset({"606"}))),
        ("zip", {"prefix": [606, "006"]}, Condition(prefixes=frozenset({"606", "006"}))),
        ("occupation", {"prefix": "Dr "}, Condition(prefixes=frozenset({"dr "}))),
        ("occupation", {"matches": "^Dr\\b"}, Condition(patterns=frozenset({"^Dr\\b"}))),
        ("credit", {"matches": ["^p", "^f"]}, Condition(patterns=frozenset({"^p", "^f"}))),
        ("zip", {"within_miles": 30, "of": "60601"}, Condition(within=Radius(30.0, "60601"))),
        ("zip", {"of": "60601-1234", "within_miles": "2.5"}, Condition(within=Radius(2.5, "60601"))),
        (
            "zip",
            {"within_miles": 30, "of": {"lat": "41.9", "lon": "-87.6"}},
            Condition(within=Radius(30.0, Point(41.9, -87.6))),
        ),
        ("age", {"or": [{"max": 20}, 50]}, Condition(groups=(any_of(Condition(maximum=20), FIFTY),))),
        (
            "age",
            {"and": [{"min": 20}, {"not": [30]}]},
            Condition(groups=(Group(Junction.AND, (Condition(minimum=20), Condition(none_of=frozenset({30})))),)),
        ),
        ("age", {"not": {"min": 20}, "max": 60}, Condition(maximum=60, groups=(none_of(Condition(minimum=20)),))),
    ],
)  # fmt: skip
def test_an_operator_means_what_it_says(name: str, written: Any, meant: Condition) -> None:
    assert read(changed(FILTER, {name: written})).orders["northwind-il"].filter == {name: meant}


def test_groups_of_filters_mean_what_they_say() -> None:
    written = {"state": "IL", "or": [{"age": 50}, {"not": {"credit": "good"}}], "not": {"and": [{"age": 60}]}}
    order = read(changed(FILTER, written)).orders["northwind-il"]
    fifty, sixty = (Filter({"age": Condition(frozenset({age}))}) for age in (50, 60))
    good = Filter({"credit": Condition(frozenset({"good"}))})
    assert order.filter == {"state": Condition(frozenset({"IL"}))}
    assert order.filter_groups == (
        any_of(fifty, Filter(groups=(none_of(good),))),
        none_of(Filter(groups=(Group(Junction.AND, (sixty,)),))),
    )


DEEP: dict[str, Any] = {"age": 50}
for _ in range(5):
    DEEP = {"not": DEEP}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"age": {"exists": 1}}, ".age.exists: must be true or false, not a number"),
    ({"zip": {"exists": False}}, ".zip.exists: no lead can match: zip is required"),
    ({"age": {"exists": False, "min": 20}}, ".age: no lead can match: what one part asks for, another excludes"),
    ({"age": {"prefix": "5"}}, ".age.prefix: is for text and us_zip fields only, age is integer"),
    ({"zip": {"prefix": "606012"}},
     ".zip.prefix: must be the first digits of a ZIP code, one to five, not '606012'"),
    ({"zip": {"prefix": []}}, ".zip.prefix: is an empty list"),
    ({"zip": {"prefix": True}}, ".zip.prefix: must be text, not true or false"),
    ({"zip": {"prefix": "60", "in": ["53202"]}}, ".zip: no lead can match: what one part asks for, another excludes"),
    ({"occupation": {"prefix": " x"}}, ".occupation.prefix: no occupation begins with a blank"),
    ({"occupation": {"prefix": ""}}, ".occupation.prefix: is empty"),
    ({"occupation": {"prefix": "x" * 61}},
     ".occupation.prefix: no lead can match: occupation has at most 60 characters"),
    ({"born": {"matches": "^19"}},
     ".born.matches: is for enum, text, us_state and us_zip fields only, born is date"),
    ({"occupation": {"matches": "("}}, ".occupation.matches: is no pattern that can be used: missing ): ("),
    ({"occupation": {"matches": "(a)\\1"}},
     ".occupation.matches: is no pattern that can be used: invalid escape sequence: \\1"),
    ({"occupation": {"matches": "(?=a)"}},
     ".occupation.matches: is no pattern that can be used: invalid perl operator: (?="),
    ({"occupation": {"matches": "(a{1,100}){1,10}"}},
     (".occupation.matches: is no pattern that can be used: needs more than 500 steps a character: "
      "use smaller repetitions")),
    ({"occupation": {"matches": "x" * 201}}, ".occupation.matches: is longer than 200 characters"),
    ({"occupation": {"matches": "a\nb"}}, ".occupation.matches: holds a control character"),
    ({"occupation": {"matches": ""}}, ".occupation.matches: is empty"),
    ({"occupation": {"matches": ["a", None]}}, ".occupation.matches: is empty: must be text"),
    ({"credit": {"matches": "z"}}, ".credit: no lead can match: what one part asks for, another excludes"),
    ({"state": {"within_miles": 5, "of": "60601"}},
     ".state.within_miles: is for us_zip fields only, state is us_state"),
    ({"zip": {"within_miles": 5}},
     ".zip.of: is empty: must be a ZIP code or a point such as {lat: 41.88, lon: -87.62}"),
    ({"zip": {"within_miles": 0, "of": "60601"}},
     ".zip.within_miles: must be a number of miles above 0, up to 500, not 0"),
    ({"zip": {"within_miles": 501, "of": "60601"}},
     ".zip.within_miles: must be a number of miles above 0, up to 500, not 501"),
    ({"zip": {"within_miles": True, "of": "60601"}},
     ".zip.within_miles: must be a number of miles above 0, up to 500, not true or false"),
    ({"zip": {"within_miles": 5, "of": "6060"}}, ".zip.of: '6060' is no ZIP code"),
    ({"zip": {"within_miles": 5, "of": UNKNOWN_ZIP}},
     f".zip.of: nobody knows where '{UNKNOWN_ZIP}' is: take a ZIP code near it, or a point"),
    ({"zip": {"within_miles": 5, "of": {"lat": 91, "lon": 0}}},
     ".zip.of.lat: must be degrees from -90 to 90, with up to 8 digits after the point"),
    ({"zip": {"within_miles": 5, "of": {"lat": 9}}}, ".zip.of.lon: is missing"),
    ({"zip": {"within_miles": 5, "of": {"lat": 9, "lon": 9, "long": 9}}},
     ".zip.of.long: unknown key; did you mean lon?"),
    ({"zip": {"within_miles": 5, "of": {"lat": 0, "lon": 0}}},
     ".zip: no lead can match: there is no known ZIP code inside"),
    ({"zip": {"within_miles": 5, "of": "60601", "in": ["53202"]}},
     ".zip: no lead can match: what one part asks for, another excludes"),
    ({"age": {"or": []}}, ".age.or: is an empty list"),
    ({"age": {"or": {"min": 5}}}, ".age.or: must be a list of conditions, not a mapping"),
    ({"age": {"or": [{"min": 5}, {"min": 111}]}}, ".age.or[1]: no lead can match: age is at most 110"),
    ({"age": {"and": [{"max": 20}, {"min": 30}]}},
     ".age: no lead can match: what one part asks for, another excludes"),
    ({"age": {"not": {"exists": True}}}, ".age: no lead can match: what one part asks for, another excludes"),
    ({"age": {"min": 5, "not": {"min": 20, "max": 10}}},
     ".age.not: no lead can match: the least value 20 is above the greatest 10"),
    ({"or": []}, ".or: is an empty list"),
    ({"or": {"age": 5}}, ".or: must be a list of conditions, not a mapping"),
    ({"or": [{"age": 50}, {}]}, ".or[1]: is empty: it would say nothing"),
    ({"or": [{"age": 50}, 5]}, ".or[1]: must be a mapping of conditions by field, not a number"),
    ({"or": [{"age": 50}, {"agee": 5}]}, ".or[1].agee: there is no field 'agee'; did you mean age?"),
    ({"or": [{"phone": "x"}]}, ".or[0].phone: is sent with the post only: a filter can ask for fields of the ping"),
    ({"not": [{"age": 50}]}, ".not: must be a mapping of conditions by field, not a list"),
    ({"age": {"max": 20}, "and": [{"age": {"min": 30}}]},
     ": no lead can match: what one part asks for, another excludes"),
    ({"credit": {"not": ["poor", "fair"]}, "not": {"credit": ["good", "excellent"]}},
     ": no lead can match: what one part asks for, another excludes"),
    (DEEP, ".not.not.not.not.not: groups may be 4 deep at most"),
    ({"and": [{"or": [{"age": 20 + number}, {"state": "IL"}, {"credit": "good"}]} for number in range(5)]},
     ": leaves more than 100 alternatives when spelled out: put fewer conditions under or"),
    ({"or": [{"age": 50}] * 101}, ".or: holds more than 100 conditions"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "problem"), REFUSED)
def test_what_is_wrong_or_impossible_is_refused(written: dict[str, Any], problem: str) -> None:
    assert problems_of(changed(FILTER, written)) == [PATH + problem]


def test_an_enum_that_a_pattern_leaves_one_value_of_can_be_matched() -> None:
    assert problems_of(changed(FILTER, {"credit": {"matches": "oo", "not": ["good"]}})) == []


def test_a_field_that_is_called_like_a_group_goes_before_it() -> None:
    document = changed("verticals/auto_insurance/fields/or", {"type": "boolean", "in": "ping"})
    document["orders"]["northwind-il"]["filter"] = {"or": True}
    assert read(document).orders["northwind-il"].filter == {"or": Condition(frozenset({True}))}


def test_patterns_are_looked_for_in_short_texts_only() -> None:
    document = changed("verticals/auto_insurance/fields/occupation/max_length", 1001)
    document["orders"]["northwind-il"]["filter"] = {"occupation": {"matches": "a"}}
    (problem,) = problems_of(document)
    assert problem == (
        f"{PATH}.occupation.matches: is for texts of at most 1,000 characters: give occupation a smaller max_length"
    )


def test_the_different_patterns_on_a_field_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "PATTERNS_MAX", 2)
    same = {"or": [{"occupation": {"matches": ["a", "b"]}}, {"occupation": {"matches": "a"}}]}
    assert problems_of(changed(FILTER, same)) == []
    more = {"occupation": {"matches": ["a", "b", "c", "a"]}}
    assert problems_of(changed(FILTER, more)) == [
        f"{PATH}.occupation.matches: occupation has more than 2 different patterns"
    ]


def test_what_changes_in_a_group_is_shown_as_it_is_written() -> None:
    old = read(changed(FILTER, {"or": [{"age": 50}, {"zip": {"within_miles": 30, "of": "60601"}}]}))
    new = read(
        changed(
            FILTER,
            {
                "or": [{"age": {"not": {"min": 50}}}, {"zip": {"within_miles": "30.5", "of": POINT}}],
                "occupation": {"prefix": "dr", "matches": "^a"},
                "not": {"credit": {"exists": True}},
            },
        )
    )
    assert sorted(map(str, compare(old, new))) == [
        f"+ {PATH}.not: {{credit: {{exists: true}}}}",
        f'+ {PATH}.occupation: {{prefix: [dr], matches: ["^a"]}}',
        (
            f"~ {PATH}.or: [{{age: [50]}}, {{zip: {{within_miles: 30, of: 60601}}}}] -> "
            "[{age: {not: {min: 50}}}, {zip: {within_miles: 30.5, of: {lat: 42.0, lon: -88.0}}}]"
        ),
    ]
