"""A run under fire with a seed that is always the same."""

import pytest

from chaos.whole_run import judge, under_fire


@pytest.mark.timeout(300)
def test_a_run_with_a_fixed_seed_breaks_no_rule() -> None:
    judge(under_fire(20260922))
