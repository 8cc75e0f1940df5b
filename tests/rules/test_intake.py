"""Leads as sellers send them: what is kept, dropped, derived, held from the ping, and refused all at once."""

import copy
import string
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import FieldError
from exchange.rules.intake import (
    FIELD_NAME_LENGTH_MAX,
    HIDDEN_NAME,
    IGNORED_NAMES_MAX,
    LeadReader,
    PingLead,
    PostLead,
    WholeLead,
)
from exchange.values.vertical import Field, FieldType, Stage, Value, Vertical

PING, POST = Stage.PING, Stage.POST


def vertical(*items: Field) -> Vertical:
    return Vertical(key="test", fields={item.name: item for item in items})


def field(name: str, kind: FieldType, stage: Stage = PING, **settings_: Any) -> Field:
    return Field(name=name, type=kind, stage=stage, **settings_)


AUTO = vertical(
    field("zip", FieldType.US_ZIP, required=True),
    field("state", FieldType.US_STATE),
    field("age", FieldType.INTEGER, minimum=16, maximum=110),
    field("credit", FieldType.ENUM, values=("poor", "fair", "good", "excellent")),
    field("first_name", FieldType.TEXT, POST, required=True, max_length=80),
    field("phone", FieldType.PHONE, POST, required=True),
    field("email", FieldType.EMAIL, POST, required=True),
)
READER = LeadReader(AUTO)
RAW_PING: dict[str, object] = {"zip": "60601", "age": 41, "credit": "good"}
PING_VALUES: dict[str, Value] = {"zip": "60601", "state": "IL", "age": 41, "credit": "good"}
RAW_PERSON: dict[str, object] = {"first_name": " Ann ", "phone": "(312) 555-0123", "email": "Ann@Example.com"}
PERSON_VALUES: dict[str, Value] = {"first_name": "Ann", "phone": "+13125550123", "email": "ann@example.com"}


def codes(lead: PingLead | PostLead | WholeLead) -> list[tuple[str, str]]:
    return [(error.field, error.code) for error in lead.errors]


# --- the ping -----------------------------------------------------------------------------------------------------


def test_a_ping_is_read_in_catalogue_order_whatever_the_order_sent() -> None:
    lead = READER.read_ping({"credit": "good", "age": 41, "zip": "60601-1234", "state": "il"})

    assert list(lead.values.items()) == list(PING_VALUES.items())
    assert (lead.ignored, lead.errors) == ((), ())


def test_fields_of_the_post_and_unknown_ones_are_dropped_and_named_in_the_order_sent() -> None:
    lead = READER.read_ping({"utm": 1, "zip": "60601", "phone": "not even a number", "first_name": None, "x y": {}})

    assert lead.values == {"zip": "60601", "state": "IL"}
    assert lead.ignored == ("utm", "phone", "first_name", "x y")
    assert lead.errors == ()


def test_contact_data_cannot_be_a_ping_field_whatever_the_catalogue_says() -> None:
    reader = LeadReader(
        vertical(
            field("phone", FieldType.PHONE, required=True),
            field("email", FieldType.EMAIL),
            field("age", FieldType.INTEGER),
        )
    )
    raw: dict[str, object] = {"phone": "+13125550123", "email": "a@example.com", "age": 41}

    assert reader.read_ping(raw) == PingLead({"age": 41}, ("phone", "email"), ())
    assert reader.read_whole(raw).ping == {"age": 41}
    assert codes(reader.read_post({}, {"age": 41})) == [("phone", "required")]


def test_all_errors_come_at_once_in_catalogue_order() -> None:
    lead = READER.read_ping({"credit": "Good", "age": 15, "state": "Illinois"})

    assert codes(lead) == [
        ("zip", "required"),
        ("state", "invalid_state"),
        ("age", "too_small"),
        ("credit", "not_allowed"),
    ]
    assert lead.values == {}


def test_null_is_absent() -> None:
    assert READER.read_ping({"zip": "60601", "state": None, "age": None}).values == {"zip": "60601", "state": "IL"}
    assert codes(READER.read_ping({"zip": None})) == [("zip", "required")]


