"""Sellers' rates in the market file."""

from typing import Any

import pytest
from market_example import changed, problems_of

from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.values.brakes import Rate

SELLER = "sellers/acme"


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ({"per_s": 100, "burst": 200}, Rate(100, 200)),
        ({"per_s": 100, "burst": 1}, Rate(100, 1)),
        ({"per_s": 7}, Rate(7, 14)),
    ],
)
def test_a_rate_and_its_burst(written: dict[str, int], rate: Rate) -> None:
    assert read(changed(f"{SELLER}/rate", written)).sellers["acme"].rate == rate


def test_without_one_there_is_none() -> None:
    assert read(changed(f"{SELLER}/caps", None)).sellers["acme"].rate is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, ".per_s: is missing"),
        ({"per_s": 0}, ".per_s: must be from 1 to 1000000, not 0"),
        ({"per_s": "5"}, ".per_s: must be a whole number, not text"),
        ({"per_s": 5, "burst": 0}, ".burst: must be from 1 to 1000000, not 0"),
        (None, ": is empty: give it a value, or leave the key out"),
    ],
)
def test_what_is_no_rate(value: Any, problem: str) -> None:
    assert problems_of(changed(f"{SELLER}/rate", value)) == [f"sellers.acme.rate{problem}"]


def test_a_change_is_shown() -> None:
    before, after = (read(changed(f"{SELLER}/rate", {"per_s": 5, "burst": burst})) for burst in (9, 10))
    [change] = compare(before, after)
    assert "rate" in str(change)
    assert "burst: 9" in str(change)
    assert "burst: 10" in str(change)
