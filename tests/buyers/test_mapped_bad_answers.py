"""What no buyer should send and some do: of no preset is it a bid, a sale or a clear no, and nothing raises."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.dialects import endpoint_of, wire_of

from exchange.buyers.dialects.wire import Dialect
from exchange.marketfile.presets import PRESETS
from exchange.marketfile.source import parse
from exchange.values.bid import Accepted, Bid, Refusal, Unknown
from exchange.values.market import Endpoint, Sale
from exchange.values.reason import Reason

CASES = Path(__file__).parents[1] / "cases/dialects"
PRICE = re.compile(r'"?\b21\.10?\b"?')
TOKEN = re.compile(r'"?\bT1\b"?')
BOMB = f'<!DOCTYPE b [<!ENTITY a "true"><!ENTITY b "{"&a;" * 9}"><!ENTITY c "{"&b;" * 9}">]>'
GROSS_MICROS = 21_100_000


class Preset:
    """A preset as its cases have it: its dialect, and an answer to a ping and to a post that is a yes."""

    def __init__(self, name: str) -> None:
        folder = CASES / name
        usual = parse((folder / "endpoint.yaml").read_text())
        self.endpoint: Endpoint = endpoint_of(usual["endpoint"])
        self.dialect: Dialect = wire_of(self.endpoint, usual.get("secrets", {})).dialect
        self.bid, self.sale = (
            parse((folder / f"exemplary/{file}.yaml").read_text())["answers"][0]["body"]
            for file in ("a-yes-with-a-price-is-a-bid", "a-yes-to-a-post-is-a-sale")
        )
        self.is_xml = self.bid.startswith("<")

    def asked(self, body: str | bytes, status: int = 200) -> Bid | Refusal:
        content = body.encode() if isinstance(body, str) else body
        return self.dialect.bid_reader(sale=Sale.EXCLUSIVE, currency="USD")(status, content)

    def posted(self, body: str | bytes, status: int = 200) -> object:
        content = body.encode() if isinstance(body, str) else body
        return self.dialect.read_delivery(status, content, GROSS_MICROS)

    def with_price(self, text: str | None, *, as_text: bool = True) -> str:
        return PRICE.sub(lambda _: self._written(text, as_text=as_text), self.bid, count=1)

    def with_token(self, written: str) -> str:
        return TOKEN.sub(lambda _: written, self.bid, count=1)

    def _written(self, text: str | None, *, as_text: bool) -> str:
        if self.is_xml:
            return (text or "").replace("&", "&amp;").replace("<", "&lt;")
        return "null" if text is None else json.dumps(text) if as_text else text


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest) -> Preset:
    return Preset(request.param)


def test_the_answers_that_are_spoiled_are_good(preset: Preset) -> None:
    assert preset.asked(preset.bid) == Bid(GROSS_MICROS, "T1")
    assert isinstance(preset.posted(preset.sale), Accepted)
    assert preset.asked(preset.with_price("22.00")) == Bid(22_000_000, "T1")
    assert preset.asked(preset.with_token("T2" if preset.is_xml else '"T2"')) == Bid(GROSS_MICROS, "T2")


@pytest.mark.parametrize("change", [str.upper, str.lower], ids=["upper", "lower"])
def test_words_may_be_in_any_case(preset: Preset, change: Callable[[str], str]) -> None:
    if preset.is_xml:
        body = re.sub(
            r">(success|accepted|matched|true)<", lambda word: change(word[0]), preset.bid, flags=re.IGNORECASE
        )
    else:
        body = json.dumps(json.loads(preset.bid, object_hook=lambda found: _in_case(found, change)))
        body = re.sub("t1", "T1", body)
    assert preset.asked(body) == Bid(GROSS_MICROS, "T1"), body


def _in_case(document: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """The words of an object, true and false among them, in another case."""
    words = {key: str(value) if isinstance(value, bool) else value for key, value in document.items()}
    return {key: change(value) if isinstance(value, str) else value for key, value in words.items()}


@pytest.mark.parametrize(
    "text",
    ["$1,234.50", "1,234.50", "21,00", "1.234,50", "1e3", "", " ", "-5", "+5", "NaN", "Infinity", "free", "21.00 USD",
     "0x15", "21.0000001", "1" * 13, "21.", ".50", "\u0662\u0661", "\uff12\uff11", "21\u00a0"],
)  # fmt: skip
def test_a_price_in_another_spelling_is_none(preset: Preset, text: str) -> None:
    found = preset.asked(preset.with_price(text))
    assert isinstance(found, Refusal), found
    assert found.reason is Reason.INVALID_PRICE


@pytest.mark.parametrize("written", ["1e3", "-5", "21.0000001", "NaN", "Infinity", "null", "true", "[21.1]", '{"a":1}'])
def test_a_price_that_is_no_plain_number_is_none(written: str) -> None:
    for preset in (found for found in map(Preset, PRESETS) if not found.is_xml):
        found = preset.asked(preset.with_price(written, as_text=False))
        assert isinstance(found, Refusal), (preset.bid, found)
        assert found.reason is Reason.INVALID_PRICE


def test_a_price_of_nothing_is_no_bid(preset: Preset) -> None:
    for text in ("0", "0.00", "0.000000"):
        assert preset.asked(preset.with_price(text)) == Refusal(Reason.NO_BID)


@pytest.mark.parametrize("written", ["null", "[1]", '{"a":1}', '""', json.dumps("x" * 256), '"a\\u0000b"', '"\\ud800"'])
def test_a_token_of_an_odd_kind_is_none(written: str) -> None:
    for preset in (found for found in map(Preset, PRESETS) if not found.is_xml):
        found = preset.asked(preset.with_token(written))
        assert isinstance(found, Refusal), (preset.bid, found)
        assert found.reason is Reason.INVALID_RESPONSE


def test_a_token_that_is_a_number_or_a_truth_value_goes_back_as_it_was_written() -> None:
    for preset in (found for found in map(Preset, PRESETS) if not found.is_xml):
        for written in ("77", "7e1", "0", "true"):
            assert preset.asked(preset.with_token(written)) == Bid(GROSS_MICROS, written)


@pytest.mark.parametrize("written", ["", "<a>1</a>", "x" * 256])
def test_an_element_without_a_token_is_none(written: str) -> None:
    for preset in (found for found in map(Preset, PRESETS) if found.is_xml):
        found = preset.asked(preset.with_token(written))
        assert isinstance(found, Refusal), (preset.bid, found)
        assert found.reason is Reason.INVALID_RESPONSE


def broken(preset: Preset, good: str) -> Iterator[tuple[str, bytes]]:
    """Answers that nobody can read, whatever they hold."""
    yield "empty", b""
    yield "blank", b" \r\n"
    yield "cut short", good[:-1].encode()
    yield "twice", (good + good).encode()
    yield "UTF-16", good.encode("utf-16")
    yield "in another charset", good.replace("T1", "é").replace("L7", "é").encode("iso-8859-1")
    yield "a page", b"<html><head><title>OK</title></head><body><p>success true Matched ACCEPTED<br></body></html>"
    yield "a page in XML", b"<html><body><p>success true Matched ACCEPTED 21.10</p></body></html>"
    yield "a page around it", f"<html><body><pre>{json.dumps(good)}</pre></body></html>".encode()
    yield "200 KB of nothing", b"x" * 200_000
    yield "deep", b"[" * 100_000 + b"]" * 100_000
    yield "deep in XML", b"<a>" * 40_000 + b"</a>" * 40_000
    if preset.is_xml:
        yield "a document type", b"<!DOCTYPE a>" + good.encode()
        yield "entities", (BOMB + good.replace("true", "&c;").replace("Matched", "&c;")).encode()
        yield "an entity that nobody declared", good.replace("true", "&yes;").replace("Matched", "&yes;").encode()
        yield "one from outside", b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">' + good.encode()
        yield "a fault", _enveloped(f"<s:Fault><detail>{good}</detail></s:Fault>")
        yield "a fault beside it", _enveloped(f"{good}<s:Fault/>")
        yield "an open tag", good.replace(">", "", 1).encode()
        yield "200 KB of elements", b"<a>" + b"<b/>" * 50_000 + good.encode() + b"</a>"
    else:
        yield "a repeated key", (good[:-1] + "," + good[1:]).encode()
        yield "a list of it", f"[{good}]".encode()
        yield "as a text", json.dumps(good).encode()
        yield "a comment behind it", (good + " // ok").encode()


def _enveloped(body: str) -> bytes:
    envelope = "http://schemas.xmlsoap.org/soap/envelope/"
    return f'<s:Envelope xmlns:s="{envelope}"><s:Body>{body}</s:Body></s:Envelope>'.encode()


def test_what_cannot_be_read_is_no_bid(preset: Preset) -> None:
    for what, body in broken(preset, preset.bid):
        found = preset.asked(body)
        assert isinstance(found, Refusal), (what, found)
        assert found.reason is Reason.INVALID_RESPONSE, what


def test_what_cannot_be_read_leaves_a_post_unknown(preset: Preset) -> None:
    for what, body in broken(preset, preset.sale):
        for status in (200, 202, 400, 409, 502):
            found = preset.posted(body, status)
            assert isinstance(found, Unknown), (what, status, found)


@pytest.mark.parametrize("status", [100, 301, 302, 400, 401, 404, 409, 429, 500, 503])
def test_a_yes_with_another_status_is_none(preset: Preset, status: int) -> None:
    found: Any = preset.asked(preset.bid, status)
    assert isinstance(found, Refusal)
    assert isinstance(preset.posted(preset.sale, status), Unknown)


def test_200_kb_around_a_yes_change_nothing_of_what_it_means(preset: Preset) -> None:
    padding = " " * 200_000
    assert preset.asked(preset.bid + padding) == Bid(GROSS_MICROS, "T1")
    assert isinstance(preset.posted(preset.sale + padding), Accepted)
