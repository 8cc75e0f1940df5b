"""Patterns: no text of a seller's makes any pattern slow, and what cannot be so is refused."""

import time

import pytest

from exchange.rules.patterns import STEPS_MAX, TEXT_CHARS_MAX, fault, finder


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", "(.*a){20}b", "(a*)*(a*)*b", "(?:a?){80}a{80}$", "[^b]+[^c]+!$"]
)
def test_a_pattern_that_would_take_for_ever_elsewhere_takes_a_moment(pattern: str) -> None:
    assert fault(pattern) is None
    find = finder(pattern, folded=True)
    text = b"a" * (TEXT_CHARS_MAX - 1) + b"\xc3\xa9"
    began = time.process_time()
    for _ in range(10):
        find(text)
    assert time.process_time() - began < 1  # some milliseconds; a backtracking search takes years


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "missing )"),
        ("*", "no argument for repetition"),
        (r"(a)\1", "invalid escape sequence"),
        ("a(?!b)", "invalid perl operator"),
        ("a{1001}", "invalid repetition size"),
        ("(a{1,100}){1,10}", f"needs more than {STEPS_MAX} steps"),
        (r"\pL{500}", "pattern too large"),
    ],
)
def test_what_cannot_be_used_is_told(pattern: str, said: str) -> None:
    assert said in (fault(pattern) or "")


@pytest.mark.parametrize(
    ("pattern", "text", "folded", "found"),
    [
        ("^new", "New York", True, True),
        ("^new", "New York", False, False),
        ("york", "New York", True, True),
        ("É$", "café", True, True),
        ("^.{4}$", "café", False, True),
        ("", "", True, True),
    ],
)
def test_a_pattern_is_looked_for_anywhere_and_in_any_case_where_case_does_not_matter(
    pattern: str, text: str, folded: bool, found: bool
) -> None:
    assert (finder(pattern, folded=folded)(text.encode()) is not None) is found
