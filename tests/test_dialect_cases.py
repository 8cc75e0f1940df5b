"""Every file under cases/dialects: what is sent for a lead, byte for byte, and what recorded answers mean."""

from pathlib import Path
from typing import Any

import pytest
from support.dialects import endpoint_of, wire_of

from exchange.dialect_cases import CaseError, differences, read_case
from exchange.marketfile.presets import MAPPED, NATIVE, PRESETS
from exchange.marketfile.source import parse

CASES = Path(__file__).parent / "cases/dialects"
DIALECTS = (NATIVE, MAPPED, *PRESETS)
FILES = sorted(CASES.glob("*/*/*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CASES)))
def test_case(path: Path) -> None:
    usual, own = parse((path.parents[1] / "endpoint.yaml").read_text()), parse(path.read_text())
    endpoint = endpoint_of(usual["endpoint"] | own.pop("endpoint", {}))
    wire = wire_of(endpoint, usual.get("secrets", {}) | own.pop("secrets", {}))
    assert differences(read_case(own), endpoint, wire) == []


def test_every_dialect_has_cases_of_both_kinds() -> None:
    assert {path.name for path in CASES.iterdir() if path.is_dir()} == {*DIALECTS}
    for name in DIALECTS:
        kinds = [len(list((CASES / name / kind).glob("*.yaml"))) for kind in ("exemplary", "supplemental")]
        assert min(kinds) >= 8, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CASES)))
def test_names_are_sentences(path: Path) -> None:
    assert len(path.stem.split("-")) >= 4
    assert path.stem == path.stem.lower()


PING = {"why": "because", "ping": {"lead": {"zip": "60601"}}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "says why"),
        ({"why": "x"}, "a ping or a post"),
        ({"why": "x", "ping": {}, "post": {}}, "a ping or a post"),
        (PING, "expects nothing"),
        (PING | {"answer": []}, "unknown key 'answer'"),
        (PING | {"sends": {"boddy": ""}}, "unknown key 'boddy' in sends"),
        (PING | {"answers": [{"body": "x"}]}, "without what it means"),
        (PING | {"answers": ["x"]}, "answers is no mapping"),
        ({"why": "x", "ping": {"bid_id": "1"}}, "unknown key 'bid_id' in ping"),
    ],
)
def test_a_case_that_says_nothing_is_a_mistake(document: dict[str, Any], message: str) -> None:
    with pytest.raises(CaseError, match=message):
        read_case(document)


BID = {"body": '{"status": "success", "price": "21", "auth_code": "a"}', "means": {"bid": 21, "bid_id": "a"}}


@pytest.mark.parametrize(
    ("changes", "tells"),
    [
        ({"sends": {"body": "{}"}}, "sends the body"),
        ({"sends": {"method": "PUT"}}, "sends by POST, not PUT"),
        ({"sends": {"url": "https://b.example/"}}, "calls https://b.example/ping"),
        ({"sends": {"headers": {"Content-Type": "text/xml"}}}, "sends the header Content-Type"),
        ({"sends": {"refused": "zip: not a day"}}, "sends what it should not"),
        ({"answers": [BID | {"means": {"bid": 20, "bid_id": "a"}}]}, "answer 1 means"),
        ({"answers": [BID, BID | {"means": {"bid": 21}}]}, "answer 2 means"),
        ({"answers": [BID | {"means": "accepted"}]}, "answer 1 means"),
        ({"answers": [BID | {"status": 500}]}, "answer 1 means"),
    ],
)
def test_what_is_not_as_recorded_is_told(changes: dict[str, Any], tells: str) -> None:
    endpoint = endpoint_of(
        {
            "dialect": "plain",
            "ping_url": "https://b.example/ping",
            "post_url": "https://b.example/post",
            "mapping": {"ping": {"fields": {"zip": "zip"}}},
        }
    )
    [told] = differences(read_case(PING | changes), endpoint, wire_of(endpoint))
    assert told.startswith(tells)
