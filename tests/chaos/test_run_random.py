"""A run under fire with a new seed every time; a failure names it."""

import secrets

import pytest

from chaos.whole_run import judge, under_fire


@pytest.mark.timeout(300)
def test_a_run_with_a_random_seed_breaks_no_rule() -> None:
    judge(under_fire(secrets.randbelow(2**31)))
