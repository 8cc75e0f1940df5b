"""Patterns on texts: RE2, whose time grows with the text's length and never faster, whatever the pattern."""

from collections.abc import Callable

import re2

Finder = Callable[[bytes], object]
"""Finds a pattern anywhere in a text's UTF-8; None where it is not there."""

TEXT_CHARS_MAX = 1_000
"""Of a field that patterns may be looked for in."""

STEPS_MAX = 500
"""Of the program that a pattern compiles to: a lead costs at most so many steps a character."""

_MEMORY_MAX = 1 << 20


def finder(pattern: str, *, folded: bool) -> Finder:
    """Compiles a pattern, `folded` without regard to upper and lower case. It must have no fault."""
    return _compiled(pattern, folded=folded).search  # type: ignore[no-any-return]  # the library has no types


def searcher(pattern: str) -> Callable[[str], str | None]:
    """Compiles a pattern that is looked for anywhere in a text: what its first group found, all of it without a group.

    None where it is not there, or its group took no part, or the text has a lone surrogate. It must have no fault.
    """
    found = _compiled(pattern, folded=True, captures=True)
    group = min(found.groups, 1)

    def search(text: str) -> str | None:
        try:
            match = found.search(text)
        except UnicodeEncodeError:  # JSON can spell half a character, which is none that a pattern could find
            return None
        return None if match is None else match[group]

    return search


def fault(pattern: str) -> str | None:
    """What is wrong with a pattern in the words of RE2, or None."""
    try:
        found = _compiled(pattern, folded=True)
    except re2.error as error:
        said = error.args[0]
        return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    if max(found.programsize, found.reverseprogramsize) > STEPS_MAX:
        return f"needs more than {STEPS_MAX} steps a character: use smaller repetitions"
    return None


def _compiled(pattern: str, *, folded: bool, captures: bool = False) -> "re2._Regexp":
    options = re2.Options()
    options.case_sensitive = not folded
    options.log_errors = False
    options.never_capture = not captures
    options.max_mem = _MEMORY_MAX
    return re2.compile(pattern, options)
