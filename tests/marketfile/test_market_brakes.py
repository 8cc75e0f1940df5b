"""How an endpoint is spared, as a market file says it: read, refused, and written down again."""

from typing import Any

import pytest
from support.market import market

from exchange.errors import MarketFileError
from exchange.marketfile.leaves import flow
from exchange.marketfile.reader import read
from exchange.marketfile.tree import describe
from exchange.rules.brake import Phase, Usual
from exchange.values.brakes import BreakerWish, Rate
from exchange.values.market import Buyer

WHOLE = {
    "breaker": {
        "enabled": False,
        "shadow": True,
        "percent": 60,
        "calls": 50,
        "post_calls": 10,
        "window_s": 10,
        "post_window_s": 300,
        "rest_s": 10,
        "probes": 2,
        "pause_after_s": 3600,
    },
    "rate": {"per_s": 50, "burst": 100},
    "in_flight": 20,
}


def buyer(**endpoint: Any) -> Buyer:
    document = market({"north": "http://127.0.0.1:9"})
    document["buyers"]["north"]["endpoint"] |= endpoint
    return read(document).buyers["north"]


def test_everything_is_read_and_written_down_again() -> None:
    found = buyer(**WHOLE).endpoints["default"]
    assert found.breaker == BreakerWish(
        enabled=False,
        shadow=True,
        failed_percent=60,
        calls_min=50,
        post_calls_min=10,
        window_s=10,
        post_window_s=300,
        rest_first_s=10,
        probe_percent=2,
        pause_after_s=3600,
    )
    assert (found.rate, found.in_flight_max) == (Rate(50, 100), 20)
    text = flow(describe(buyer(**WHOLE)))
    breaker = ", ".join(
        f"{key}: {str(value).lower()}"
        for key, value in WHOLE["breaker"].items()  # type: ignore[attr-defined]
    )
    assert f"breaker: {{{breaker}}}, rate: {{per_s: 50, burst: 100}}, in_flight: 20" in text


def test_nothing_said_is_as_usual_and_not_written_down() -> None:
    found = buyer().endpoints["default"]
    assert (found.breaker, found.rate, found.in_flight_max) == (BreakerWish(), None, None)
    text = flow(describe(buyer()))
    assert not any(key in text for key in ("breaker", "rate", "in_flight"))
    assert buyer(rate={"per_s": 7}).endpoints["default"].rate == Rate(7, 7)


def test_what_is_not_said_the_settings_say() -> None:
    usual = Usual(calls_min=77, window_s=12.0, post_window_s=120.0, rest_longest_s=60.0)
    ping, post = (usual.terms(BreakerWish(failed_percent=9, rest_first_s=90), phase) for phase in Phase)
    assert (ping.calls_min, ping.failed_percent, ping.window_s, post.window_s) == (77, 9, 12.0, 120.0)
    assert post.calls_min == 20
    assert (ping.rest_first_s, ping.rest_longest_s) == (90, 90)


@pytest.mark.parametrize(
    ("endpoint", "path", "message"),
    [
        ({"breaker": None}, "breaker", "is empty"),
        ({"breaker": {"calls": 4}}, "breaker.calls", "must be from 5 to 100000, not 4"),
        ({"breaker": {"percent": 101}}, "breaker.percent", "must be from 1 to 100"),
        ({"breaker": {"probes": 51}}, "breaker.probes", "must be from 1 to 50"),
        ({"breaker": {"pause_after_s": 59}}, "breaker.pause_after_s", "must be from 60"),
        ({"breaker": {"shadow": "yes"}}, "breaker.shadow", "true or false"),
        ({"breaker": {"open": True}}, "breaker.open", "unknown key"),
        ({"rate": {"burst": 3}}, "rate.per_s", "is missing"),
        ({"rate": {"per_s": 0}}, "rate.per_s", "must be from 1"),
        ({"in_flight": 0}, "in_flight", "must be from 1 to 100000"),
    ],
)
def test_what_makes_no_sense_is_refused(endpoint: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(MarketFileError) as caught:
        buyer(**endpoint)
    [problem] = caught.value.problems
    assert problem.path == f"buyers.north.endpoint.{path}"
    assert message in problem.message
