"""Retry-After: seconds or a date, bounded, and nothing where it is neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.rest_asked import rest_asked_s

NOW_S = 1_795_521_600.0  # Tue, 24 Nov 2026 12:00:00 UTC


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"7", 7.0),
        (b" 7 ", 7.0),
        (b"0", 0.0),
        (b"86400", 60.0),
        (b"9" * 64, 60.0),
        (b"Tue, 24 Nov 2026 12:00:09 GMT", 9.0),
        (b"Tue, 24 Nov 2026 12:00:09 -0000", 9.0),
        (b"Tue, 24 Nov 2026 11:59:00 GMT", 0.0),
        (b"Wed, 25 Nov 2026 12:00:00 GMT", 60.0),
        (b"-1", 0.0),
        (b"1.5", 0.0),
        (b"soon", 0.0),
        (b"", 0.0),
    ],
)
def test_what_is_said(said: bytes, expected: float) -> None:
    assert rest_asked_s(said, NOW_S, 60.0) == expected


@given(st.binary(max_size=64))
def test_whatever_is_said_the_rest_is_bounded(said: bytes) -> None:
    assert 0.0 <= rest_asked_s(said, NOW_S, 60.0) <= 60.0
