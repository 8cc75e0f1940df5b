"""The states of an attempt: what may follow what, and that any walk through them moves the money once, and rightly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.attempts import (
    HELD,
    SOLD,
    AttemptState,
    Effect,
    effect_of,
    may_become,
    presumed,
    reason_of,
    state_after,
)
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.market import Presumption
from exchange.values.reason import Reason

FINAL = (AttemptState.ACCEPTED, AttemptState.REJECTED, AttemptState.NOT_SENT)
WALKS = st.lists(st.sampled_from(AttemptState), max_size=8)


@pytest.mark.parametrize(
    ("delivery", "state", "reason"),
    [
        (Accepted(), AttemptState.ACCEPTED, Reason.ACCEPTED),
        (Rejected(Reason.REJECTED_BY_BUYER), AttemptState.REJECTED, Reason.REJECTED_BY_BUYER),
        (Rejected(Reason.DUPLICATE_AT_BUYER), AttemptState.REJECTED, Reason.DUPLICATE_AT_BUYER),
        (NotSent(), AttemptState.NOT_SENT, Reason.NOT_SENT),
        (Unknown(), AttemptState.UNKNOWN, Reason.UNKNOWN),
    ],
)
def test_every_outcome_has_its_state_and_reason(delivery: Delivery, state: AttemptState, reason: Reason) -> None:
    assert (state_after(delivery), reason_of(delivery)) == (state, reason)


def test_what_is_final_stays() -> None:
    assert not any(may_become(state, after) for state in FINAL for after in AttemptState)


def test_only_what_was_unknown_can_be_presumed_and_a_presumption_only_be_confirmed_or_corrected() -> None:
    for presumption in Presumption:
        state, _ = presumed(presumption)
        assert [before for before in AttemptState if may_become(before, state)] == [AttemptState.UNKNOWN]
        assert {after for after in AttemptState if may_become(state, after)} == {
            AttemptState.ACCEPTED,
            AttemptState.REJECTED,
        }


@given(WALKS)
def test_any_walk_keeps_exactly_what_its_last_state_calls_for(wishes: list[AttemptState]) -> None:
    state, held, charged = AttemptState.PREPARED, 1, 0
    for wish in wishes:
        if not may_become(state, wish):
            continue
        match effect_of(state, wish):
            case Effect.SETTLE:
                held, charged = held - 1, charged + 1
            case Effect.RELEASE:
                held -= 1
            case Effect.CHARGE:
                charged += 1
            case Effect.REFUND:
                charged -= 1
            case Effect.KEEP:
                pass
        state = wish
        assert (held, charged) == (int(state in HELD), int(state in SOLD))
