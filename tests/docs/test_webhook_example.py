"""What sellers are told of verifying a webhook is right: the code on the page, with the page's own test vector."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs/integrate/sellers.md").read_text()
[CODE] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
VECTOR = dict(re.findall(r"^\| (?:`)?(secret|webhook-[a-z]+|body)`? \| `(.*)` \|$", PAGE, re.MULTILINE))


def is_genuine(**changes: Any) -> bool:
    found: dict[str, Any] = {}
    exec(CODE, found)  # noqa: S102  # that is what is tested
    headers = {name: value for name, value in VECTOR.items() if name.startswith("webhook-")}
    known = {"headers": headers, "body": VECTOR["body"].encode(), "secret": VECTOR["secret"], "now": 1614265400}
    known["headers"] = headers | changes.pop("headers", {})
    return bool(found["is_genuine"](**known | changes))


def test_the_vector_is_found_genuine() -> None:
    assert is_genuine()
    assert is_genuine(headers={"webhook-signature": f"v1,AAAA {VECTOR['webhook-signature']}"})


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b"{}"},
        {"secret": "whsec_" + "A" * 32},
        {"now": 1614265330 + 301},
        {"headers": {"webhook-id": "msg_other"}},
        {"headers": {"webhook-timestamp": "1614265331"}},
        {"headers": {"webhook-signature": "v1,AAAA"}},
    ],
)
def test_anything_else_is_not(changes: dict[str, Any]) -> None:
    assert not is_genuine(**changes)
