"""Selection: those of whom most is expected are asked, a few others besides, and the same on every replay."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.selection import MEMORY_PINGS, Expectations, explored_places, select
from exchange.values.bid import Asked, Bid, Refusal, Reply
from exchange.values.ids import uuid7
from exchange.values.reason import Reason

PING = UUID("0196f3c0-0000-7000-8000-000000000001")
UNIT = 1_000_000
NAMES = [f"order-{number:02d}" for number in range(20)]
TENTH = 100_000

ping_ids = st.builds(uuid7)
expectations = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 50 * UNIT))


@given(
    st.lists(st.sampled_from(NAMES), unique=True), expectations, ping_ids, st.integers(1, 20), st.integers(0, 999_999)
)
def test_as_many_are_asked_as_may_be(
    orders: list[str], expected: dict[str, int], ping_id: UUID, at_most: int, exploration: int
) -> None:
    chosen = select(orders, expected, ping_id, at_most=at_most, exploration=exploration)
    assert chosen <= set(orders)
    assert len(chosen) == min(at_most, len(orders))
    assert chosen == select(orders[::-1], expected, ping_id, at_most=at_most, exploration=exploration)


@given(st.lists(st.integers(0, 50 * UNIT), min_size=20, max_size=20), ping_ids, st.integers(1, 19))
def test_without_exploration_nobody_is_passed_over_for_one_of_whom_less_is_expected(
    micros: list[int], ping_id: UUID, at_most: int
) -> None:
    expected = dict(zip(NAMES, micros, strict=True))
    chosen = select(NAMES, expected, ping_id, at_most=at_most, exploration=0)
    passed_over = set(NAMES) - chosen
    assert min(expected[order] for order in chosen) >= max(expected[order] for order in passed_over)


def test_a_tenth_of_the_places_goes_round_all_others() -> None:
    expected = {order: (20 - number) * UNIT for number, order in enumerate(NAMES)}
    asked: Counter[str] = Counter()
    pings = 4_000
    for _ in range(pings):
        asked.update(select(NAMES, expected, uuid7(), at_most=5, exploration=TENTH))
    assert all(asked[order] == pings for order in NAMES[:4])
    assert sum(asked.values()) == 5 * pings
    assert 0.45 * pings < asked[NAMES[4]] < 0.62 * pings  # half of the time the fifth place is not explored
    assert all(asked[order] > 0.02 * pings for order in NAMES[5:])


@given(st.integers(1, 100), st.integers(0, 999_999), ping_ids)
def test_places_are_explored_as_often_as_is_said(places: int, exploration: int, ping_id: UUID) -> None:
    exact = places * exploration / 1_000_000
    assert exact - 1 < explored_places(ping_id, places, exploration) < exact + 1


def test_of_whom_nothing_is_known_is_expected_what_is_usual() -> None:
    expected = {"order-00": 9 * UNIT, "order-01": 2 * UNIT}
    chosen = select(["order-00", "order-01", "new"], expected, PING, at_most=2, exploration=0)
    assert chosen == {"order-00", "new"}


def hear(found: Expectations, order: str, *replies: Reply) -> None:
    for reply in replies:
        found.heard([Asked(order, reply, 5.0)])


def test_what_is_expected_is_the_mean_of_bids_and_of_none() -> None:
    found = Expectations()
    hear(found, "ann", Bid(10 * UNIT), Refusal(Reason.NO_BID), Bid(20 * UNIT), Refusal(Reason.TIMEOUT))
    assert abs(found.micros["ann"] - 30 * UNIT // 4) <= 4
    found.heard([Asked("ann", Refusal(Reason.NO_TIME_LEFT)), Asked("bob", Bid(5 * UNIT))])
    assert list(found.micros) == ["ann"]  # nobody was asked


@given(st.lists(st.integers(0, 50 * UNIT), min_size=1, max_size=300))
def test_what_is_expected_stays_within_what_was_bid(bids: list[int]) -> None:
    found = Expectations()
    hear(found, "ann", *map(Bid, bids))
    assert min(bids) - 1 <= found.micros["ann"] <= max(bids)


def test_what_was_long_ago_is_forgotten() -> None:
    found = Expectations()
    hear(found, "ann", *[Bid(50 * UNIT)] * 200, *[Refusal(Reason.NO_BID)] * (10 * MEMORY_PINGS))
    assert found.micros["ann"] < UNIT // 100


def test_what_is_remembered_is_bounded() -> None:
    found = Expectations(at_most=2)
    for order in ("ann", "bob", "ann", "cid"):
        hear(found, order, Bid(UNIT))
    assert list(found.micros) == ["ann", "cid"]
