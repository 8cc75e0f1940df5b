"""What buyers are told of notices is right: the code on the page, with the page's own notice and its signature."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

PAGE = (Path(__file__).parents[2] / "docs/integrate/buyers.md").read_text()
SECTION = PAGE.partition("## Notices of your bids\n")[2].partition("\n## ")[0]
[CODE] = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
[BODY] = re.findall(r"```text\n(.*)\n```", SECTION)
[SHOWN] = re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)
VECTOR = dict(re.findall(r"^\| (?:`)?(secret|webhook-[a-z]+)`? \| `(.*)` \|$", SECTION, re.MULTILINE))
HEADERS = {name: value for name, value in VECTOR.items() if name.startswith("webhook-")}
NOW = int(HEADERS["webhook-timestamp"])


def bids_in(**changes: Any) -> Any:
    found: dict[str, Any] = {}
    exec(CODE, found)  # noqa: S102  # that is what is tested
    headers = HEADERS | changes.pop("headers", {})
    return found["bids_in"](
        **{"headers": headers, "body": BODY.encode(), "secret": VECTOR["secret"], "now": NOW} | changes
    )


def test_the_notice_on_the_page_is_found_genuine_and_read() -> None:
    [bid] = bids_in()
    assert (bid["won"], bid["reason"]["name"], bid["clearing_price"]) == (False, "outbid", "21.50")
    assert json.loads(BODY) == json.loads(SHOWN)


def test_another_implementation_signs_it_alike() -> None:
    signature = Webhook(VECTOR["secret"]).sign(HEADERS["webhook-id"], datetime.fromtimestamp(NOW, UTC), BODY)
    assert signature == HEADERS["webhook-signature"]


@pytest.mark.parametrize(
    "changes",
    [
        {"body": BODY.replace("20.00", "20.01").encode()},
        {"secret": "whsec_" + "A" * 32},
        {"now": NOW + 301},
        {"headers": {"webhook-id": "another"}},
        {"headers": {"webhook-signature": "v1,AAAA"}},
    ],
)
def test_anything_else_is_not(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"signed|old"):
        bids_in(**changes)
