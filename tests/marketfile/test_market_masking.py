"""Secrets written out are covered wherever they stand, and found again where they stood; nothing else is touched."""

from typing import Any

import pytest
from market_example import example
from support.market import market

from exchange.errors import MarketFileError
from exchange.marketfile.masking import is_masked, mask, unmask
from exchange.marketfile.reader import read

URL = {"ping_url": "http://127.0.0.1:9", "post_url": "http://127.0.0.1:9"}


def document(auth: Any) -> dict[str, Any]:
    found = example()
    found["buyers"] = {"northwind": {"endpoints": {"auth": URL | {"auth": auth}}}}
    found["orders"] = {}
    found["sellers"]["auth"] = {"campaigns": ["auto-us"]}
    return found


AUTHS: list[tuple[Any, Any]] = [
    ("none", "none"),
    (None, None),
    ({"bearer": "hush"}, {"bearer": "***"}),
    ({"bearer": 12345}, {"bearer": "***"}),
    ({"bearer": "${env:TOKEN}"}, {"bearer": "${env:TOKEN}"}),
    ({"bearer": "pre-${env:TOKEN}"}, {"bearer": "***${env:TOKEN}"}),
    ({"basic": {"user": "me", "password": "hush"}}, {"basic": {"user": "me", "password": "***"}}),
    ({"header": {"name": "X-Key", "value": "hush"}}, {"header": {"name": "X-Key", "value": "***"}}),
    ({"later": {"name": "k", "client_secret": "hush"}}, {"later": {"name": "k", "client_secret": "***"}}),
]


@pytest.mark.parametrize(("auth", "covered"), AUTHS)
def test_secrets_are_covered_and_found_again(auth: Any, covered: Any) -> None:
    whole = document(auth)
    found = mask(whole)
    assert found == document(covered)
    assert is_masked(found) == ("***" in str(covered))
    again = unmask(found, whole)["buyers"]["northwind"]["endpoints"]["auth"]["auth"]
    assert again == (auth if auth != {"bearer": 12345} else {"bearer": "12345"})


def test_the_original_is_left_as_it_is() -> None:
    whole = document({"bearer": "hush"})
    mask(whole)
    assert whole == document({"bearer": "hush"})


@pytest.mark.parametrize("base", [{}, {"buyers": 1}, document("none"), document({"bearer": "${env:TOKEN}"})])
def test_a_cover_over_nothing_is_a_mistake(base: dict[str, Any]) -> None:
    with pytest.raises(MarketFileError) as raised:
        unmask(document({"bearer": "***"}), base)
    [problem] = raised.value.problems
    assert problem.path == "buyers.northwind.endpoints.auth.auth.bearer"


@pytest.mark.parametrize(
    "broken", [{}, {"buyers": []}, {"buyers": {"b": 1, "c": {"endpoint": 2, "endpoints": {"x": 3}}}}]
)
def test_what_is_no_market_passes_untouched(broken: dict[str, Any]) -> None:
    assert mask(broken) == broken


def test_a_market_can_be_read_covered() -> None:
    whole = market({"high": "http://127.0.0.1:9"})
    whole["buyers"]["high"]["endpoint"]["auth"] = {"bearer": "hush"}
    assert read(mask(whole)).buyers["high"].endpoints["default"].auth.secret == "***"
