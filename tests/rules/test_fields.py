"""Each field type: what it accepts, how it normalises, and that nothing sent can break it or show in an error."""

import random
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import FieldError
from exchange.rules import fields
from exchange.rules.fields import FieldCode, Outcome, Reader, reader_for, required_error
from exchange.rules.geography import STATES
from exchange.values.vertical import Field, FieldType, Stage

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "fields.md"
CREDIT = ("poor", "fair", "good", "excellent")
NUL, LONE_SURROGATE = "a\0b", "a\ud800b"
EMOJI = "\U0001f469\u200d\U0001f469\u200d\U0001f467 \u20ac"
HEBREW = "\u202b\u05e9\u05dc\u05d5\u05dd\u202c"
UNSTORABLE = ["\0", "\ud800", "\udfff"]


def field(kind: FieldType, **settings_: Any) -> Field:
    return Field(name="f", type=kind, stage=Stage.PING, **settings_)


ALL_FIELDS = [
    field(FieldType.TEXT),
    field(FieldType.TEXT, required=True, max_length=8),
    field(FieldType.INTEGER),
    field(FieldType.INTEGER, minimum=16, maximum=110),
    field(FieldType.BOOLEAN),
    field(FieldType.DATE),
    field(FieldType.DATE, minimum="1900-01-01", maximum="2030-12-31"),
    field(FieldType.ENUM, values=CREDIT),
    field(FieldType.US_ZIP),
    field(FieldType.US_STATE),
    field(FieldType.PHONE),
    field(FieldType.PHONE, region="GB"),
    field(FieldType.EMAIL),
    field(FieldType.TEXT, multiple=True),
    field(FieldType.ENUM, values=CREDIT, multiple=True, required=True),
]


def read(item: Field, raw: object) -> Outcome:
    return reader_for(item)(raw)


def code(item: Field, raw: object) -> str:
    outcome = read(item, raw)
    assert isinstance(outcome, FieldError), "a value was taken that should not be"
    assert outcome.field == item.name
    return outcome.code


# --- several values -----------------------------------------------------------------------------------------------


def test_several_values_are_read_one_by_one_and_kept_once_in_their_order() -> None:
    assert read(field(FieldType.TEXT, multiple=True), [" b ", "a", "b", "", " "]) == ["b", "a"]
    assert read(field(FieldType.INTEGER, multiple=True, maximum=9), [3, 1, 3]) == [3, 1]
    assert read(field(FieldType.US_STATE, multiple=True), ["il", "IL", "wi"]) == ["IL", "WI"]


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [("a", "wrong_type"), ({"a": 1}, "wrong_type"), ([1], "wrong_type"), ([None], "wrong_type"),
     ([["a"]], "wrong_type"), (["a", NUL], "invalid_text"), (["x" * 9], "too_long"),
     (["a"] * (fields.SEVERAL_MAX + 1), "too_many")],
)  # fmt: skip
def test_several_values_of_which_one_is_wrong_are_refused(raw: object, wanted: str) -> None:
    assert code(field(FieldType.TEXT, multiple=True, max_length=8), raw) == wanted


def test_an_empty_list_is_absent() -> None:
    assert read(field(FieldType.TEXT, multiple=True), []) is None
    assert code(field(FieldType.TEXT, multiple=True, required=True), [" "]) == "empty"


# --- one type after the other -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (FieldType.TEXT, [41, 4.1, True, [], {}, ["a"]]),
        (FieldType.INTEGER, ["41", "", 41.0, 1e3, float("nan"), True, False, [], {}]),
        (FieldType.BOOLEAN, [0, 1, "true", "", 1.0, [], {}]),
        (FieldType.DATE, [20240229, 2024.0, True, [], {}]),
        (FieldType.ENUM, [1, True, 1.5, [], {}, ["good"]]),
        (FieldType.US_ZIP, [60601, 60601.0, True, [], {}]),
        (FieldType.US_STATE, [17, True, 1.0, [], {}]),
        (FieldType.PHONE, [13125550123, 1.3e10, True, [], {}]),
        (FieldType.EMAIL, [1, True, 1.0, [], {"email": "a@example.com"}]),
    ],
)
def test_json_types_are_strict(kind: FieldType, wrong: list[object]) -> None:
    assert {code(field(kind, values=CREDIT), raw) for raw in wrong} == {FieldCode.WRONG_TYPE}


