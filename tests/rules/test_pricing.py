"""Pricing: the most specific margin holds, payouts are whole cents rounded down, and no micro-unit is lost."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.pricing import least_gross_for, margin_for, payout_of
from exchange.values.market import Buyer, Campaign, Margin, Seller
from exchange.values.money import AMOUNT_MICROS_MAX, MICROS_PER_CENT, floor_to_cent

gross = st.integers(0, AMOUNT_MICROS_MAX).map(floor_to_cent)
margins = st.one_of(
    st.integers(0, 1_000_000).map(lambda parts: Margin(parts_per_million=parts)),
    st.integers(0, AMOUNT_MICROS_MAX).map(lambda amount: Margin(amount_micros=amount)),
)


@given(gross, margins)
def test_the_payout_is_the_exact_difference_rounded_down_to_the_cent(price: int, margin: Margin) -> None:
    exact = price - Fraction(price * margin.parts_per_million, 1_000_000) - margin.amount_micros
    assert payout_of(price, margin) == max(0, exact // MICROS_PER_CENT * MICROS_PER_CENT)


@given(gross, margins)
def test_payout_and_margin_are_the_price(price: int, margin: Margin) -> None:
    payout = payout_of(price, margin)
    assert 0 <= payout <= price
    assert payout % MICROS_PER_CENT == 0


@given(st.integers(0, 5_000_000) | gross, st.integers(1, AMOUNT_MICROS_MAX), margins)
def test_a_payout_is_enough_exactly_from_the_least_gross_price_on(price: int, payout: int, margin: Margin) -> None:
    for wanted in (payout, payout_of(price, margin), payout_of(price, margin) + 1):
        least = least_gross_for(wanted, margin)
        if wanted:
            assert (payout_of(price, margin) >= wanted) == (least is not None and price >= least)


@given(gross, gross, margins)
def test_a_better_price_never_pays_less(one: int, other: int, margin: Margin) -> None:
    low, high = sorted((one, other))
    assert payout_of(low, margin) <= payout_of(high, margin)


@pytest.mark.parametrize(
    ("price", "margin", "payout"),
    [
        (21_000_000, Margin(parts_per_million=150_000), 17_850_000),
        (21_000_000, Margin(amount_micros=2_000_000), 19_000_000),
        (10_010_000, Margin(parts_per_million=150_000), 8_500_000),  # 8.5085
        (10_000, Margin(parts_per_million=1), 0),
        (1_000_000, Margin(amount_micros=2_000_000), 0),
        (1_000_000, Margin(parts_per_million=1_000_000), 0),
        (1_000_000, Margin(), 1_000_000),
        (10_000_000, Margin(amount_micros=5_000), 9_990_000),
    ],
)
def test_known_sums(price: int, margin: Margin, payout: int) -> None:
    assert payout_of(price, margin) == payout


@pytest.mark.parametrize(
    ("of_buyer", "of_seller", "holds"),
    [
        (None, None, Margin(150_000)),
        (None, Margin(100_000), Margin(100_000)),
        (Margin(amount_micros=1), None, Margin(amount_micros=1)),
        (Margin(amount_micros=1), Margin(100_000), Margin(amount_micros=1)),
        (Margin(), Margin(100_000), Margin()),
        (None, Margin(), Margin()),
    ],
)
def test_the_most_specific_margin_replaces_the_others(
    of_buyer: Margin | None, of_seller: Margin | None, holds: Margin
) -> None:
    campaign = Campaign("auto-us", "auto", margin=Margin(150_000))
    seller = Seller("acme", ("auto-us",), margin=of_seller)
    assert margin_for(campaign, seller, Buyer("ann", {}, margin=of_buyer)) == holds
