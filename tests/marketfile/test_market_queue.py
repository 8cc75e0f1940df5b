"""The queue of a campaign in the market file: what is taken, what is refused, and how it is shown."""

from typing import Any

import pytest
from market_example import changed, example, problems_of

from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.values.market import Queue
from exchange.values.reason import Reason

PATH = "campaigns/auto-us/queue"


def test_without_a_queue_no_lead_waits() -> None:
    assert read(example()).campaigns["auto-us"].queue is None


def test_a_queue_has_defaults_for_all_but_its_length() -> None:
    found = read(changed(PATH, {"for_s": 3600})).campaigns["auto-us"].queue
    assert found == Queue(3600, 300, 10_000, frozenset({Reason.NO_ELIGIBLE_ORDERS}))


def test_all_of_it_may_be_said() -> None:
    reasons = ["no_bids", "below_min_price", "seller_capped", "no_eligible_orders"]
    document = changed(PATH, {"for_s": 60, "every_s": 10, "max_leads": 1, "reasons": reasons})
    assert read(document).campaigns["auto-us"].queue == Queue(
        60,
        10,
        1,
        frozenset({Reason.NO_BIDS, Reason.BELOW_MIN_PRICE, Reason.SELLER_CAPPED, Reason.NO_ELIGIBLE_ORDERS}),
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, "queue.for_s: is missing"),
        (None, "queue: is empty: give it a value, or leave the key out"),
        ({"for_s": 59}, "queue.for_s: must be from 60 to 2592000, not 59"),
        ({"for_s": 60, "every_s": 9}, "queue.every_s: must be from 10 to 86400, not 9"),
        ({"for_s": 60, "max_leads": 0}, "queue.max_leads: must be from 1 to 100000, not 0"),
        ({"for_s": 60, "reasons": []}, "queue.reasons: is empty: nothing would ever wait"),
        (
            {"for_s": 60, "reasons": ["duplicate"]},
            (
                "queue.reasons[0]: must be one of no_eligible_orders, no_bids, below_min_price, seller_capped, "
                "not 'duplicate'"
            ),
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_path(value: Any, problem: str) -> None:
    assert problems_of(changed(PATH, value)) == [f"campaigns.auto-us.{problem}"]


def test_a_changed_queue_is_shown() -> None:
    before = read(changed(PATH, {"for_s": 3600}))
    after = read(changed(PATH, {"for_s": 7200, "reasons": ["no_bids"]}))
    said = [str(change) for change in compare(before, after)]
    assert len(said) == 2
    assert any("queue" in text and "7200" in text for text in said)
    assert any("queue" in text and "no_bids" in text for text in said)
