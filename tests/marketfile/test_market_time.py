"""Schedules, pauses, exclusions and consents in the market file."""

from datetime import date, datetime
from typing import Any

import pytest
from market_example import changed, example, problems_of

from exchange.marketfile.difference import compare
from exchange.marketfile.limits import CONSENTS_MAX, HOLIDAYS_MAX, SCHEDULE_WINDOWS_MAX
from exchange.marketfile.reader import read
from exchange.marketfile.source import parse
from exchange.values.schedule import Hours, Schedule, Window

ORDER = "orders/northwind-il"
WHERE = "orders.northwind-il"
SCHEDULE = f"{ORDER}/schedule"
CAMPAIGN = "campaigns/auto-us"
HOURS = 'must be HH:MM-HH:MM, such as "08:00-20:00", not'
DAYS = "must be one of mon, tue, wed, thu, fri, sat, sun, not"
MOMENT = "must be a date or a local time, written YYYY-MM-DD or YYYY-MM-DDTHH:MM, not"
NEVER = "no lead can match: it is never open"
ALWAYS = frozenset(range(7))


def schedule_of(written: object) -> Schedule | None:
    return read(changed(SCHEDULE, written)).orders["northwind-il"].schedule


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        ({"days": ["mon", "fri"], "hours": "08:00-20:00"}, Schedule((Window(frozenset({0, 4}), Hours(480, 1200)),))),
        ({"hours": "22:00-06:00"}, Schedule((Window(ALWAYS, Hours(1320, 360)),))),
        ({"hours": "16:30-24:00"}, Schedule((Window(ALWAYS, Hours(990, 1440)),))),
        ({"days": ["sun"]}, Schedule((Window(frozenset({6}), Hours(0, 1440)),))),
        ({"windows": [{"days": ["sat"], "hours": "09:00-12:00"}, {"hours": "13:00-14:00"}]},
         Schedule((Window(frozenset({5}), Hours(540, 720)), Window(ALWAYS, Hours(780, 840))))),
        ({"holidays": ["2026-12-25"]}, Schedule(holidays=frozenset({date(2026, 12, 25)}))),
        ({"from": "2026-03-01", "until": "2026-03-31T18:30"},
         Schedule(starts=datetime(2026, 3, 1), ends=datetime(2026, 3, 31, 18, 30))),  # noqa: DTZ001
        ({"from": "2026-03-01 09:00"}, Schedule(starts=datetime(2026, 3, 1, 9))),  # noqa: DTZ001
        ({"hours": "00:00-24:00", "holidays": []}, None),
        ({}, None),
        (None, None),
    ],
)  # fmt: skip
def test_a_schedule_is_read(written: object, schedule: Schedule | None) -> None:
    assert schedule_of(written) == schedule


def test_times_need_no_quotes() -> None:
    text = "schedule: {days: [mon], hours: 08:00-20:00, holidays: [2026-12-25], from: 2026-01-02T03:04}\nat: 2026-01-01"
    assert parse(text) == {
        "schedule": {"days": ["mon"], "hours": "08:00-20:00", "holidays": ["2026-12-25"], "from": "2026-01-02T03:04"},
        "at": "2026-01-01",
    }