def test_text_is_stripped_and_otherwise_kept_as_sent() -> None:
    for text in ("Ann", "Zoë O'Neil-Ñandú", EMOJI, HEBREW, "a\tb\nc", "李小龙", "e\u0301"):
        assert read(field(FieldType.TEXT), text) == text
        assert read(field(FieldType.TEXT), f" \t{text}\u00a0\r\n") == text


def test_text_is_measured_in_characters_after_stripping() -> None:
    assert read(field(FieldType.TEXT, max_length=3), "  👍👍👍 ") == "👍👍👍"
    assert code(field(FieldType.TEXT, max_length=3), "abcd") == FieldCode.TOO_LONG
    assert read(field(FieldType.TEXT), "x" * fields.TEXT_LENGTH_MAX) == "x" * fields.TEXT_LENGTH_MAX
    assert code(field(FieldType.TEXT), "x" * (fields.TEXT_LENGTH_MAX + 1)) == FieldCode.TOO_LONG


@pytest.mark.parametrize("blank", ["", " ", "\t\r\n", "\u00a0\u3000"])
def test_blank_text_is_absent_and_refused_where_text_is_required(blank: str) -> None:
    assert read(field(FieldType.TEXT), blank) is None
    assert code(field(FieldType.TEXT, required=True), blank) == FieldCode.EMPTY


@pytest.mark.parametrize("kind", [FieldType.TEXT, FieldType.EMAIL])
@pytest.mark.parametrize("raw", [NUL, LONE_SURROGATE, "\0", "\udfff", "é\0", "é\udc80"])
def test_nul_and_lone_surrogates_are_named_as_such(kind: FieldType, raw: str) -> None:
    assert code(field(kind), raw) == FieldCode.INVALID_TEXT


@pytest.mark.parametrize("item", ALL_FIELDS, ids=lambda item: item.type.value)
@pytest.mark.parametrize("part", UNSTORABLE)
def test_nul_and_lone_surrogates_pass_nowhere(item: Field, part: str) -> None:
    for valid in ("good", "IL", "60601", "2024-02-29", "+13125550123", "a@example.com", "x"):
        for raw in (part, part + valid, valid + part, valid[:1] + part + valid[1:]):
            assert isinstance(read(item, raw), FieldError)


def test_integers_are_bounded_inclusively() -> None:
    age = field(FieldType.INTEGER, minimum=16, maximum=110)

    assert [read(age, number) for number in (16, 41, 110)] == [16, 41, 110]
    assert code(age, 15) == FieldCode.TOO_SMALL
    assert code(age, 111) == FieldCode.TOO_LARGE


def test_integers_never_leave_64_bits_whatever_the_bounds() -> None:
    for item in (field(FieldType.INTEGER), field(FieldType.INTEGER, minimum=-(10**30), maximum=10**30)):
        assert read(item, 2**63 - 1) == 2**63 - 1
        assert read(item, -(2**63)) == -(2**63)
        assert code(item, 2**63) == FieldCode.TOO_LARGE
        assert code(item, -(2**63) - 1) == FieldCode.TOO_SMALL


def test_zero_is_a_bound_like_any_other() -> None:
    item = field(FieldType.INTEGER, minimum=0, maximum=0)

    assert read(item, 0) == 0
    assert [code(item, -1), code(item, 1)] == [FieldCode.TOO_SMALL, FieldCode.TOO_LARGE]


def test_booleans_are_true_and_false() -> None:
    assert read(field(FieldType.BOOLEAN), raw=True) is True
    assert read(field(FieldType.BOOLEAN), raw=False) is False


def test_dates_are_days_of_the_calendar() -> None:
    for day in ("2024-02-29", "1985-04-03", "0001-01-01", "9999-12-31"):
        assert read(field(FieldType.DATE), day) == day


