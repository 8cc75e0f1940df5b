"""One reader per field type: a raw JSON value in, the normalised value or the field's error out.

A reader is compiled once per field, with every error it can give made in advance: no detail can repeat a value, and
nothing is built on the good path. What each type accepts is written down in `docs/reference/fields.md`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from types import MappingProxyType

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from exchange.errors import FieldError
from exchange.rules.geography import STATES
from exchange.values.vertical import Field, FieldType, Single, Value

TEXT_LENGTH_MAX = 1000
"""Characters of a text field that sets no `max_length` of its own."""

SEVERAL_MAX = 50
"""Values of a field that may have several."""

EMAIL_LENGTH_MAX = 254
"""Characters of an e-mail address (RFC 5321, 4.5.3.1.3, less the angle brackets)."""

PHONE_LENGTH_MAX = 40
"""Characters of a phone number as written; E.164 itself has at most 15 digits."""

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
"""What an integer field holds whatever its own bounds: a bigint of Postgres."""

DATE_MIN, DATE_MAX = date.min.isoformat(), date.max.isoformat()

TIME_MIN, TIME_MAX = f"{DATE_MIN}T00:00:00Z", f"{DATE_MAX}T23:59:59Z"

_NAMED_VALUES_MAX = 20
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_ZIP_PLUS_4 = re.compile("([0-9]{5})-[0-9]{4}")
_USUAL_EMAIL = re.compile(r"(?=[^@]{1,64}@)[0-9A-Za-z_+-]+(?:\.[0-9A-Za-z_+-]+)*@([0-9A-Za-z.-]+)")
"""Addresses of which nothing but the domain can be wrong."""
_DOMAINS_KNOWN_MAX = 1_000
_PHONE_TEXT = re.compile("[0-9+()./ \u00a0\u2010-\u2015\u2212-]+")
_USUAL_PHONE = re.compile(r"\+1([2-9][0-9]{9})")
_USUAL_US_PHONE = re.compile(
    r"(?:\+?1[ .-]?)?(?:\(([2-9][0-9]{2})\) ?|([2-9][0-9]{2})[ .-]?)([0-9]{3})[ .-]?([0-9]{4})"
)
"""Numbers of North America that can only be read one way, anywhere and in the United States."""
_PHONE_EDGES = " \t\r\n\u00a0\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_STATE_BY_TEXT: Mapping[str, str] = MappingProxyType(
    {
        first + second: state
        for state in STATES
        for first in state[0] + state[0].lower()
        for second in state[1] + state[1].lower()
    }
)


class FieldCode(StrEnum):
    """Why a field of a lead cannot be taken. The list is closed and documented."""

    REQUIRED = "required"
    WRONG_TYPE = "wrong_type"
    EMPTY = "empty"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    NOT_ALLOWED = "not_allowed"
    INVALID_TEXT = "invalid_text"
    INVALID_DATE = "invalid_date"
    INVALID_DATE_TIME = "invalid_date_time"
    INVALID_ZIP = "invalid_zip"
    INVALID_STATE = "invalid_state"
    INVALID_PHONE = "invalid_phone"
    INVALID_EMAIL = "invalid_email"


Outcome = Value | FieldError | None
"""What a reader makes of a value that is not null. None means absent: blank text where none is asked for."""

Reader = Callable[[object], Outcome]


def reader_for(item: Field) -> Reader:
    """Compiles the reader of one field. It never raises, whatever it is given; null is its caller's business."""
    read = _COMPILERS[item.type](item)
    return _several(item, read) if item.multiple else read


def required_error(item: Field) -> FieldError:
    """The error of a required field that is absent or null."""
    return FieldError(item.name, FieldCode.REQUIRED, "This field is required.")


def _not_a_string(item: Field) -> FieldError:
    return FieldError(item.name, FieldCode.WRONG_TYPE, "Must be a JSON string.")


def _unstorable(item: Field) -> FieldError:
    return FieldError(item.name, FieldCode.INVALID_TEXT, "Must not hold NUL or a lone surrogate.")


def _too_long(item: Field, limit: int) -> FieldError:
    return FieldError(item.name, FieldCode.TOO_LONG, f"Must have at most {limit} characters.")


