"""What is done about an unknown attempt: whom to ask, what proves what, how long to wait, when to presume."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.doubt import LOOK_AGAIN_S, Doubt, Means, Pace, Step, next_step, proof
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.market import Endpoint, Presumption, UnknownTerms
from exchange.values.reason import Reason

MADE = datetime(2026, 3, 1, 12, tzinfo=UTC)
PACE = Pace(10, 3600, 5)
NO, DUPLICATE = Rejected(Reason.REJECTED_BY_BUYER), Rejected(Reason.DUPLICATE_AT_BUYER)


def endpoint(*, resend: bool = False, status: bool = False, terms: UnknownTerms | None = None) -> Endpoint:
    return Endpoint(
        "default", "native", "http://b/ping", "http://b/post", 500, 30_000,
        status_url="http://b/status" if status else None, idempotent_post=resend, unknown=terms,
    )  # fmt: skip


def step(of: Endpoint, *, after: timedelta = timedelta(minutes=1), tries: int = 1, lead: bool = True) -> Step:
    return next_step(Doubt(MADE, tries, lead), of, PACE, MADE + after)


def test_nobody_is_asked_who_cannot_be_and_nothing_is_sent_again_without_leave() -> None:
    assert step(endpoint()) == Step((), None, LOOK_AGAIN_S)
    assert step(endpoint(status=True)).means == (Means.STATUS,)
    assert step(endpoint(resend=True)).means == (Means.RESEND,)
    assert step(endpoint(resend=True, status=True)).means == (Means.RESEND, Means.STATUS)


def test_a_lead_that_was_erased_is_not_sent_again() -> None:
    assert step(endpoint(resend=True, status=True), lead=False).means == (Means.STATUS,)


def test_pauses_double_up_to_the_longest_and_end_with_the_last_try() -> None:
    of = endpoint(status=True)
    assert [step(of, tries=tries).wait_s for tries in (1, 2, 3, 4, 5)] == [10, 20, 40, 80, 160]
    assert step(of, tries=6) == Step((), None, LOOK_AGAIN_S)
    assert Pace(10, 3600, 10**6).pause_s(10**5) == 3600


@pytest.mark.parametrize("presumption", Presumption)
def test_at_the_agreed_date_the_buyer_is_asked_once_more_and_then_it_is_presumed(presumption: Presumption) -> None:
    of = endpoint(status=True, terms=UnknownTerms(presumption, 3))
    before, due = timedelta(days=3, seconds=-5), timedelta(days=3)
    assert step(of, after=before, tries=2) == Step((Means.STATUS,), None, 5)
    assert step(of, after=before, tries=9) == Step((), None, 5)
    assert step(of, after=due, tries=9).means == (Means.STATUS,)
    assert step(of, after=due, tries=9).presume is presumption


@given(st.integers(0, 200), st.integers(1, 365), st.floats(0, 400 * 86_400))
def test_nothing_is_presumed_before_its_date_nor_is_the_date_slept_through(tries: int, days: int, age_s: float) -> None:
    of = endpoint(resend=True, terms=UnknownTerms(Presumption.REJECTED, days))
    found = step(of, after=timedelta(seconds=age_s), tries=tries)
    assert (found.presume is not None) is (timedelta(seconds=age_s) >= timedelta(days=days))
    assert 0 < found.wait_s <= LOOK_AGAIN_S
    if found.presume is None:
        assert age_s + found.wait_s <= days * 86_400 + 1e-3


@pytest.mark.parametrize(
    ("means", "said", "proves"),
    [
        (Means.RESEND, Accepted("crm-1"), True),
        (Means.RESEND, NO, True),
        (Means.RESEND, DUPLICATE, False),  # of its own first delivery, perhaps
        (Means.RESEND, NotSent("connect_failed"), False),  # the first delivery may have arrived
        (Means.RESEND, Unknown("HTTP 500"), False),
        (Means.STATUS, Accepted(), True),
        (Means.STATUS, NO, True),
        (Means.STATUS, Unknown("silence"), False),
    ],
)
def test_what_an_answer_proves(means: Means, said: Delivery, proves: bool) -> None:
    found = proof(means, said, Doubt(MADE, 1, lead_is_there=True), endpoint(status=True), MADE + timedelta(days=1))
    assert found == (said if proves else None)


def test_not_found_proves_something_only_when_nothing_can_be_on_its_way_any_more() -> None:
    said, doubt = NotSent("the buyer knows no such attempt"), Doubt(MADE, 1, lead_is_there=True)
    early, late = MADE + timedelta(seconds=59), MADE + timedelta(seconds=60)
    assert proof(Means.STATUS, said, doubt, endpoint(status=True), early) is None
    assert proof(Means.STATUS, said, doubt, endpoint(status=True), late) == said
    assert proof(Means.STATUS, said, doubt, endpoint(resend=True, status=True), late) is None