@pytest.mark.parametrize(
    "raw",
    [
        "2023-02-29", "2024-02-30", "2024-13-01", "2024-00-10", "0000-01-01", "2024-1-1", "24-01-01", "20240229",
        "2024-W09-4", "2024W094", "2024-060", "2024-02-29T00:00", "2024-02-29 ", " 2024-02-29", "2024/02/29",
        "02/29/2024", "\u0662\u0660\u0662\u0664-02-29", "2024-02-2\uff19", "", "today", EMOJI, "-024-02-29", "9" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_date(raw: str) -> None:
    assert code(field(FieldType.DATE), raw) == FieldCode.INVALID_DATE


@pytest.mark.parametrize(
    ("raw", "normalised"),
    [
        ("2026-01-31T14:00:00Z", "2026-01-31T14:00:00Z"),
        ("2026-01-31t08:00:00.999999999-06:00", "2026-01-31T14:00:00Z"),
        ("2024-02-29T23:30:00-01:00", "2024-03-01T00:30:00Z"),
        ("0001-01-01T00:00:00z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59Z"),
    ],
)
def test_times_are_read_in_any_zone_and_kept_in_utc(raw: str, normalised: str) -> None:
    item = field(FieldType.DATE_TIME)
    assert read(item, raw) == normalised
    assert read(item, normalised) == normalised


@pytest.mark.parametrize(
    "raw",
    [
        "2026-01-31", "2026-01-31T14:00:00", "2026-01-31T14:00Z", "2026-01-31 14:00:00Z", "2026-02-30T14:00:00Z",
        "2026-01-31T24:00:01Z", "2026-01-31T14:00:60Z", "2026-01-31T14:00:00+2500", "2026-01-31T14:00:00+25:00",
        "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-01-31T14:00:00.Z", "2026-01-31T14:00:00Z ",
        "20260131T140000Z", "2026-01-31T14:00:00\u0662Z", "", "now", "1769868000", EMOJI,
    ],
)  # fmt: skip
def test_what_is_no_time_with_its_zone(raw: str) -> None:
    assert code(field(FieldType.DATE_TIME), raw) == FieldCode.INVALID_DATE_TIME


def test_times_are_bounded_inclusively() -> None:
    item = field(FieldType.DATE_TIME, minimum="2026-01-01T00:00:00Z", maximum="2026-01-31T12:00:00Z")
    assert read(item, "2025-12-31T23:00:00-01:00") == "2026-01-01T00:00:00Z"
    assert code(item, "2025-12-31T23:59:59Z") == FieldCode.TOO_SMALL
    assert read(item, "2026-01-31T12:00:00Z") == "2026-01-31T12:00:00Z"
    assert code(item, "2026-01-31T12:00:01Z") == FieldCode.TOO_LARGE


def test_dates_are_bounded_inclusively() -> None:
    item = field(FieldType.DATE, minimum="1990-01-01", maximum="2000-12-31")

    assert read(item, "1990-01-01") == "1990-01-01"
    assert read(item, "2000-12-31") == "2000-12-31"
    assert code(item, "1989-12-31") == FieldCode.TOO_SMALL
    assert code(item, "2001-01-01") == FieldCode.TOO_LARGE


def test_enums_are_exact() -> None:
    item = field(FieldType.ENUM, values=CREDIT)

    assert [read(item, value) for value in CREDIT] == list(CREDIT)
    for raw in ("Good", " good", "good ", "goo", "", "góod", EMOJI, NUL, LONE_SURROGATE):
        assert code(item, raw) == FieldCode.NOT_ALLOWED


def test_an_enum_names_its_values_but_not_hundreds_of_them() -> None:
    few, many = (
        read(field(FieldType.ENUM, values=values), "?") for values in (CREDIT, tuple(str(n) for n in range(1000)))
    )

    assert isinstance(few, FieldError)
    assert isinstance(many, FieldError)
    assert few.detail == "Must be exactly one of: poor, fair, good, excellent."
    assert len(many.detail) < 150


def test_zip_codes_are_cut_to_five_digits() -> None:
    for raw, value in {"60601": "60601", "60601-1234": "60601", "00501": "00501", "99950-0000": "99950"}.items():
        assert read(field(FieldType.US_ZIP), raw) == value


@pytest.mark.parametrize(
    "raw",
    ["", "6060", "606011", "60601-", "60601-123", "60601-12345", "606011234", "60601 1234", " 60601", "60601\n",
     "6060a", "\uff16\uff10\uff16\uff10\uff11", "\u0666\u0660\u0666\u0660\u0661", "6060\u00b2", "-0601", EMOJI],
)  # fmt: skip
def test_what_is_no_zip_code(raw: str) -> None:
    assert code(field(FieldType.US_ZIP), raw) == FieldCode.INVALID_ZIP


def test_states_are_upper_cased() -> None:
    for state in STATES:
        for raw in (state, state.lower(), state.title(), state.swapcase(), state[0].lower() + state[1]):
            assert read(field(FieldType.US_STATE), raw) == state


@pytest.mark.parametrize(
    "raw", ["", "I", "XX", "ILL", "Illinois", "IL ", " IL", "\u0131l", "\ufb02", "\uff29\uff2c", "UM", "ON", EMOJI]
)
def test_what_is_no_state(raw: str) -> None:
    assert code(field(FieldType.US_STATE), raw) == FieldCode.INVALID_STATE


@pytest.mark.parametrize(
    "raw",
    ["+13125550123", "3125550123", "13125550123", "312-555-0123", "(312) 555-0123", "+1 (312) 555.0123", "312/555/0123",
     "1-312-555-0123", "  +1 312 555 0123\n", "\u202a+1 312-555-0123\u202c", "312\u2011555\u20110123",
     "312\u00a0555\u00a00123", "0113125550123"[3:], "+1312 555 0123"],
)  # fmt: skip
def test_phone_numbers_become_e164(raw: str) -> None:
    assert read(field(FieldType.PHONE), raw) == "+13125550123"


@pytest.mark.parametrize(
    "raw",
    ["", " ", "5550123", "911", "0000000000", "1234567890", "+19995550123", "+1312555012", "+131255501234",
     "312-FLOWERS", "312-555-0123 ext 5", "312-555-0123#5", "312-555-0123;ext=5", "tel:+13125550123",
     "call 312-555-0123", "\u0663125550123", "\uff13125550123", "+", "()", "3125550123/3125550124", EMOJI, HEBREW],
)  # fmt: skip
def test_what_is_no_phone_number(raw: str) -> None:
    assert code(field(FieldType.PHONE), raw) == FieldCode.INVALID_PHONE


def test_fictional_numbers_are_taken_in_every_area_code() -> None:
    us_codes = [
        area
        for area in range(200, 990)
        if phonenumbers.region_code_for_number(phonenumbers.parse(f"+1{area}2345678")) == "US"
        and area not in {500, 521, 522, 523, 524, 525, 526, 527, 528, 529, 533, 544, 566, 577, 588}  # nobody's town
    ]
    assert len(us_codes) > 300
    for area in us_codes:
        for last in ("0100", "0123", "0199"):
            assert read(field(FieldType.PHONE), f"{area}-555-{last}") == f"+1{area}555{last}"


def test_the_region_reads_national_numbers_and_any_country_is_taken() -> None:
    assert read(field(FieldType.PHONE, region="GB"), "020 7946 0958") == "+442079460958"
    assert read(field(FieldType.PHONE, region="GB"), "+13125550123") == "+13125550123"
    assert read(field(FieldType.PHONE), "+44 20 7946 0958") == "+442079460958"
    assert code(field(FieldType.PHONE), "020 7946 0958") == FieldCode.INVALID_PHONE
    assert code(field(FieldType.PHONE, region="??"), "3125550123") == FieldCode.INVALID_PHONE


def test_numbers_of_every_region_read_the_same_again() -> None:
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number(region)
        assert example is not None
        national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
        value = read(field(FieldType.PHONE, region=region), national)
        assert isinstance(value, str)
        assert read(field(FieldType.PHONE), value) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("jane@example.com", "jane@example.com"),
        ("  Jane.Doe+Quote@Mail.Example.COM\n", "jane.doe+quote@mail.example.com"),
        ("a@demo.example", "a@demo.example"),
        ("a@demo.test", "a@demo.test"),
        ("a@example.org", "a@example.org"),
        ("o'neil_99@example.net", "o'neil_99@example.net"),
        ("x@bücher.example", "x@bücher.example"),
        ("x@XN--BCHER-KVA.example", "x@bücher.example"),
        ("Zoë@example.com", "zoë@example.com"),
        ("用户@例子.example", "用户@例子.example"),
    ],
)
def test_email_addresses_are_lower_cased(raw: str, value: str) -> None:
    assert read(field(FieldType.EMAIL), raw) == value