def _several(item: Field, read_one: Reader) -> Reader:
    """Reads a list: each value once, in the order in which they come; the first that is wrong tells why."""
    wrong_type = FieldError(item.name, FieldCode.WRONG_TYPE, "Must be a JSON list of values.")
    too_many = FieldError(item.name, FieldCode.TOO_MANY, f"Must have at most {SEVERAL_MAX} values.")
    empty = FieldError(item.name, FieldCode.EMPTY, "Must not be empty.") if item.required else None

    def read(raw: object) -> Outcome:
        if not isinstance(raw, list):
            return wrong_type
        if len(raw) > SEVERAL_MAX:
            return too_many
        found: list[Single] = []
        for one in raw:
            outcome = read_one(one)
            if isinstance(outcome, FieldError):
                return outcome
            if isinstance(outcome, str | int) and outcome not in found:
                found.append(outcome)
        return found or empty

    return read


def _text(item: Field) -> Reader:
    limit = TEXT_LENGTH_MAX if item.max_length is None else item.max_length
    wrong_type, unstorable, too_long = _not_a_string(item), _unstorable(item), _too_long(item, limit)
    blank = FieldError(item.name, FieldCode.EMPTY, "Must not be blank.") if item.required else None
    find_unstorable = _UNSTORABLE.search  # slow on long texts, and ASCII cannot hold a surrogate

    def read(raw: object) -> Outcome:
        if not isinstance(raw, str):
            return wrong_type
        text = raw.strip()
        if not text:
            return blank
        if len(text) > limit:
            return too_long
        if "\0" in text or not (text.isascii() or find_unstorable(text) is None):
            return unstorable
        return text

    return read


def _integer(item: Field) -> Reader:
    least = max(INTEGER_MIN, item.minimum) if isinstance(item.minimum, int) else INTEGER_MIN
    most = min(INTEGER_MAX, item.maximum) if isinstance(item.maximum, int) else INTEGER_MAX
    wrong_type = FieldError(item.name, FieldCode.WRONG_TYPE, "Must be a whole JSON number without point or exponent.")
    too_small = FieldError(item.name, FieldCode.TOO_SMALL, f"Must be at least {least}.")
    too_large = FieldError(item.name, FieldCode.TOO_LARGE, f"Must be at most {most}.")

    def read(raw: object) -> Outcome:
        if type(raw) is not int:  # a JSON true is an int to isinstance
            return wrong_type
        if raw < least:
            return too_small
        return raw if raw <= most else too_large

    return read


def _boolean(item: Field) -> Reader:
    wrong_type = FieldError(item.name, FieldCode.WRONG_TYPE, "Must be true or false.")

    def read(raw: object) -> Outcome:
        return raw if isinstance(raw, bool) else wrong_type

    return read


def _date(item: Field) -> Reader:
    least = item.minimum if isinstance(item.minimum, str) else DATE_MIN
    most = item.maximum if isinstance(item.maximum, str) else DATE_MAX
    wrong_type = _not_a_string(item)
    invalid = FieldError(item.name, FieldCode.INVALID_DATE, "Must be a day of the calendar, written YYYY-MM-DD.")
    too_small = FieldError(item.name, FieldCode.TOO_SMALL, f"Must not be before {least}.")
    too_large = FieldError(item.name, FieldCode.TOO_LARGE, f"Must not be after {most}.")

    def read(raw: object) -> Outcome:
        if not isinstance(raw, str):
            return wrong_type
        try:
            day = date.fromisoformat(raw).isoformat()
        except ValueError:
            return invalid
        if day != raw:  # week dates and the form without hyphens are ISO 8601, too
            return invalid
        if day < least:
            return too_small
        return day if day <= most else too_large

    return read


def _date_time(item: Field) -> Reader:
    least = item.minimum if isinstance(item.minimum, str) else TIME_MIN
    most = item.maximum if isinstance(item.maximum, str) else TIME_MAX
    wrong_type = _not_a_string(item)
    invalid = FieldError(
        item.name, FieldCode.INVALID_DATE_TIME, "Must be a time with its zone, such as 2026-01-31T08:00:00Z."
    )
    too_small = FieldError(item.name, FieldCode.TOO_SMALL, f"Must not be before {least}.")
    too_large = FieldError(item.name, FieldCode.TOO_LARGE, f"Must not be after {most}.")
    parse = _TIME.fullmatch

    def read(raw: object) -> Outcome:
        if not isinstance(raw, str):
            return wrong_type
        match = parse(raw)
        if match is None:
            return invalid
        day, clock, zone = match.groups()
        try:
            found = datetime.fromisoformat(f"{day}T{clock}{zone.upper()}").astimezone(UTC)
        except (ValueError, OverflowError):
            return invalid
        time = f"{found.replace(tzinfo=None).isoformat()}Z"
        if time < least:
            return too_small
        return time if time <= most else too_large

    return read


