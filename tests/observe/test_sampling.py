"""A share of all ids is kept: always the same ones, and as many as was asked for."""

import pytest

from exchange.observe.sampling import Sampling
from exchange.values.ids import uuid7


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_a_share_of_ids_is_taken_and_always_the_same_ones(share: float) -> None:
    ids = [uuid7().int for _ in range(20_000)]
    taken = [identifier for identifier in ids if Sampling(share).takes(identifier)]
    assert abs(len(taken) - share * len(ids)) <= 6 * (share * (1 - share) * len(ids)) ** 0.5
    assert all(Sampling(share).takes(identifier) for identifier in taken)
    assert all(Sampling(max(share, 0.5)).takes(identifier) for identifier in taken)