def test_blank_text_is_absent_where_text_is_optional() -> None:
    reader = LeadReader(vertical(field("a", FieldType.TEXT), field("b", FieldType.TEXT, required=True)))

    assert reader.read_ping({"a": " ", "b": "x"}) == PingLead({"b": "x"}, (), ())
    assert codes(reader.read_ping({"a": "x", "b": " "})) == [("b", "empty")]


# --- the state ----------------------------------------------------------------------------------------------------


def test_a_state_that_is_sent_is_taken_as_sent() -> None:
    assert READER.read_ping({"zip": "60601", "state": "wi"}).values["state"] == "WI"


def test_a_zip_code_without_a_state_leaves_it_absent() -> None:
    assert READER.read_ping({"zip": "00001"}).values == {"zip": "00001"}


def test_a_required_state_is_met_by_the_zip_code_or_missing() -> None:
    reader = LeadReader(vertical(field("state", FieldType.US_STATE, required=True), field("zip", FieldType.US_ZIP)))

    assert reader.read_ping({"zip": "60601"}) == PingLead({"state": "IL", "zip": "60601"}, (), ())
    assert list(reader.read_ping({"zip": "60601"}).values) == ["state", "zip"]
    assert codes(reader.read_ping({"zip": "00001"})) == [("state", "required")]
    assert codes(reader.read_ping({"zip": "x"})) == [("state", "required"), ("zip", "invalid_zip")]
    assert codes(reader.read_ping({})) == [("state", "required")]


@pytest.mark.parametrize(
    "items",
    [
        [field("zip", FieldType.US_ZIP), field("work_zip", FieldType.US_ZIP), field("state", FieldType.US_STATE)],
        [field("zip", FieldType.US_ZIP), field("state", FieldType.US_STATE), field("licence", FieldType.US_STATE)],
        [field("zip", FieldType.US_ZIP), field("state", FieldType.US_STATE, POST)],
        [field("zip", FieldType.US_ZIP, POST), field("state", FieldType.US_STATE)],
    ],
    ids=["two ZIP codes", "two states", "a state of the post", "a ZIP code of the post"],
)
def test_a_state_is_derived_only_where_it_is_clear_from_what(items: list[Field]) -> None:
    lead = LeadReader(vertical(*items)).read_whole({"zip": "60601"})

    assert lead.values == {"zip": "60601"}
    assert lead.errors == ()


# --- the post -----------------------------------------------------------------------------------------------------


def test_a_post_adds_its_fields_to_what_the_ping_had() -> None:
    lead = READER.read_post(RAW_PERSON, PING_VALUES)

    assert list(lead.values.items()) == [*PING_VALUES.items(), *PERSON_VALUES.items()]
    assert (lead.ignored, lead.changed, lead.errors) == ((), (), ())


def test_sending_a_ping_field_again_changes_nothing_if_it_says_the_same() -> None:
    again: dict[str, object] = {"zip": "60601-9999", "state": "il", "age": 41, "credit": None}

    assert READER.read_post({**again, **RAW_PERSON}, PING_VALUES).changed == ()


def test_the_pings_value_holds_and_the_change_is_named_in_catalogue_order() -> None:
    again: dict[str, object] = {"credit": "GOOD", "age": 42, "state": "WI", "zip": [1]}
    lead = READER.read_post({**again, **RAW_PERSON}, PING_VALUES)

    assert lead.values == {**PING_VALUES, **PERSON_VALUES}
    assert lead.changed == ("zip", "state", "age", "credit")
    assert lead.errors == ()


def test_a_ping_field_that_the_ping_left_out_is_taken_from_the_post() -> None:
    lead = READER.read_post({**RAW_PERSON, "age": 41}, {"zip": "60601", "state": "IL"})

    assert list(lead.values) == ["zip", "state", "age", "first_name", "phone", "email"]
    assert (lead.values["age"], lead.changed) == (41, ())


def test_a_ping_field_that_the_ping_left_out_and_the_post_spoils_stays_out() -> None:
    lead = READER.read_post({**RAW_PERSON, "age": "41"}, {"zip": "60601", "state": "IL"})

    assert "age" not in lead.values
    assert (lead.changed, lead.errors) == (("age",), ())


