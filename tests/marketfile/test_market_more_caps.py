"""Sub-caps, spacing, pacing and share caps in the market file."""

from typing import Any

import pytest
from market_example import changed, problems_of, put

from exchange.marketfile import limits
from exchange.marketfile.difference import compare
from exchange.marketfile.reader import read
from exchange.marketfile.scalars import KEY_RULE
from exchange.values.filters import Condition, Filter
from exchange.values.market import PACING_BURST, Pacing, Period, ShareCap, SubCap

ORDER = "orders/northwind-il"
PATH = "orders.northwind-il"
GOOD = {"name": "good", "when": {"credit": ["good"]}, "caps": {"month": 50}, "budget": {"day": "10.5"}}


def with_keys(**keys: Any) -> dict[str, Any]:
    document = changed(f"{ORDER}/paused", False)
    for key, value in keys.items():
        put(document, f"{ORDER}/{key}", value)
    return document


def test_they_are_read() -> None:
    keys = {"spacing_s": 60, "pacing": "even", "share_cap": {"percent": "12.5", "of": "week"}}
    order = read(with_keys(**keys, caps={"day": 5}, sub_caps=[GOOD])).orders["northwind-il"]
    when = Filter({"credit": Condition(any_of=frozenset({"good"}))})
    assert order.sub_caps == (SubCap("good", when, {Period.MONTH: 50}, {Period.DAY: 10_500_000}),)
    assert (order.spacing_s, order.pacing, order.share_cap) == (
        60,
        Pacing(PACING_BURST),
        ShareCap(125_000, Period.WEEK),
    )
    plain = read(with_keys()).orders["northwind-il"]
    assert (plain.sub_caps, plain.spacing_s, plain.pacing, plain.share_cap) == ((), None, None, None)


def test_a_burst_may_be_given_and_may_be_nothing() -> None:
    for burst, parts in ((0, 0), ("2.5", 25_000), (None, PACING_BURST)):
        found = read(with_keys(pacing="even", pacing_burst=burst, budget={"day": 9})).orders["northwind-il"]
        assert found.pacing == Pacing(parts)


def test_a_share_cap_may_be_of_everything() -> None:
    assert read(with_keys(share_cap={"percent": 100, "of": "total"})).orders["northwind-il"].share_cap == ShareCap(
        1_000_000, Period.TOTAL
    )


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"spacing_s": 0}, ".spacing_s: must be from 1 to 86400, not 0"),
        ({"spacing_s": "60"}, ".spacing_s: must be a whole number, not text"),
        ({"pacing": "fast"}, ".pacing: must be even, not 'fast'"),
        ({"pacing": "even", "caps": {"hour": 5}},
         ": pacing needs a cap or a budget for the day, which it spreads"),
        ({"pacing_burst": 5, "caps": {"day": 5}},
         ": pacing_burst says how far pacing may be ahead: there is no pacing"),
        ({"share_cap": {"percent": 0, "of": "day"}}, ".share_cap.percent: must be more than 0, not 0"),
        ({"share_cap": {"percent": 20}}, ".share_cap.of: is missing"),
        ({"share_cap": {"percent": 20, "of": "year"}},
         ".share_cap.of: must be one of hour, day, week, month, total, not 'year'"),
        ({"sub_caps": {}}, ".sub_caps: must be a list, not a mapping"),
        ({"sub_caps": [{"name": "x", "when": {}}]}, ".sub_caps[0]: limits nothing: give it caps, or a budget"),
        ({"sub_caps": [{"name": "x", "when": {}, "caps": {}}]},
         ".sub_caps[0]: limits nothing: give it caps, or a budget"),
        ({"sub_caps": [{"when": {}, "caps": {"day": 1}}]}, ".sub_caps[0].name: is missing"),
        ({"sub_caps": [{"name": "a/b", "when": {}, "caps": {"day": 1}}]},
         f".sub_caps[0].name: {KEY_RULE}"),
        ({"sub_caps": [GOOD, GOOD | {"when": {}}]}, ": has two sub_caps of the name good"),
        ({"sub_caps": [GOOD | {"when": {"credt": "good"}}]},
         ".sub_caps[0].when.credt: there is no field 'credt'; did you mean credit?"),
        ({"sub_caps": [GOOD | {"caps": {"day": -1}}]},
         ".sub_caps[0].caps.day: must be from 0 to 1000000000, not -1"),
        ({"sub_caps": [GOOD] * (limits.SUB_CAPS_MAX + 1)}, ".sub_caps: holds more than 50 entries"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(keys: dict[str, Any], problem: str) -> None:
    assert PATH + problem in problems_of(with_keys(**keys))


def test_a_difference_shows_what_has_changed_in_them() -> None:
    before = read(with_keys(caps={"day": 5}, sub_caps=[GOOD]))
    sub_caps = [GOOD | {"caps": {"month": 60}}]
    keys = {"pacing": "even", "spacing_s": 30, "share_cap": {"percent": 20, "of": "day"}}
    after = read(with_keys(caps={"day": 5}, sub_caps=sub_caps, **keys))
    shown = "\n".join(map(str, compare(before, after)))
    for text in ("sub_caps.good.caps.month", "60", "pacing", "even", "spacing_s", "{percent: 20, of: day}"):
        assert text in shown
