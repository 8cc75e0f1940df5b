"""Templates: texts with `{{name}}` where a value belongs. There is nothing else in them: no conditions, no loops."""

import html
import re
from collections.abc import Mapping

_PLACE = re.compile(r"\{\{\s*([A-Za-z0-9_.-]+)\s*\}\}", re.ASCII)
_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def names_in(template: str) -> tuple[str, ...]:
    """The names that a template speaks of."""
    return tuple(_PLACE.findall(template))


def is_malformed(template: str) -> bool:
    """Whether something looks like a place for a value and is none."""
    rest = _PLACE.sub("", template)
    return "{{" in rest or "}}" in rest


def filled(template: str, values: Mapping[str, str]) -> str:
    """The text with its values as they are; what there is no value for is empty. A value is never read again."""
    return _PLACE.sub(lambda match: values.get(match[1], ""), template)


def filled_html(template: str, values: Mapping[str, str]) -> str:
    """As `filled`, for HTML: no value can be markup, within an attribute in quotes neither."""
    return _PLACE.sub(lambda match: html.escape(values.get(match[1], ""), quote=True), template)


def filled_line(template: str, values: Mapping[str, str], length_max: int) -> str:
    """As `filled`, on one line: line breaks and other control characters are blanks."""
    return _LINE.sub(" ", filled(template, values)).strip()[:length_max]