def plainly_read(text: str, region: str) -> str | None:
    """What the library makes of a phone number, asked for all of it."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    is_valid = phonenumbers.is_valid_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if is_valid else None


AREAS = [f"{area}" for area in range(200, 1000)]


@given(
    st.sampled_from(["+1", "+1 ", "+1-", "+1.", "1", "1-", "1 ", "", "+", "011", "+44", "001"]),
    st.sampled_from(AREAS) | st.from_regex("[0-9]{3}", fullmatch=True),
    st.from_regex("[0-9]{7}", fullmatch=True),
    st.sampled_from(["{}{}{}", "{}-{}-{}", "({}) {}-{}", "({}){}{}", "{}.{}.{}", "{} {} {}", "({})-{}-{}", "{}/{}{}"]),
    st.sampled_from(["US", "CA", "BS", "GB", "DE"]),
)
@settings(max_examples=400)
def test_usual_numbers_are_read_as_the_library_reads_them(
    before: str, area: str, rest: str, written: str, region: str
) -> None:
    raw = before + written.format(area, rest[:3], rest[3:])
    value = read(field(FieldType.PHONE, region=region), raw)
    assert (value if isinstance(value, str) else None) == plainly_read(raw, region)


def test_usual_numbers_of_every_area_and_exchange_are_read_as_the_library_reads_them() -> None:
    luck = random.Random(1)  # noqa: S311  # luck need not be secret
    for area in AREAS:
        for exchange in ("555", f"{luck.randint(0, 199):03d}", f"{luck.randint(200, 999)}"):
            raw = f"{area}{exchange}{luck.randint(0, 9_999):04d}"
            value = read(field(FieldType.PHONE), raw)
            assert (value if isinstance(value, str) else None) == plainly_read(raw, "US")


@pytest.mark.parametrize(
    "raw",
    ["", " ", "jane", "@example.com", "jane@", "jane@example", "jane@@example.com", "jane@example..com",
     "j ane@example.com", "jane@exa mple.com", ".jane@example.com", "Jane <jane@example.com>", '"j d"@example.com',
     "jane@[127.0.0.1]", "jane@127.0.0.1", "jane@localhost", "jane@example.com, b@example.com", "jane@-example.com",
     "jane\n@example.com", "jane@example.invalid", EMOJI, HEBREW, "mailto:jane@example.com?x"],
)  # fmt: skip
def test_what_is_no_email_address(raw: str) -> None:
    assert code(field(FieldType.EMAIL), raw) == FieldCode.INVALID_EMAIL


@pytest.mark.parametrize(("kind", "limit"), [(FieldType.EMAIL, fields.EMAIL_LENGTH_MAX), (FieldType.PHONE, 40)])
def test_long_contact_data_never_reaches_the_libraries(
    kind: FieldType, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(fields, "validate_email", unreachable)
    monkeypatch.setattr(phonenumbers, "parse", unreachable)

    for raw in ("1" * (limit + 1), "a@" * 30_000, "+" * 60_000):
        assert code(field(kind), raw) == FieldCode.TOO_LONG


def test_a_field_that_is_required_says_so() -> None:
    assert required_error(field(FieldType.DATE)) == FieldError("f", "required", "This field is required.")


# --- whatever is sent ---------------------------------------------------------------------------------------------

any_text = st.text(st.characters(exclude_categories=()), max_size=30)  # lone surrogates as well
near_misses = st.one_of(
    st.text(" +()./-0123456789", min_size=7, max_size=20),
    st.from_regex(r"[0-9]{4,5}(-[0-9]{3,4})?", fullmatch=True),
    st.dates().map(str),
    st.builds("{}@{}".format, any_text, st.sampled_from(["example.com", "b\u00fccher.example", "a.test", "[::1]"])),
    st.builds("a@{}.com".format, any_text),
    st.builds("{}@{}.{}".format, *[st.text("aA0.-_+'\u00c9\u0130\u03a3\u05d0", max_size=9)] * 3),
    st.sampled_from([*STATES, *CREDIT, "60601", "+13125550123"]),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | any_text | near_misses
json_values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(any_text, scalars, max_size=2)
READERS: list[tuple[Field, Reader]] = [(item, reader_for(item)) for item in ALL_FIELDS]
readers = st.sampled_from(READERS)


def known_errors(item: Field) -> list[FieldError]:
    """Every error that a field's reader can give, by giving it what is known to be wrong."""
    known_bad = [
        [], 2**70, -(2**70), "", "?", NUL, "x" * 5000, "a@" * 500, "0001-01-01", "9999-12-31", "6", "+", "60601-", "a@",
    ]  # fmt: skip
    several = [*([raw] for raw in known_bad), ["a"] * (fields.SEVERAL_MAX + 1), {}] if item.multiple else []
    outcomes = [read(item, raw) for raw in (*known_bad, *several)]
    return [outcome for outcome in outcomes if isinstance(outcome, FieldError)]


