"""Money: text and integers say the same amount exactly, nothing else is an amount, and rounding goes down."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.values.money import (
    AMOUNT_MICROS_MAX,
    MICROS_PER_CENT,
    MICROS_PER_UNIT,
    floor_to_cent,
    format_amount,
    parse_amount,
)

micros = st.integers(min_value=0, max_value=AMOUNT_MICROS_MAX)
digits = "0123456789"


def is_amount(text: str) -> bool:
    """The contract's words, spelt out: up to 12 digits before the point and up to 6 after it."""
    whole, point, fraction = text.partition(".")
    return (
        1 <= len(whole) <= 12
        and all(character in digits for character in whole)
        and len(fraction) <= 6
        and all(character in digits for character in fraction)
        and bool(fraction) == bool(point)
    )


@given(micros)
def test_an_amount_survives_being_written_and_read(amount: int) -> None:
    assert parse_amount(format_amount(amount)) == amount


@given(micros)
def test_a_written_amount_is_the_exact_decimal_with_two_digits_or_as_many_as_it_needs(amount: int) -> None:
    text = format_amount(amount)
    assert Decimal(text) * MICROS_PER_UNIT == amount
    fraction = text.partition(".")[2]
    assert 2 <= len(fraction) <= 6
    assert len(fraction) == 2 or not fraction.endswith("0")


@given(st.text(digits, min_size=1, max_size=12), st.text(digits, max_size=6))
def test_every_digit_of_an_amount_is_read(whole: str, fraction: str) -> None:
    text = f"{whole}.{fraction}" if fraction else whole
    assert parse_amount(text) == Decimal(text) * MICROS_PER_UNIT


@given(st.one_of(st.text(), st.text("0123456789.-+eE_, \n٣", max_size=22)))
def test_only_plain_decimals_are_amounts(text: str) -> None:
    assert (parse_amount(text) is not None) == is_amount(text)


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "5.", ".5", "-1", "+1", "1e2", "1E2", "1_000", "1,000", " 1", "1 ", "1\n", "0x10", "1.0000001",
        "1234567890123", "0000000000001", "NaN", "Infinity", "٣", "1.2.3", "1.-2",
    ],
)  # fmt: skip
def test_what_looks_like_an_amount_and_is_none_is_refused(text: str) -> None:
    assert parse_amount(text) is None


def test_the_largest_amount_is_a_millionth_below_a_trillion() -> None:
    assert parse_amount("999999999999.999999") == AMOUNT_MICROS_MAX
    assert format_amount(AMOUNT_MICROS_MAX) == "999999999999.999999"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (10_000, "0.01"),
        (17_850_000, "17.85"),
        (21_500_000, "21.50"),
        (-2_150_000, "-2.15"),
    ],
)
def test_amounts_are_written_as_people_write_them(amount: int, text: str) -> None:
    assert format_amount(amount) == text


@given(micros)
def test_a_negative_amount_is_the_positive_one_with_a_minus(amount: int) -> None:
    assert format_amount(-amount) == ("-" if amount else "") + format_amount(amount)


@given(micros)
def test_rounding_goes_down_to_the_cent_and_no_further(amount: int) -> None:
    rounded = floor_to_cent(amount)
    assert rounded % MICROS_PER_CENT == 0
    assert 0 <= amount - rounded < MICROS_PER_CENT
