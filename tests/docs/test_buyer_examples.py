"""What buyers' wires look like on the page: each endpoint there sends those bytes, and means that by those answers."""

import re
from pathlib import Path

import pytest
from support.dialects import endpoint_of, wire_of

from exchange.dialect_cases import heard, meaning, read_case, request_of
from exchange.marketfile.presets import PRESETS
from exchange.marketfile.source import Document, parse
from exchange.values.mapping import Body

PAGE = (Path(__file__).parents[2] / "docs/integrate/buyers.md").read_text()
SECTION = PAGE.partition("## Buyers with a wire of their own")[2].partition("\n## ")[0]
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```\n\n```text\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
URLS = {"ping_url": "https://buyer.example/ping", "post_url": "https://buyer.example/post"}
KEY = "k-1"
AT_PING = {"zip": "60601", "state": "IL", "age": 41, "credit": "good"}
WHOLE = AT_PING | {"first_name": "Ann", "phone": "+13125550123", "email": "ann@example.com"}
GIVEN: dict[str, Document] = {"ping": {"lead": AT_PING}, "post": {"lead": WHOLE, "bid_id": "T1"}}
MEANS = {"ping": {"bid": "21.00", "bid_id": "T1"}, "post": {"accepted": True, "reference": "L7"}}


def title(example: tuple[str, str]) -> str:
    """What it is called: its dialect, and the body of its ping where that is its own."""
    written = parse(example[0])
    return " ".join(filter(None, [written["dialect"], written.get("mapping", {}).get("ping", {}).get("body")]))


def dialogue(text: str) -> dict[str, tuple[str, str]]:
    """What is sent and what comes back, of ping and post; what begins further right goes on with the line before."""
    whole = re.sub(r"\n {7}", "", text)
    lines = re.findall(r"^(ping|post) → (.*)\n     ← (.*)$", whole, re.MULTILINE)
    assert len(whole.splitlines()) == 2 * len(lines)
    return {message: (sent, answer) for message, sent, answer in lines}


def test_there_is_one_for_every_preset_and_for_every_kind_of_body() -> None:
    assert len(re.findall("^```yaml$", SECTION, re.MULTILINE)) == len(EXAMPLES)
    bodies = {f"mapped {body}" for body in Body} - {f"mapped {Body.SOAP12}"}  # the page says: the same as soap11
    assert {title(example) for example in EXAMPLES} == {"native", *PRESETS, *bodies}


@pytest.mark.parametrize("example", EXAMPLES, ids=title)
@pytest.mark.parametrize("message", ["ping", "post"])
def test_what_is_sent_and_what_the_answer_means_are_as_the_page_says(example: tuple[str, str], message: str) -> None:
    written_so = parse(example[0])
    asked = {"status_url": "https://buyer.example/status"} if "status" in written_so.get("mapping", {}) else {}
    endpoint = endpoint_of(URLS | asked | written_so)
    wire = wire_of(endpoint, dict.fromkeys(re.findall(r"env:(\w+)", example[0]), KEY))
    sent, answer = dialogue(example[1])[message]
    case = read_case({"why": "as on the page", message: GIVEN[message], "answers": [{"body": answer, "means": "?"}]})
    written = request_of(case, endpoint, wire)
    assert sent == (written.body.decode() or f"{written.method} {written.url}")
    assert meaning(heard(case, wire, 200, answer.encode())) == MEANS[message]


def test_the_sample_lead_is_the_one_that_is_sent() -> None:
    [sample] = [text for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if '"zip": "60601", "age"' in text][
        -1:
    ]
    assert parse(sample) | {"phone": WHOLE["phone"], "state": WHOLE["state"]} == WHOLE
