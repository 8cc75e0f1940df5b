"""The operators on texts and places: what a text begins with, which pattern is found in it, how far a ZIP code is."""

import re

from exchange.errors import FieldError
from exchange.geodata.centroids import known
from exchange.marketfile.limits import MILES_MAX, PATTERN_CHARS_MAX, PATTERNS_MAX
from exchange.marketfile.problems import Problems, shown, wrong
from exchange.marketfile.scalars import as_text
from exchange.rules import patterns
from exchange.rules.fields import TEXT_LENGTH_MAX, reader_for
from exchange.values.filters import Point, Radius
from exchange.values.vertical import Field, FieldType

PREFIX_TYPES = frozenset({FieldType.TEXT, FieldType.US_ZIP})
PATTERN_TYPES = frozenset({FieldType.TEXT, FieldType.US_ZIP, FieldType.US_STATE, FieldType.ENUM})

_ZIP_START = re.compile("[0-9]{1,5}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,8})?", re.ASCII)


def read_prefix(item: Field, raw: object, path: str, problems: Problems) -> str | None:
    """A prefix as it is compared, or None with its problem reported."""
    text = as_text(raw)
    if not _fits(item, PREFIX_TYPES, path, problems):
        return None
    if text is None:
        problems.add(path, wrong("text", raw))
        return None
    if item.type is FieldType.US_ZIP and not _ZIP_START.fullmatch(text):
        problems.add(path, f"must be the first digits of a ZIP code, one to five, not {shown(text)}")
        return None
    if not text or text != text.lstrip():
        problems.add(path, f"no {item.name} begins with a blank" if text else "is empty")
        return None
    if len(text) > _length_max(item):
        problems.add(path, f"no lead can match: {item.name} has at most {_length_max(item):,} characters")
        return None
    return text.casefold() if item.type is FieldType.TEXT else text


class PatternReader:
    """Reads the patterns on one field and counts them: every one more costs each lead time."""

    def __init__(self, item: Field) -> None:
        self._item = item
        self._known: set[str] = set()

    def read(self, raw: object, path: str, problems: Problems) -> str | None:
        """A pattern, or None with its problem reported."""
        if not _fits(self._item, PATTERN_TYPES, path, problems):
            return None
        if self._item.type is FieldType.TEXT and _length_max(self._item) > patterns.TEXT_CHARS_MAX:
            limit = f"{patterns.TEXT_CHARS_MAX:,} characters"
            problems.add(path, f"is for texts of at most {limit}: give {self._item.name} a smaller max_length")
            return None
        text = raw if isinstance(raw, str) else as_text(raw)
        message = self._problem(text, raw)
        if text in self._known or (message is None and len(self._known) < PATTERNS_MAX):
            self._known.add(str(text))
            return text
        problems.add(path, message or f"{self._item.name} has more than {PATTERNS_MAX:,} different patterns")
        return None

    def _problem(self, text: str | None, raw: object) -> str | None:
        if text is None:
            return wrong("text", raw)
        if text in self._known:
            return None
        if not text:
            return "is empty"
        if len(text) > PATTERN_CHARS_MAX:
            return f"is longer than {PATTERN_CHARS_MAX:,} characters"
        if not text.isprintable():
            return "holds a control character"
        fault = patterns.fault(text)
        return None if fault is None else f"is no pattern that can be used: {fault}"


def read_radius(item: Field, miles: object, of: object, path: str, problems: Problems) -> Radius | None:
    """A radius around `of`, or None with its problems reported below `path`, where both keys stand."""
    if not _fits(item, frozenset({FieldType.US_ZIP}), f"{path}.within_miles", problems):
        return None
    distance = _number(miles, 0, MILES_MAX)
    if not distance:
        wanted = f"a number of miles above 0, up to {MILES_MAX:,}"
        problems.add(
            f"{path}.within_miles", f"must be {wanted}, not {shown(miles)}" if _told(miles) else wrong(wanted, miles)
        )
    centre = _point(of, f"{path}.of", problems) if isinstance(of, dict) else _zip(item, of, f"{path}.of", problems)
    if not distance or centre is None:
        return None
    radius = Radius(distance, centre)
    if isinstance(centre, Point) and not known().within(radius):  # a ZIP code lies inside its own
        problems.add(path, "no lead can match: there is no known ZIP code inside")
        return None
    return radius


def _zip(item: Field, raw: object, path: str, problems: Problems) -> str | None:
    text = as_text(raw)
    if text is None:
        problems.add(path, wrong("a ZIP code or a point such as {lat: 41.88, lon: -87.62}", raw))
        return None
    found = reader_for(item)(text)
    if isinstance(found, FieldError) or found is None:
        problems.add(path, f"{shown(text)} is no ZIP code")
        return None
    if not known().knows(str(found)):
        problems.add(path, f"nobody knows where {shown(text)} is: take a ZIP code near it, or a point")
        return None
    return str(found)


def _point(raw: dict[object, object], path: str, problems: Problems) -> Point | None:
    before = len(problems)
    for key in raw:
        if key not in {"lat", "lon"}:
            problems.unknown(f"{path}.{key}", "unknown key", str(key), ("lat", "lon"))
    found = []
    for key, most in (("lat", 90), ("lon", 180)):
        number = _number(raw.get(key), -most, most)
        if key not in raw:
            problems.add(f"{path}.{key}", "is missing")
        elif number is None:
            problems.add(
                f"{path}.{key}", f"must be degrees from -{most} to {most}, with up to 8 digits after the point"
            )
        found.append(number)
    latitude, longitude = found
    if latitude is None or longitude is None or len(problems) > before:
        return None
    return Point(latitude, longitude)


def _number(raw: object, least: int, most: int) -> float | None:
    text = as_text(raw)
    if text is None or not _DECIMAL.fullmatch(text):
        return None
    return float(text) if least <= float(text) <= most else None


def _told(raw: object) -> bool:
    return isinstance(raw, str) or (isinstance(raw, int) and not isinstance(raw, bool))


def _fits(item: Field, kinds: frozenset[FieldType], path: str, problems: Problems) -> bool:
    if item.type not in kinds:
        *most, last = sorted(kinds)
        named = f"{', '.join(most)} and {last}" if most else last
        problems.add(path, f"is for {named} fields only, {item.name} is {item.type}")
    return item.type in kinds


def _length_max(item: Field) -> int:
    if item.type is FieldType.TEXT:
        return TEXT_LENGTH_MAX if item.max_length is None else item.max_length
    return TEXT_LENGTH_MAX