ERRORS = {id(item): known_errors(item) for item in ALL_FIELDS}


@settings(max_examples=600, deadline=None)
@given(readers, json_values)
def test_anything_yields_an_error_written_beforehand_or_a_value_that_reads_as_itself(
    reader: tuple[Field, Reader], raw: object
) -> None:
    item, read_ = reader
    outcome = read_(raw)

    if isinstance(outcome, FieldError):
        assert outcome in ERRORS[id(item)]  # so it cannot hold anything of the value
    elif outcome is None:
        assert item.type is FieldType.TEXT or raw == []
        assert not item.required
    else:
        values = outcome if item.multiple and isinstance(outcome, list) else [outcome]
        assert {type(value) for value in values} == {_TYPES.get(item.type, str)}
        assert isinstance(outcome, list) is item.multiple
        assert read_(outcome) == outcome


_TYPES: dict[FieldType, type] = {FieldType.INTEGER: int, FieldType.BOOLEAN: bool}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([reader for item, reader in READERS if item.type is FieldType.EMAIL]), near_misses)
def test_normalised_addresses_are_lower_case_and_storable(read_email: Reader, raw: str) -> None:
    value = read_email(raw)

    if isinstance(value, str):
        assert not set(value) & set(ascii_uppercase)
        assert "\0" not in value
        assert value.encode()