def test_a_state_is_derived_from_the_zip_code_that_holds() -> None:
    assert READER.read_post(RAW_PERSON, {"zip": "60601"}).values["state"] == "IL"
    lead = READER.read_post({**RAW_PERSON, "zip": "10001"}, {"zip": "60601"})
    assert (lead.values["zip"], lead.values["state"], lead.changed) == ("60601", "IL", ("zip",))


def test_errors_of_a_post_are_those_of_its_own_fields() -> None:
    lead = READER.read_post({"phone": "911", "email": None, "age": 7}, {})

    assert codes(lead) == [("first_name", "required"), ("phone", "invalid_phone"), ("email", "required")]


def test_a_post_drops_only_what_the_vertical_does_not_know() -> None:
    assert READER.read_post({"utm": 1, **RAW_PERSON, "zip": "60601", "y": None}, PING_VALUES).ignored == ("utm", "y")


def test_what_the_ping_had_holds_though_the_catalogue_has_changed_since() -> None:
    older: dict[str, Value] = {"zip": "60601", "state": "IL", "age": 12, "credit": "ruined", "gone": "kept"}
    lead = READER.read_post({**RAW_PERSON, "age": 12, "credit": "good"}, older)

    assert lead.values == {**older, **PERSON_VALUES}
    assert (lead.changed, lead.errors) == (("age", "credit"), ())


# --- the whole lead -----------------------------------------------------------------------------------------------


def test_a_whole_lead_is_read_with_the_part_that_a_ping_would_have_had() -> None:
    lead = READER.read_whole({"x": 1, **RAW_PERSON, **RAW_PING})

    assert list(lead.ping.items()) == list(PING_VALUES.items())
    assert list(lead.values.items()) == [*PING_VALUES.items(), *PERSON_VALUES.items()]
    assert (lead.ignored, lead.errors) == (("x",), ())


def test_a_whole_lead_has_the_errors_of_both_stages() -> None:
    lead = READER.read_whole({"age": 7, "email": "x"})

    assert codes(lead) == [
        ("zip", "required"),
        ("age", "too_small"),
        ("first_name", "required"),
        ("phone", "required"),
        ("email", "invalid_email"),
    ]


# --- the names of what is dropped ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["utm", "First Name", "a-b_c.d", "x" * FIELD_NAME_LENGTH_MAX, "line2", "lat_12.345"])
def test_plain_names_are_shown(name: str) -> None:
    assert READER.read_ping({**RAW_PING, name: 1}).ignored == (name,)


def test_long_names_are_cut() -> None:
    assert READER.read_ping({**RAW_PING, "x" * 60_000: 1}).ignored == ("x" * FIELD_NAME_LENGTH_MAX,)


@pytest.mark.parametrize(
    "name",
    ["", "ann@example.com", "ann%40example.com", "ann\uff20example.com", "+13125550123", "3125550123", "312-555-0123",
     "p3125550123", "\u0663125550123", "a\0b", "a\ud800b", "a\nb", "\u202ename", "<script>", "prénom", 'a"b',
     "a\x7f", "\U0001f469"],
)  # fmt: skip
def test_names_that_could_say_more_than_a_name_are_hidden(name: str) -> None:
    assert READER.read_ping({**RAW_PING, name: 1}).ignored == (HIDDEN_NAME,)


def test_no_more_than_fifty_are_named() -> None:
    names = [f"f{number}" for number in range(200)]

    assert READER.read_ping({**RAW_PING, **dict.fromkeys(names)}).ignored == tuple(names[:IGNORED_NAMES_MAX])


# --- whatever is sent ---------------------------------------------------------------------------------------------

any_text = st.text(st.characters(exclude_categories=()), max_size=10)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | any_text
good_values = st.sampled_from(
    ["60601", "60601-1234", "10001", "IL", "wi", 41, 7, "good", "Ann", "+13125550123", "3125550123", "a@example.com"]
)
json_values = good_values | scalars | st.lists(scalars, max_size=2) | st.dictionaries(any_text, scalars, max_size=2)
names = st.sampled_from([*AUTO.fields, "utm", "zip "]) | any_text
raw_leads = st.dictionaries(names, json_values, max_size=9)
plain_characters = set(string.ascii_letters + string.digits + "_-. ()")


