"""When a lead that waits is offered again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.market import Document, market

from exchange.marketfile.reader import read
from exchange.rules.book import CampaignBook, compile_book
from exchange.rules.queueing import SPREAD_S, next_run, openings
from exchange.values.market import Queue
from exchange.values.reason import Reason
from exchange.values.trace import OrderOutcome

NOW = datetime(2026, 11, 27, 17, 30, tzinfo=UTC)  # a Friday, 11:30 in Chicago
TERMS = Queue(for_s=86_400, every_s=300, leads_max=10, reasons=frozenset({Reason.NO_ELIGIBLE_ORDERS}))


def book(**order: Any) -> CampaignBook:
    document: Document = market({"only": "http://127.0.0.1:9"}, orders={"only": order})
    document["buyers"]["only"]["time_zone"] = "America/Chicago"
    return compile_book(read(document), 1, {}).campaigns["auto-us"]


def outcome(reason: Reason, order: str = "only") -> OrderOutcome:
    return OrderOutcome(order, "only", reason)


@pytest.mark.parametrize(
    ("order", "reason", "opens"),
    [
        ({"schedule": {"hours": "13:00-20:00"}}, Reason.OUTSIDE_SCHEDULE, datetime(2026, 11, 27, 19, tzinfo=UTC)),
        ({"paused_until": "2026-11-28 08:00"}, Reason.PAUSED, datetime(2026, 11, 28, 14, tzinfo=UTC)),
        ({"caps": {"day": 1}}, Reason.CAPPED, datetime(2026, 11, 28, 6, tzinfo=UTC)),
        ({"caps": {"day": 1, "hour": 1}}, Reason.CAPPED, datetime(2026, 11, 27, 18, tzinfo=UTC)),
        ({"budget": {"month": "1.00"}}, Reason.OUT_OF_BUDGET, datetime(2026, 12, 1, 6, tzinfo=UTC)),
        (
            {"sub_caps": [{"name": "il", "when": {"state": ["IL"]}, "caps": {"day": 1}}]},
            Reason.CAPPED,
            datetime(2026, 11, 28, 6, tzinfo=UTC),
        ),
    ],
)
def test_an_order_opens_when_what_kept_it_out_is_over(order: Document, reason: Reason, opens: datetime) -> None:
    assert list(openings(book(**order), [outcome(reason)], NOW)) == [opens]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"caps": {"total": 1}}, Reason.CAPPED),
        ({"paused": True}, Reason.PAUSED),
        ({"schedule": {"hours": "13:00-20:00"}}, Reason.NO_BID),
        ({}, Reason.INSUFFICIENT_BALANCE),
    ],
)
def test_of_other_orders_nobody_knows_when(order: Document, reason: Reason) -> None:
    assert list(openings(book(**order), [outcome(reason)], NOW)) == []


def test_an_order_that_is_gone_never_opens() -> None:
    assert list(openings(book(), [outcome(Reason.CAPPED, "gone")], NOW)) == []


@pytest.mark.parametrize(
    ("runs", "luck", "pause_s"), [(1, 1.0, 300), (1, 0.0, 150), (2, 1.0, 600), (4, 1.0, 2400), (9, 1.0, 3600)]
)
def test_the_pace_slows_down_to_the_longest_pause(runs: int, luck: float, pause_s: int) -> None:
    found = next_run(TERMS, book(), [], runs=runs, longest_s=3600, now=NOW, luck=luck)
    assert found == NOW + timedelta(seconds=pause_s)


def test_a_campaign_may_be_slower_than_the_longest_pause() -> None:
    slow = Queue(86_400, 7200, 10, TERMS.reasons)
    assert next_run(slow, book(), [], runs=5, longest_s=3600, now=NOW, luck=1.0) == NOW + timedelta(hours=2)


def test_an_opening_comes_before_the_pace_and_is_spread() -> None:
    found = book(caps={"hour": 1})
    at = next_run(TERMS, found, [outcome(Reason.CAPPED)], runs=9, longest_s=86_400, now=NOW, luck=0.5)
    assert at == datetime(2026, 11, 27, 18, tzinfo=UTC) + timedelta(seconds=SPREAD_S / 2)