@settings(max_examples=500, deadline=None)
@given(
    st.from_regex(r"\A[a-zA-Z0-9._+@' -]{1,70}\Z"),
    st.sampled_from(["example.com", "Example.COM", "xn--bcher-kva.example", "a-b.test", "example", "gmail.com"]),
)
def test_an_address_of_a_known_domain_is_read_as_one_of_a_new(local: str, domain: str) -> None:
    read_again = reader_for(field(FieldType.EMAIL))
    read_again(f"a@{domain}")

    assert read_again(f"{local}@{domain}") == reader_for(field(FieldType.EMAIL))(f"{local}@{domain}")


@pytest.mark.parametrize("item", ALL_FIELDS, ids=lambda item: item.type.value)
def test_details_are_sentences_without_the_value(item: Field) -> None:
    for error in ERRORS[id(item)]:
        assert error.detail[0].isupper()
        assert error.detail.endswith(".")
    for raw in ("Wxyz-Secret-99@", "7777777", 7777777, "jane.secret@nowhere", "7777-77-77", "x" * 2000, ["Secret"]):
        outcome = read(item, raw)
        if isinstance(outcome, FieldError):
            assert "ecret" not in outcome.detail
            assert "7777" not in outcome.detail
            assert "xx" not in outcome.detail


# --- the reference ------------------------------------------------------------------------------------------------


def test_every_type_every_code_and_every_limit_is_in_the_reference() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    for word in [*FieldType, *FieldCode]:
        assert f"`{word.value}`" in text, word
    for limit in (fields.TEXT_LENGTH_MAX, fields.EMAIL_LENGTH_MAX, fields.PHONE_LENGTH_MAX):
        assert f"{limit} characters" in text, limit


def test_the_reference_names_no_code_that_does_not_exist() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").split("## Error codes")[1].split("\n## ")[0]
    named = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]

    assert named == [code_.value for code_ in FieldCode]
