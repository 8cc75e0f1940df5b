"""Packs the ZIP code tabulation areas of the US Census Bureau's gazetteer into the file that `centroids` reads."""

import gzip
import re

from exchange.errors import CommandError

_ZIP = re.compile("[0-9]{5}", re.ASCII)
_COLUMNS = ("GEOID", "INTPTLAT", "INTPTLONG")
DEGREE_DIGITS = 5
"""Of a degree after the point: about a yard."""


def pack(text: str, origin: str) -> bytes:
    """The packed file of a gazetteer file's text; the same bytes for the same text.

    The first line names the columns, which are parted by tabs or, in later years, by bars. Raises CommandError where
    the text is not such a file.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    separator = "|" if lines and "|" in lines[0] else "\t"
    names = [name.strip() for name in lines[0].split(separator)] if lines else []
    if any(name not in names for name in _COLUMNS):
        raise CommandError(f"this is no gazetteer file: its first line must name {', '.join(_COLUMNS)}")
    places = [names.index(name) for name in _COLUMNS]
    found = sorted(_line(line.split(separator), places, number) for number, line in enumerate(lines[1:], 2))
    head = f"# Centroids of ZIP code tabulation areas, from {origin} (US Census Bureau, public domain).\n"
    return gzip.compress((head + "\n".join(found) + "\n").encode(), mtime=0)


def _line(cells: list[str], places: list[int], number: int) -> str:
    try:
        name, latitude, longitude = (cells[place].strip() for place in places)
        north, east = float(latitude), float(longitude)
    except (IndexError, ValueError):
        raise CommandError(f"line {number} of the gazetteer file cannot be read") from None
    if not _ZIP.fullmatch(name) or not -90 <= north <= 90 or not -180 <= east <= 180:
        raise CommandError(f"line {number} of the gazetteer file has no ZIP code, or no place on the globe")
    return f"{name} {north:.{DEGREE_DIGITS}f} {east:.{DEGREE_DIGITS}f}"
