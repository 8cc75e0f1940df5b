"""What turns a part of the format off is accepted, and what a field with several values cannot be is refused."""

from typing import Any

import pytest
from market_example import changed, problems_of

ORDER = "orders/northwind-il"
CAMPAIGN = "campaigns/auto-us"
ENDPOINT = "buyers/northwind/endpoint"


def with_tags(path: str, value: Any) -> dict[str, Any]:
    """The example with a field that has several values, and one value changed."""
    document = changed(path, value)
    document["verticals"]["auto_insurance"]["fields"]["tags"] = {"type": "text", "in": "ping", "multiple": True}
    return document


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


def test_what_must_be_one_value_cannot_be_of_a_field_with_several() -> None:
    document = with_tags("verticals/auto_insurance/identity", ["phone", "tags"])
    document["orders"]["northwind-il"]["consent"] = ["tags"]
    assert problems_of(document) == [
        "verticals.auto_insurance.identity: 'tags' has several values: nobody could be told by one of them",
        "orders.northwind-il.consent: 'tags' has several values: consent has one",
    ]
