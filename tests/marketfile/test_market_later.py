"""What the format knows but the exchange does not do yet is refused by name: never ignored, never called unknown."""

from typing import Any

import pytest
from market_example import changed, problems_of

ORDER = "orders/northwind-il"
CAMPAIGN = "campaigns/auto-us"
ENDPOINT = "buyers/northwind/endpoint"

LATER: list[tuple[str, Any, str]] = [
    ("verticals/auto_insurance/fields/zip/multiple", True, "a field with several values"),
]


@pytest.mark.parametrize(("path", "value", "what"), LATER)
def test_what_is_not_built_is_refused_by_name(path: str, value: Any, what: str) -> None:
    assert problems_of(changed(path, value)) == [f"{path.replace('/', '.')}: not supported yet: {what}"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("verticals/auto_insurance/fields/zip/multiple", False),
        (f"{CAMPAIGN}/method", "highest_bid"),
        (f"{CAMPAIGN}/fallback", "none"),
        (f"{CAMPAIGN}/duplicates", None),
        (f"{CAMPAIGN}/caps", {}),
        ("sellers/acme/caps", None),
        ("buyers/northwind/duplicates", None),
        (f"{ORDER}/budget", None),
        (f"{ENDPOINT}/dialect", "native"),
        (f"{ENDPOINT}/status_url", None),
        (f"{ENDPOINT}/idempotent_post", False),
        (f"{ENDPOINT}/unknown", None),
        (f"{ENDPOINT}/auth", "none"),
        (f"{ORDER}/price", "bid"),
        (f"{ORDER}/schedule", None),
        (f"{ORDER}/caps", {}),
        (f"{ORDER}/budget", {}),
        (f"{ORDER}/weight", None),
        (f"{ORDER}/exclude_sellers", []),
    ],
)
def test_what_turns_it_off_is_accepted(path: str, value: Any) -> None:
    assert problems_of(changed(path, value)) == []


def test_the_rest_of_a_file_is_still_checked() -> None:
    document = changed("verticals/auto_insurance/fields/zip/multiple", True)
    document["orders"]["northwind-il"]["buyer"] = "nobody"
    assert problems_of(document) == [
        "verticals.auto_insurance.fields.zip.multiple: not supported yet: a field with several values",
        "orders.northwind-il.buyer: there is no buyer 'nobody'",
    ]