def check_ignored(ignored: tuple[str, ...], raw: Mapping[str, object], known: set[str]) -> None:
    assert len(ignored) == len(raw.keys() - known)
    for name in ignored:
        assert len(name) <= FIELD_NAME_LENGTH_MAX
        assert set(name) <= plain_characters


@settings(max_examples=200, deadline=None)
@given(raw_leads)
def test_any_ping_is_read_and_keeps_nothing_that_was_dropped(raw: dict[str, object]) -> None:
    before = copy.deepcopy(raw)
    lead = READER.read_ping(raw)

    assert repr(raw) == repr(before)
    assert lead.values.keys() <= {"zip", "state", "age", "credit"}
    assert not lead.values.keys() & {error.field for error in lead.errors}
    check_ignored(lead.ignored, raw, {"zip", "state", "age", "credit"})
    if not lead.errors:
        assert READER.read_ping(lead.values) == PingLead(lead.values, (), ())


@settings(max_examples=200, deadline=None)
@given(raw_leads, raw_leads)
def test_any_post_keeps_what_the_ping_had_and_knows_only_the_catalogue(
    ping: dict[str, object], post: dict[str, object]
) -> None:
    held = READER.read_ping(ping).values
    lead = READER.read_post(post, held)

    assert held.items() <= lead.values.items()
    assert lead.values.keys() <= AUTO.fields.keys()
    assert list(lead.values) == [name for name in AUTO.fields if name in lead.values]
    assert {error.field for error in lead.errors} <= {"first_name", "phone", "email"}
    assert set(lead.changed) <= {"zip", "state", "age", "credit"} & post.keys()
    assert READER.read_post(lead.values, held).changed == ()
    check_ignored(lead.ignored, post, set(AUTO.fields))


@settings(max_examples=200, deadline=None)
@given(raw_leads)
def test_a_whole_lead_is_a_ping_and_its_post(raw: dict[str, object]) -> None:
    whole, ping = READER.read_whole(raw), READER.read_ping(raw)
    post = READER.read_post(raw, ping.values)

    assert whole.ping == ping.values
    assert whole.ignored == post.ignored
    assert set(whole.errors) == {*ping.errors, *post.errors}
    assert whole.values == post.values


# --- the reader itself --------------------------------------------------------------------------------------------


def test_a_reader_has_no_dictionary_and_nothing_in_it_can_be_changed() -> None:
    assert not hasattr(READER, "__dict__")
    assert all(isinstance(getattr(READER, name), tuple | frozenset) for name in LeadReader.__slots__)


def test_errors_are_made_when_the_reader_is() -> None:
    first, second = (READER.read_ping({"zip": raw, "age": raw}).errors for raw in ("a", "b"))

    assert all(isinstance(error, FieldError) for error in first)
    assert all(one is other for one, other in zip(first[:1], second[:1], strict=True))


def test_a_ping_of_twenty_fields_is_read_fast() -> None:
    kinds = [
        (FieldType.INTEGER, 41),
        (FieldType.ENUM, "good"),
        (FieldType.BOOLEAN, True),
        (FieldType.TEXT, "a text of no great length"),
    ]
    items = [field(f"f{n}", kinds[n % 4][0], values=("good",)) for n in range(18)]
    reader = LeadReader(vertical(field("zip", FieldType.US_ZIP), field("state", FieldType.US_STATE), *items))
    raw: dict[str, object] = {"zip": "60601", **{item.name: kinds[n % 4][1] for n, item in enumerate(items)}}
    assert len(reader.read_ping(raw).values) == 20

    best_s = min(_seconds_for_thousand(reader, raw) for _ in range(20))

    assert best_s / 1000 < 60e-6  # some 10 µs on the machine it was written on


def _seconds_for_thousand(reader: LeadReader, raw: dict[str, object]) -> float:
    started = time.perf_counter()
    for _ in range(1000):
        reader.read_ping(raw)
    return time.perf_counter() - started
