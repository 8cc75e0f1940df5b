"""Ages: of dates by the campaign's clock, of times to the second, at the moment of the ping."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from support.market import market

from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.past.recall import rules_of
from exchange.rules.ages import DAY_S, age_s
from exchange.rules.bitsets import bits
from exchange.rules.routing import failing_fields
from exchange.values.market import Market
from exchange.values.vertical import FieldType, Lead

NEW_YORK = ZoneInfo("America/New_York")
MIDNIGHT = datetime(2026, 6, 2, 4, tzinfo=UTC)
"""In New York."""


@pytest.mark.parametrize(
    ("value", "moment", "days"),
    [
        ("2026-06-01", datetime(2026, 6, 2, 3, 59, 59, tzinfo=UTC), 0),
        ("2026-06-01", MIDNIGHT, 1),
        ("2026-06-03", MIDNIGHT, 0),
        ("2025-06-02", MIDNIGHT, 365),
        ("2026-03-07", datetime(2026, 3, 9, 4, tzinfo=UTC), 2),  # of two days one had 23 hours
    ],
)
def test_the_age_of_a_date_is_in_days_of_the_campaigns_clock(value: str, moment: datetime, days: int) -> None:
    assert age_s(value, FieldType.DATE, moment, NEW_YORK) == days * DAY_S


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-06-02T03:59:59Z", 1),
        ("2026-06-02T04:00:00Z", 0),
        ("2026-06-02T04:00:01Z", 0),
        ("2026-06-01T04:00:00Z", DAY_S),
    ],
)
def test_the_age_of_a_time_is_what_has_passed_whatever_the_clock(value: str, seconds: int) -> None:
    assert age_s(value, FieldType.DATE_TIME, MIDNIGHT, NEW_YORK) == seconds
    assert age_s(value, FieldType.DATE_TIME, MIDNIGHT.replace(microsecond=999_999), UTC_ZONE) == seconds


UTC_ZONE = ZoneInfo("UTC")


def aged_market(**orders: dict[str, object]) -> Market:
    """Orders that ask how old a lead is, in a campaign of New York."""
    filters = {name: {"filter": {"made": wanted} if wanted else {}} for name, wanted in orders.items()}
    document = market(dict.fromkeys(orders, "http://127.0.0.1:9"), orders=filters, time_zone="America/New_York")
    auto = document["verticals"]["auto"]
    document["verticals"] = {"auto": auto | {"fields": auto["fields"] | {"made": {"type": "date_time", "in": "ping"}}}}
    return read(document)


def test_the_same_rules_find_other_orders_as_time_goes_on() -> None:
    book = rules_of(
        aged_market(
            any={}, fresh={"max_age_hours": 12}, old={"min_age_days": 1}, not_fresh={"not": {"max_age_hours": 12}}
        ),
        1,
    ).campaigns["auto-us"]
    lead: Lead = {"made": "2026-06-02T04:00:00Z"}

    def found(lead: Lead, moment: datetime) -> list[str]:
        aged = book.with_ages(lead, moment)
        suited = [book.entries[number].key for number in bits(book.matcher.matching(aged))]
        assert suited == [entry.key for entry in book.entries if not failing_fields(book, entry, aged)]
        return suited

    assert found(lead, MIDNIGHT) == ["any", "fresh"]
    assert found(lead, MIDNIGHT.replace(hour=16)) == ["any", "fresh"]
    assert found(lead, MIDNIGHT.replace(hour=16, second=1)) == ["any", "not_fresh"]
    assert found(lead, MIDNIGHT.replace(day=3)) == ["any", "old", "not_fresh"]
    assert found({}, MIDNIGHT) == ["any"]
    assert book.with_ages({}, MIDNIGHT) == {}


def test_a_campaign_without_such_rules_looks_at_the_lead_as_it_is() -> None:
    book = rules_of(aged_market(any={}), 1).campaigns["auto-us"]
    lead: Lead = {"made": "2026-06-02T04:00:00Z"}
    assert book.with_ages(lead, MIDNIGHT) is lead


def test_bounds_are_shown_in_days_or_else_in_hours() -> None:
    changed = aged_market(any={"min_age_hours": 48, "max_age_hours": 100})
    assert [str(change) for change in compare(aged_market(any={"exists": True}), changed)] == [
        "- orders.any.filter.made.exists: true",
        "+ orders.any.filter.made.min_age_days: 2",
        "+ orders.any.filter.made.max_age_hours: 100",
    ]
