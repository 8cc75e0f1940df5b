"""What the attempts of a shared post make of its legs, and who may take one next."""

import pytest

from exchange.rules.attempts import AttemptState
from exchange.rules.legs import LegStatus, Tried, legs_after, may_have
from exchange.storage.posts import PostState
from exchange.storage.standing import result_of
from exchange.values.reason import Reason

A, R, N, U, P = (
    AttemptState.ACCEPTED,
    AttemptState.REJECTED,
    AttemptState.NOT_SENT,
    AttemptState.UNKNOWN,
    AttemptState.PREPARED,
)
YES, NO = AttemptState.PRESUMED_ACCEPTED, AttemptState.PRESUMED_REJECTED
REASONS = {
    A: Reason.ACCEPTED,
    R: Reason.REJECTED_BY_BUYER,
    N: Reason.NOT_SENT,
    U: Reason.UNKNOWN,
    P: None,
    YES: Reason.PRESUMED_ACCEPTED,
    NO: Reason.PRESUMED_REJECTED,
}


def tried(*states: tuple[int, AttemptState]) -> list[Tried]:
    return [
        Tried(leg, ordinal, f"b{ordinal}", 10, state, REASONS[state]) for ordinal, (leg, state) in enumerate(states, 1)
    ]


@pytest.mark.parametrize(
    ("states", "state", "reason", "statuses"),
    [
        ([(1, A), (2, A)], PostState.ACCEPTED, 501, "accepted accepted"),
        ([(1, A), (2, R)], PostState.ACCEPTED, 501, "accepted rejected"),
        ([(1, A), (2, R), (2, A)], PostState.ACCEPTED, 501, "accepted accepted"),
        ([(1, A), (2, U)], PostState.PENDING, 505, "accepted pending"),
        ([(1, R), (2, U)], PostState.PENDING, 505, "rejected pending"),
        ([(1, U), (2, P)], PostState.IN_PROGRESS, 505, "pending pending"),
        ([(1, A), (2, P)], PostState.IN_PROGRESS, 505, "accepted pending"),
        ([(1, R), (2, N)], PostState.REJECTED, 504, "rejected rejected"),
        ([(1, A)], PostState.ACCEPTED, 501, "accepted rejected"),
        ([], PostState.REJECTED, 506, "rejected rejected"),
        ([(1, YES), (2, NO)], PostState.ACCEPTED, 507, "accepted rejected"),
        ([(1, YES), (2, A)], PostState.ACCEPTED, 501, "accepted accepted"),
        ([(1, A), (1, R), (2, R)], PostState.ACCEPTED, 501, "accepted rejected"),
    ],
)
def test_a_post_is_what_its_legs_are(
    states: list[tuple[int, AttemptState]], state: PostState, reason: int, statuses: str
) -> None:
    result = result_of((8, 7), tried(*states))
    assert (result.state, int(result.reason)) == (state, reason)
    assert " ".join(leg.status for leg in result.legs) == statuses


def test_a_leg_that_nobody_could_take_was_withdrawn() -> None:
    first, second = legs_after((8, 7), tried((2, R)))
    assert (first.status, first.reason, first.payout_micros) == (LegStatus.REJECTED, Reason.OFFER_WITHDRAWN, 8)
    assert (second.status, second.reason) == (LegStatus.REJECTED, Reason.REJECTED_BY_BUYER)


def test_nobody_has_a_lead_twice_or_beside_a_rival_who_may_have_it() -> None:
    apart = {"cid": frozenset({"b1"}), "b1": frozenset({"cid"})}
    for state in AttemptState:
        attempts = tried((1, state))
        assert not may_have("b1", attempts, {})
        assert may_have("cid", attempts, {})
        assert may_have("cid", attempts, apart) == (state in {R, N})