@pytest.mark.parametrize(
    ("written", "problems"),
    [
        ({"hours": "8:00-20:00"}, [f"hours: {HOURS} '8:00-20:00'"]),
        ({"hours": "08:00-20:60"}, [f"hours: {HOURS} '08:00-20:60'"]),
        ({"hours": "24:00-06:00"}, [f"hours: {HOURS} '24:00-06:00'"]),
        ({"hours": "08:00"}, [f"hours: {HOURS} '08:00'"]),
        ({"hours": 8}, [f"hours: {HOURS} a number"]),
        ({"hours": None}, ["hours: is empty: give it a value, or leave the key out"]),
        ({"hours": "08:00-08:00"},
         ['hours: is empty: it ends when it begins; the whole day is "00:00-24:00"']),
        ({"days": ["monday", "tue", "Fri"]},
         [f"days[0]: {DAYS} 'monday'; did you mean mon?", f"days[2]: {DAYS} 'Fri'; did you mean fri?"]),
        ({"days": [1]}, [f"days[0]: {DAYS} a number"]),
        ({"days": "mon"}, ["days: must be a list, not text"]),
        ({"days": []}, ["days: is an empty list"]),
        ({"days": ["mon", "tue", "mon"]}, ["days: mon is listed twice"]),
        ({"windows": []}, [f": must have 1 to {SCHEDULE_WINDOWS_MAX} windows"]),
        ({"windows": [{}] * 51}, [f": must have 1 to {SCHEDULE_WINDOWS_MAX} windows"]),
        ({"windows": [{"hour": "08:00-20:00"}, {"hours": "x"}]},
         ["windows[0].hour: unknown key; did you mean hours?", f"windows[1].hours: {HOURS} 'x'"]),
        ({"windows": [{"days": ["mon"]}], "hours": "08:00-20:00"},
         [": must say either windows, or days and hours"]),
        ({"holidays": ["2026-02-30"]}, ["holidays[0]: must be a date written YYYY-MM-DD, not '2026-02-30'"]),
        ({"holidays": ["25.12.2026", "2026-12-25T00:00"]},
         ["holidays[0]: must be a date written YYYY-MM-DD, not '25.12.2026'",
          "holidays[1]: must be a date written YYYY-MM-DD, not '2026-12-25T00:00'"]),
        ({"holidays": ["2026-12-25", "2026-12-25"]}, ["holidays: 2026-12-25 is listed twice"]),
        ({"holidays": [f"{year}-01-{day:02d}" for year in range(2000, 2051) for day in range(1, 21)]},
         [f"holidays: holds more than {HOLIDAYS_MAX:,} entries"]),
        ({"from": "soon"}, [f"from: {MOMENT} 'soon'"]),
        ({"from": "2026-01-01T25:00"}, [f"from: {MOMENT} '2026-01-01T25:00'"]),
        ({"from": "2026-01-01T10:00Z"}, [f"from: {MOMENT} '2026-01-01T10:00Z'"]),
        ({"until": None}, ["until: is empty: give it a value, or leave the key out"]),
        ({"until": "0001-01-01"}, ["until: must be in the years 2000 to 2199"]),
        ({"from": "2026-02-01", "until": "2026-01-01"}, [": until 2026-01-01 is not after from 2026-02-01"]),
        ({"from": "2026-02-01T10:00", "until": "2026-02-01T10:00"},
         [": until 2026-02-01T10:00 is not after from 2026-02-01T10:00"]),
        ({"days": ["mon"], "from": "2026-05-19", "until": "2026-05-24"}, [f": {NEVER}"]),
        ({"hours": "08:00-09:00", "from": "2026-05-19T09:00", "until": "2026-05-20T08:00"}, [f": {NEVER}"]),
        ({"from": "2026-12-25", "until": "2026-12-26", "holidays": ["2026-12-25"]}, [f": {NEVER}"]),
        ("08:00-20:00", [": must be a mapping (key: value), not text"]),
        ({"zone": "UTC"}, ["zone: unknown key"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_schedule_is_said(written: object, problems: list[str]) -> None:
    where = f"{WHERE}.schedule"
    expected = [f"{where}{problem}" if problem.startswith(":") else f"{where}.{problem}" for problem in problems]
    assert problems_of(changed(SCHEDULE, written)) == expected


@pytest.mark.parametrize(
    ("path", "value", "problems"),
    [
        (f"{ORDER}/paused_until", "tomorrow", [f"{WHERE}.paused_until: {MOMENT} 'tomorrow'"]),
        (f"{ORDER}/paused_until", True, [f"{WHERE}.paused_until: {MOMENT[:-5]}, not true or false"]),
        (f"{ORDER}/consent", "insured", [f"{WHERE}.consent: must be a list, not text"]),
        (f"{ORDER}/consent", ["phone", "age", "nope", "insured", "insured"],
         [f"{WHERE}.consent: there is no field 'nope'",
          f"{WHERE}.consent: 'insured' is listed twice",
          f"{WHERE}.consent: 'phone' is sent with the post only: consent must be there at the ping",
          f"{WHERE}.consent: 'age' is integer: consent is a boolean or a text field"]),
        (f"{CAMPAIGN}/consent", ["credit", "inssured"],
         ["campaigns.auto-us.consent: there is no field 'inssured'; did you mean insured?",
          "campaigns.auto-us.consent: 'credit' is enum: consent is a boolean or a text field"]),
        (f"{CAMPAIGN}/consent", ["insured"] * (CONSENTS_MAX + 1),
         [f"campaigns.auto-us.consent: holds more than {CONSENTS_MAX} entries"]),
        ("sellers/acme/exclude_buyers", ["norhtwind", "eastwind", "eastwind"],
         ["sellers.acme.exclude_buyers: there is no buyer 'norhtwind'; did you mean northwind?",
          "sellers.acme.exclude_buyers: 'eastwind' is listed twice"]),
        ("sellers/acme/exclude_buyers", None, ["sellers.acme.exclude_buyers: is empty: must be a list"]),
        ("buyers/northwind/exclude_sellers", ["acme", "nobody"],
         ["buyers.northwind.exclude_sellers: there is no seller 'nobody'"]),
    ],
)  # fmt: skip
def test_what_else_is_wrong_is_said(path: str, value: object, problems: list[str]) -> None:
    assert problems_of(changed(path, value)) == problems


def test_pauses_exclusions_and_consents_are_read() -> None:
    document: dict[str, Any] = example()
    document["orders"]["northwind-il"] |= {"paused_until": "2026-12-24T18:00", "consent": ["insured", "occupation"]}
    document["campaigns"]["auto-us"]["consent"] = ["occupation"]
    document["sellers"]["acme"]["exclude_buyers"] = ["northwind", "eastwind"]
    document["buyers"]["northwind"]["exclude_sellers"] = ["other"]
    market = read(document)
    order = market.orders["northwind-il"]
    assert order.paused_until == datetime(2026, 12, 24, 18)  # noqa: DTZ001  # a time on the wall
    assert order.consent == ("insured", "occupation")
    assert market.campaigns["auto-us"].consent == ("occupation",)
    assert market.sellers["acme"].exclude_buyers == {"northwind", "eastwind"}
    assert market.buyers["northwind"].exclude_sellers == {"other"}
    assert [str(change) for change in compare(read(example()), market)] == [
        "+ campaigns.auto-us.consent: [occupation]",
        "+ sellers.acme.exclude_buyers: [eastwind, northwind]",
        "+ buyers.northwind.exclude_sellers: [other]",
        "+ orders.northwind-il.paused_until: 2026-12-24T18:00",
        "+ orders.northwind-il.consent: [insured, occupation]",
    ]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ({"days": ["fri", "mon"], "hours": "22:00-06:00", "until": "2026-05-01"},
         "{days: [mon, fri], hours: 22:00-06:00, until: 2026-05-01}"),
        ({"windows": [{"days": ["sat"]}, {"days": ["sun"], "hours": "09:30-12:00"}], "from": "2026-05-01T12:00"},
         "{windows: [{days: [sat], hours: 00:00-24:00}, {days: [sun], hours: 09:30-12:00}], from: 2026-05-01T12:00}"),
        ({"days": ["sun"], "holidays": ["2026-12-27", "2026-12-06"]},
         "{days: [sun], hours: 00:00-24:00, holidays: [2026-12-06, 2026-12-27]}"),
    ],
)  # fmt: skip
def test_a_schedule_is_shown_as_it_is_written(written: object, shown: str) -> None:
    (change,) = compare(read(example()), read(changed(SCHEDULE, written)))
    assert str(change) == f"+ {WHERE}.schedule: {shown}"
    (back,) = compare(read(changed(SCHEDULE, written)), read(example()))
    assert str(back) == f"- {WHERE}.schedule: {shown}"