def _enum(item: Field) -> Reader:
    allowed = frozenset(item.values)
    named = ", ".join(item.values[:_NAMED_VALUES_MAX]) + (", ..." if len(item.values) > _NAMED_VALUES_MAX else ".")
    wrong_type = _not_a_string(item)
    not_allowed = FieldError(item.name, FieldCode.NOT_ALLOWED, f"Must be exactly one of: {named}")

    def read(raw: object) -> Outcome:
        if not isinstance(raw, str):
            return wrong_type
        return raw if raw in allowed else not_allowed

    return read


def _us_zip(item: Field) -> Reader:
    wrong_type = _not_a_string(item)
    invalid = FieldError(item.name, FieldCode.INVALID_ZIP, "Must be a ZIP code: five digits, or ZIP+4 with a hyphen.")
    match_plus_4 = _ZIP_PLUS_4.fullmatch

    def read(raw: object) -> Outcome:
        if not isinstance(raw, str):
            return wrong_type
        if len(raw) == 5 and raw.isascii() and raw.isdigit():
            return raw
        match = match_plus_4(raw)
        return match[1] if match is not None else invalid

    return read


def _us_state(item: Field) -> Reader:
    wrong_type = _not_a_string(item)
    invalid = FieldError(item.name, FieldCode.INVALID_STATE, "Must be the two letters of a US state or territory.")
    state_of = _STATE_BY_TEXT.get

    def read(raw: object) -> Outcome:
        return state_of(raw, invalid) if isinstance(raw, str) else wrong_type

    return read


def _phone(item: Field) -> Reader:
    region = item.region
    wrong_type, too_long = _not_a_string(item), _too_long(item, PHONE_LENGTH_MAX)
    invalid = FieldError(item.name, FieldCode.INVALID_PHONE, "Must be a valid phone number, in digits.")
    phonenumbers.example_number(region)  # loads the region's rules now and not with the first lead

    usual = (_USUAL_US_PHONE if region == "US" else _USUAL_PHONE).fullmatch

    def read(raw: object) -> Outcome:
        if not isinstance(raw, str):
            return wrong_type
        if len(raw) > PHONE_LENGTH_MAX:
            return too_long
        text = raw.strip(_PHONE_EDGES)
        if _PHONE_TEXT.fullmatch(text) is None:
            return invalid
        if (found := usual(text)) is not None:  # nothing to make out but whether there is such a number
            national = "".join(filter(None, found.groups()))
            number = phonenumbers.PhoneNumber(country_code=1, national_number=int(national))
            return f"+1{national}" if phonenumbers.is_valid_number(number) else invalid
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            return invalid
        if not phonenumbers.is_valid_number(number):
            return invalid
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    return read


def _email(item: Field) -> Reader:
    wrong_type, unstorable, too_long = _not_a_string(item), _unstorable(item), _too_long(item, EMAIL_LENGTH_MAX)
    invalid = FieldError(item.name, FieldCode.INVALID_EMAIL, "Must be an e-mail address with a full domain name.")
    known: set[str] = set()  # domains that were valid and usual: most people's are those of a few providers

    def read(raw: object) -> Outcome:
        if not isinstance(raw, str):
            return wrong_type
        text = raw.strip()
        if len(text) > EMAIL_LENGTH_MAX:
            return too_long
        usual = _USUAL_EMAIL.fullmatch(text)
        if usual is not None and (domain := usual[1].lower()) in known:
            return text.lower()
        if _UNSTORABLE.search(text) is not None:
            return unstorable
        try:  # the test environment is what lets *.test pass
            address = validate_email(text.lower(), check_deliverability=False, test_environment=True)
        except EmailNotValidError:
            return invalid
        if usual is not None and address.domain == domain and len(known) < _DOMAINS_KNOWN_MAX:
            known.add(domain)
        return address.normalized

    return read


_COMPILERS: Mapping[FieldType, Callable[[Field], Reader]] = MappingProxyType(
    {
        FieldType.TEXT: _text,
        FieldType.INTEGER: _integer,
        FieldType.BOOLEAN: _boolean,
        FieldType.DATE: _date,
        FieldType.DATE_TIME: _date_time,
        FieldType.ENUM: _enum,
        FieldType.US_ZIP: _us_zip,
        FieldType.US_STATE: _us_state,
        FieldType.PHONE: _phone,
        FieldType.EMAIL: _email,
    }
)
