"""What limits leave, and what a gateway makes of it: rests, shares, and which limit it is."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.caps import ALWAYS, AnyCap, Cap, Limit, Pace, Proportion, Scope, Spacing, window
from exchange.rules.estimates import Left, Row
from exchange.rules.passed import Passed
from exchange.rules.remainder import Counted, of_pace, of_proportion
from exchange.rules.rests import OFFER_RESTS_S
from exchange.rules.room import Room
from exchange.values.ids import moment_of, uuid7
from exchange.values.market import Period
from exchange.values.reason import Reason
from exchange.values.trace import Offer, PingStatus, PingTrace, Rung

UNIT = 1_000_000
ZONE = "America/Chicago"
ORDER, PART = Scope("order", "ann", ZONE), Scope("order", "ann/ca", ZONE)
NOW = datetime(2026, 7, 1, 17, 0, tzinfo=UTC)  # noon in Chicago


def us(moment: datetime) -> int:
    return round(moment.timestamp() * UNIT)


def row(scope: Scope, period: Period, leads: int, changes: int = 1, last: datetime | None = None) -> Row:
    starts_us, ends_us = map(us, window(period, ZONE, NOW))
    return Row(*scope[:2], period, starts_us, ends_us, changes, leads, 10 * UNIT * leads, us(last) if last else 0)


def room_of(*caps: AnyCap) -> Room:
    room = Room()
    room.limit(caps, {}, NOW)
    return room


def offer() -> PingTrace:
    found = Offer(UNIT, datetime.now(UTC) + timedelta(minutes=5), (Rung("ann", "ann", 10 * UNIT),))
    return PingTrace(
        uuid7(), "acme", "auto-us", 1, "USD", False, None, None, None, {}, PingStatus.OFFERED, None, found, (), {}
    )


@given(st.integers(0, 10**6), st.integers(0, 10**7), st.integers(1, UNIT))
def test_a_share_cap_is_exact_and_its_first_lead_is_free(leads: int, passed: int, parts_per_million: int) -> None:
    left = of_proportion(Proportion(ORDER, Period.DAY, parts_per_million), Counted(leads, 0, passed)).leads
    assert left is not None
    may_buy = (leads + 1) * UNIT <= passed * parts_per_million
    assert (left >= 1) is (may_buy or leads == 0)


@given(st.integers(0, 200), st.integers(0, 23 * 60))
def test_a_pace_leaves_the_first_lead_and_then_what_its_allowance_does(leads: int, minutes: int) -> None:
    pace = Pace(ORDER, ALWAYS, 48, 480 * UNIT, 0)
    now = window(Period.DAY, ZONE, NOW).starts_at + timedelta(minutes=minutes)
    found = of_pace(pace, Counted(leads, leads * 10 * UNIT), now)
    allowed = 48 * minutes // 1440
    if leads:
        assert (found.leads, found.micros) == (allowed - leads, 480 * UNIT * minutes // 1440 - leads * 10 * UNIT)
    else:
        assert (found.leads, found.micros) == (max(allowed, 1), None)


def test_a_room_follows_the_pace_from_minute_to_minute() -> None:
    day = Limit(Period.DAY, 48, None)
    room = room_of(Cap(ORDER, day), Pace(ORDER, ALWAYS, 48, None, 0))
    room.count([row(ORDER, Period.DAY, 24)], NOW)
    assert room.left["ann"].leads == 0
    assert room.told("ann", Reason.CAPPED) == "pace of the day"
    room.tick(NOW + timedelta(minutes=29, seconds=59), 0)
    assert room.left["ann"].leads == 0
    room.tick(NOW + timedelta(minutes=30), 0)
    assert room.left["ann"].leads == 1


def test_an_order_rests_after_its_last_attempt_and_goes_on_to_the_microsecond() -> None:
    room = room_of(Cap(ORDER, Limit(Period.TOTAL, None, None)), Spacing(ORDER, 60))
    assert room.left["ann"].leads > 1
    room.count([row(ORDER, Period.TOTAL, 1, last=NOW - timedelta(seconds=20))], NOW)
    assert room.left["ann"].leads == 0
    assert room.told("ann", Reason.CAPPED) == "spacing"
    room.wake(us(NOW + timedelta(seconds=40)) - 1)
    assert room.left["ann"].leads == 0
    room.wake(us(NOW + timedelta(seconds=40)))
    assert room.left["ann"].leads > 1


def test_a_last_attempt_that_was_given_back_ends_the_rest() -> None:
    room = room_of(Cap(ORDER, Limit(Period.TOTAL, None, None)), Spacing(ORDER, 60))
    room.count([row(ORDER, Period.TOTAL, 2, 1, NOW)], NOW)
    assert room.left["ann"].leads == 0
    room.count([row(ORDER, Period.TOTAL, 1, 2, NOW - timedelta(seconds=61))], NOW)
    assert room.left["ann"].leads > 1


def test_an_offer_makes_an_order_with_a_spacing_rest_for_seconds_or_until_it_is_posted() -> None:
    for spacing_s, rests_s in ((2, 2), (3600, OFFER_RESTS_S)):
        room = room_of(Cap(ORDER, Limit(Period.TOTAL, None, None)), Spacing(ORDER, spacing_s))
        made = offer()
        began_us = us(moment_of(made.ping_id))
        room.wake(began_us)
        room.offered(made)
        assert room.left["ann"].leads == 0
        room.wake(began_us + rests_s * UNIT - 1)
        assert room.left["ann"].leads == 0
        room.wake(began_us + rests_s * UNIT)
        assert room.left["ann"].leads > 1
        room.offered(other := offer())
        assert room.left["ann"].leads == 0
        room.posted(other.ping_id)
        assert room.left["ann"].leads > 1


def test_a_sub_cap_is_a_limit_of_its_own_and_its_offers_count_in_both() -> None:
    room = room_of(Cap(ORDER, Limit(Period.DAY, 9, None)), Cap(PART, Limit(Period.MONTH, 3, None)))
    assert room.left == {"ann": Left(9, room.left["ann"].micros), "ann/ca": Left(3, room.left["ann"].micros)}
    room.offered(offer(), {"ann": ["ann/ca"]})
    room.offered(offer())
    room.count([row(PART, Period.MONTH, 2)], NOW)
    assert (room.left["ann"].leads, room.left["ann/ca"].leads) == (7, 0)
    assert room.told("ann", Reason.CAPPED, ["ann/ca"]) == "month of ca"
    assert room.told("ann", Reason.CAPPED) == "day"


def test_what_is_let_through_is_counted_by_window_for_orders_with_a_share_cap() -> None:
    passed = Passed()
    passed.limit([Proportion(ORDER, Period.HOUR, 1), Cap(PART, Limit(Period.DAY, 1, None))])
    hour = window(Period.HOUR, ZONE, NOW)
    for moment in (NOW, NOW, hour.ends_at - timedelta(microseconds=1), hour.ends_at):
        passed.note(["ann", "bob"], moment)
    assert passed.take() == {("ann", hour): 3, ("ann", window(Period.HOUR, ZONE, hour.ends_at)): 1}
    assert passed.take() == {}
