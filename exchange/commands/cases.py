"""`exchange check`: recorded cases of buyers' endpoints, run one by one, and what is not as they say."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from exchange.case_files import CASES_MAX, case_files, load_case
from exchange.dialect_cases import CaseError, Difference, compared
from exchange.errors import CommandError

WIDTH = 80
SHOWN_MAX = 4_000
"""Characters of what was expected or made that are shown; where they differ later, the place is told."""

_INDENT = " " * 14


def check(folders: Sequence[Path]) -> tuple[list[str], bool]:
    """Runs the cases in all folders: the lines to print, and whether all agree. Raises CommandError without any."""
    paths = [path for folder in folders for path in _files(folder)]
    lines, differing, unreadable = [], 0, 0
    for path in paths:
        try:
            case = load_case(path)
            found = compared(case.case, case.endpoint, case.wire)
        except CaseError as error:
            unreadable += 1
            lines += _wrapped(f"{path}: is no case: {error}")
            continue
        if found:
            differing += 1
            lines += [f"{path}:", *(line for item in found for line in told(item))]
    agreeing = len(paths) - differing - unreadable
    return [*lines, _summary(agreeing, differing, unreadable)], agreeing == len(paths)


def told(difference: Difference) -> Iterator[str]:
    """A difference as a person reads it, within 80 columns."""
    expected, made = difference.expected, difference.made
    yield f"  {difference.what.rstrip(':')}"
    yield from _side("expected", expected)
    yield from _side("made", made)
    yield f"    differs from  character {_first(expected, made)} on"


def _summary(agreeing: int, differing: int, unreadable: int) -> str:
    count = agreeing + differing + unreadable
    parts = [f"{agreeing} agree{_s(agreeing)}", f"{differing} differ{_s(differing)}"]
    if unreadable:
        parts.append("1 is no case" if unreadable == 1 else f"{unreadable} are no cases")
    return f"{count} case{'' if count == 1 else 's'}: {', '.join(parts)}."


def _s(count: int) -> str:
    return "s" if count == 1 else ""


def _files(folder: Path) -> list[Path]:
    if not folder.exists():
        raise CommandError(f"there is no {folder}")
    paths = case_files(folder)
    if not paths:
        raise CommandError(f"{folder} has no cases: they are files that end in .yaml, beside or below endpoint.yaml")
    if len(paths) > CASES_MAX:
        raise CommandError(f"{folder} has more than {CASES_MAX:,} cases: check it in parts")
    return paths


def _side(name: str, text: str) -> Iterator[str]:
    shown = text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."
    width = WIDTH - len(_INDENT)
    parts = [shown[start : start + width] for start in range(0, len(shown), width)] or [""]
    yield f"    {name:<10}{parts[0]}"
    yield from (f"{_INDENT}{part}" for part in parts[1:])


def _first(one: str, other: str) -> int:
    """Where two texts begin to differ, counted from 1."""
    same = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    return (min(len(one), len(other)) if same is None else same) + 1


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
