"""Whatever a lead holds, an independent parser reads what was meant; whatever a buyer answers, nothing raises."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from lxml import etree
from support.dialects import endpoint_of, wire_of

from exchange.buyers.dialects.amounts import amount_reader
from exchange.buyers.dialects.paths import PathError, json_finder, json_path, xml_path
from exchange.buyers.dialects.wire import Dialect, Ping, Post, Unsendable
from exchange.buyers.dialects.xml_reading import UnreadableXmlError, read_xml
from exchange.buyers.line import header_lines
from exchange.dialect_cases import ATTEMPT_ID, PING_ID
from exchange.values.bid import Accepted, Bid, Refusal, Rejected, Unknown
from exchange.values.mapping import Money
from exchange.values.market import Sale
from exchange.values.money import AMOUNT_MICROS_MAX, MICROS_PER_CENT

URLS = {"ping_url": "https://b.example/ping", "post_url": "https://b.example/post"}
JSON_REPLY: dict[str, Any] = {
    "format": "json",
    "error": {"at": "error", "exists": True},
    "duplicate": {"at": "why", "matches": "dup"},
    "reject": {"at": "ok", "is": [False, "no"]},
    "success": {"at": "ok", "is": [True, "yes"]},
}
XML_REPLY: dict[str, Any] = {
    "format": "xml",
    "error": {"at": "//error", "exists": True},
    "reject": {"at": "//ok", "is": "no"},
    "success": {"at": "//ok", "is": "yes"},
}
TEXT_REPLY: dict[str, Any] = {"format": "text", "reject": {"matches": "no"}, "success": {"matches": "yes"}}
BID: dict[str, Any] = {
    "json": {"price": "price", "bid_id": {"at": "id", "optional": True}},
    "xml": {"price": "//price", "bid_id": {"at": "//id", "optional": True}},
    "text": {"price": {"matches": "price=([0-9.]+)"}, "bid_id": {"matches": "id=(.+)", "optional": True}},
}


def dialect(body: str, reply: dict[str, Any] | None = None, **message: Any) -> Dialect:
    """A dialect with two fields of the lead, in this body."""
    reply = reply or JSON_REPLY
    fields = message.pop("fields", {"a.first": "one", "a.second": "two"})
    shared = {"body": body, "fields": fields} | message
    ping = shared | {"reply": reply | BID[reply["format"]]}
    endpoint = {"dialect": "mapped", **URLS, "mapping": {"ping": ping, "post": shared | {"reply": reply}}}
    return wire_of(endpoint_of(endpoint)).dialect


def ping(**lead: str) -> Ping:
    return Ping(PING_ID, "o", "c", "v", False, "USD", 5_000_000, Sale.EXCLUSIVE, lead)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["a\r\nX-Evil: y",  "<b>&amp;</b>", "]]>", '"', "'", "{{x}}", "${env:K}", "%s", "\u202eabc\u2066", "\t\n", "&#0;",
     "é&=?#", " edge ", "</first><second>2</second>", "\u0085\u2028", "\ufeff", "a\x0bb", "\ufffe", "\x7f",
     "\0", "a\0b", "{}", "\u200f\u061c"]
)  # fmt: skip


@given(TEXTS, TEXTS)
def test_json_is_read_as_it_was_meant(one: str, two: str) -> None:
    body = DIALECTS["json"].ping(ping(one=one, two=two)).body
    assert json.loads(body) == {"a": {"first": one, "second": two}}


@given(TEXTS, TEXTS)
def test_a_form_is_read_as_it_was_meant(one: str, two: str) -> None:
    body = DIALECTS["form"].ping(ping(one=one, two=two)).body
    assert parse_qsl(body.decode("ascii"), keep_blank_values=True) == [("a.first", one), ("a.second", two)]


@given(TEXTS, TEXTS)
def test_a_query_is_read_as_it_was_meant(one: str, two: str) -> None:
    request = DIALECTS["query"].ping(ping(one=one, two=two))
    assert parse_qsl(request.query, keep_blank_values=True) == [("a.first", one), ("a.second", two)]
    assert request.query.isascii()
    assert not set(request.query) & set(" #/?\r\n\0")


@pytest.mark.parametrize("body", ["xml", "soap11", "soap12", "ascii"])
@given(TEXTS, TEXTS)
def test_xml_is_read_as_it_was_meant_or_not_sent(body: str, one: str, two: str) -> None:
    try:
        sent = DIALECTS[body].ping(ping(one=one, two=two)).body
    except Unsendable:
        assert any(not _in_xml(character) for character in one + two)
        return
    root = etree.fromstring(sent, etree.XMLParser(resolve_entities=False))
    first, second = root.findall(".//{*}first"), root.findall(".//{*}second")
    assert [(item.text or "") for item in first] == [one]
    assert [item.get("x") for item in second] == [two]
    assert len(list(root.iter())) == (6 if body.startswith("soap") else 4)


def _in_xml(character: str) -> bool:
    """Whether XML 1.0 can carry a character, as its grammar has it."""
    code = ord(character)
    return code in {0x9, 0xA, 0xD} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


@given(TEXTS)
def test_a_header_holds_a_value_or_is_not_sent(text: str) -> None:
    try:
        headers = DIALECTS["header"].ping(ping(one=text)).headers
    except Unsendable:
        assert text != text.strip() or any(not (" " <= item <= "~" or "\xa0" <= item <= "\xff") for item in text)
        return
    lines = header_lines("POST", "/", "b.example", headers)
    head = "\r\n".join(lines).encode("latin-1")
    received = dict(line.split(b":", 1) for line in head.split(b"\r\n")[1:])
    assert received[b"X-One"].strip(b" \t").decode("latin-1") == text
    assert len(received) == len(lines) - 1


LISTS = st.lists(TEXTS, min_size=1, max_size=4)


@given(LISTS, TEXTS)
def test_several_values_in_json_are_a_list_or_one_text(several: list[str], one: str) -> None:
    body = SEVERAL["json"].ping(lead_of(several, one)).body
    joined, all_of_them = "|".join(several), [*several, one]
    assert json.loads(body) == {
        "a": {"all": several, "joined": joined, "in": [all_of_them], "text": " ".join(all_of_them)}
    }


@pytest.mark.parametrize("body", ["form", "query"])
@given(LISTS, TEXTS)
def test_several_values_in_forms_and_queries_are_the_same_name_again(body: str, several: list[str], one: str) -> None:
    request = SEVERAL[body].ping(lead_of(several, one))
    sent = request.query or request.body.decode("ascii")
    meant = [*(("all", item) for item in several), ("joined", "|".join(several)), ("one", one)]
    assert parse_qsl(sent, keep_blank_values=True) == meant


@pytest.mark.parametrize("body", ["xml", "soap11"])
@given(LISTS, TEXTS)
def test_several_values_in_xml_are_the_same_element_again_or_not_sent(body: str, several: list[str], one: str) -> None:
    try:
        sent = SEVERAL[body].ping(lead_of(several, one)).body
    except Unsendable:
        assert any(not _in_xml(character) for character in "".join(several) + one)
        return
    root = etree.fromstring(sent, etree.XMLParser(resolve_entities=False))
    assert [(item.text or "") for item in root.findall(".//{*}all")] == several
    [parent] = root.findall(".//{*}joined")
    assert parent.get("x") == "|".join(several)
    assert [(item.text or "") for item in root.findall(".//{*}one")] == [one]


@pytest.mark.parametrize(("body", "place"), [("headed", "X-All"), ("attribute", "@x"), ("own-text", "#")])
def test_several_values_are_not_sent_where_one_can_stand(body: str, place: str) -> None:
    with pytest.raises(Unsendable, match=f"{place}: several values where one can stand"):
        SEVERAL[body].ping(lead_of(["a", "b"], "c"))


def test_each_of_several_values_is_written_as_it_is_said() -> None:
    asked = Ping(
        PING_ID, "o", "c", "v", False, "USD", 5_000_000, Sale.EXCLUSIVE, {"all": ["a", "b", "c"], "n": [1, 22]}
    )
    assert json.loads(SEVERAL["written"].ping(asked).body) == {
        "words": ["one", "two", "?"], "numbers": ["1", "22"], "joined": "1,2", "cut": ["A", "B", "C"], "some": "there",
    }  # fmt: skip


def lead_of(several: list[str], one: str) -> Ping:
    return Ping(PING_ID, "o", "c", "v", False, "USD", 5_000_000, Sale.EXCLUSIVE, {"all": list(several), "one": one})


JOINED: dict[str, Any] = {"field": "all", "join": "|"}
SEVERAL_JSON: dict[str, Any] = {
    "a.all": "all",
    "a.joined": JOINED,
    "a.in[0]": {"list": ["all", "one"]},
    "a.text": {"list": ["all", "one"], "join": " "},
}
SEVERAL_FORM: dict[str, Any] = {"all": "all", "joined": JOINED, "one": "one"}
SEVERAL_XML: dict[str, Any] = {"a.all": "all", "a.joined.@x": JOINED, "a.one": "one"}
WRITTEN: dict[str, Any] = {
    "words": {"field": "all", "values": {"a": "one", "b": "two"}, "otherwise": "?"},
    "numbers": {"field": "n", "as": "text"},
    "joined": {"field": "n", "values": {"22": "2"}, "join": ","},
    "cut": {"field": "all", "case": "upper", "max_chars": 1},
    "some": {"const": "there", "when": {"field": "all", "is": ["b", "x"]}},
    "none": {"const": "there", "when": {"field": "all", "is": ["x"]}},
    "not": {"const": "there", "when": {"field": "all", "not": ["b"]}},
}
SEVERAL = {
    "json": dialect("json", fields=SEVERAL_JSON),
    "form": dialect("form", fields=SEVERAL_FORM),
    "query": dialect("query", method="GET", fields=SEVERAL_FORM),
    "xml": dialect("xml", root="L", fields=SEVERAL_XML),
    "soap11": dialect("soap11", root="L", namespace="urn:x", fields=SEVERAL_XML),
    "headed": dialect("json", fields={}, headers={"X-All": "all"}),
    "attribute": dialect("xml", root="L", fields={"a.@x": "all"}),
    "own-text": dialect("xml", root="L", fields={"a.#": "all", "a.@y": "one"}),
    "written": dialect("json", fields=WRITTEN),
}
XML_FIELDS = {"a.first": "one", "a.second.@x": "two"}
DIALECTS = {
    "json": dialect("json"),
    "form": dialect("form"),
    "query": dialect("query", method="GET"),
    "xml": dialect("xml", root="L", fields=XML_FIELDS),
    "ascii": dialect("xml", root="L", charset="us-ascii", namespace="urn:x", fields=XML_FIELDS),
    "soap11": dialect("soap11", root="L", namespace="urn:x", action="urn:x#Go", fields=XML_FIELDS),
    "soap12": dialect("soap12", root="L", namespace="urn:x", fields=XML_FIELDS),
    "header": dialect("json", fields={}, headers={"X-One": "one"}),
    "reads-xml": dialect("form", XML_REPLY),
    "reads-text": dialect("form", TEXT_REPLY),
}
READERS = ["json", "reads-xml", "reads-text"]
ANSWERS = (
    st.binary(max_size=200)
    | st.text(max_size=100).map(str.encode)
    | st.sampled_from(
        [b'{"ok":true,"price":"21","id":"a"}', b'{"ok":true,"price":21e9999}', b"<a><ok>yes</ok><price>21</price></a>",
         b"yes price=21 id=a", b"<html><body>yes</body>", b"\xff\xfe<\x00a\x00", b"[" * 60_000, b"<a>" * 20_000,
         b'{"ok":"yes","price":NaN}', b"<!DOCTYPE x><a/>", b"<a xmlns:b='u'><b:ok>no</b:ok></a>", b'{"ok":{"yes":1}}',
         b"-NaN", b"{" * 9]
    )
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
        | st.sampled_from(["yes", "no", "21.10"]),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ok", "price", "id", "error", "why", "OK", "x"]), inner, max_size=5),
        max_leaves=8,
    ).map(lambda document: json.dumps(document).encode())
)  # fmt: skip


@settings(max_examples=300)
@given(st.sampled_from(READERS), st.integers(100, 599), ANSWERS)
@example("reads-text", 200, b"yes price=21 id=" + b"x" * 300)
def test_no_answer_raises_and_none_is_a_yes_by_chance(reader: str, status: int, body: bytes) -> None:
    found = DIALECTS[reader]
    reply = found.bid_reader(sale=Sale.EXCLUSIVE, currency="USD")(status, body)
    assert isinstance(reply, Bid | Refusal)
    delivery = found.read_delivery(status, body, 21_000_000)
    assert isinstance(delivery, Accepted | Rejected | Unknown)
    if isinstance(reply, Bid):
        assert 0 <= reply.gross_micros <= AMOUNT_MICROS_MAX
        assert reply.gross_micros % MICROS_PER_CENT == 0
    if isinstance(reply, Bid) or isinstance(delivery, Accepted):
        assert 200 <= status < 300
        assert b"yes" in body.lower() or b"true" in body.lower()


@given(st.text(max_size=20))
def test_no_path_raises_anything_else(text: str) -> None:
    for read in (json_path, xml_path):
        try:
            read(text)
        except PathError:
            assume(True)


@given(st.text(max_size=60) | st.sampled_from(["<a>" * 33 + "</a>" * 33, "<a b='c'/>", "<a>\ud800</a>", "<a/>\0"]))
def test_xml_is_read_or_refused(text: str) -> None:
    try:
        root = read_xml(text)
    except UnreadableXmlError:
        return
    assert root.name


@given(st.integers(0, AMOUNT_MICROS_MAX // MICROS_PER_CENT), st.sampled_from(Money))
def test_prices_come_out_exactly_as_they_were_written(cents: int, money: Money) -> None:
    whole, fraction = divmod(cents, 100)
    written = {
        Money.PLAIN: f"{whole}.{fraction:02d}",
        Money.DOLLARS: f"${whole:,}.{fraction:02d}",
        Money.COMMA: f"{whole:,}".replace(",", ".") + f",{fraction:02d}",
        Money.CENTS: str(cents),
    }
    assert amount_reader(money)(written[money]) == cents * MICROS_PER_CENT


@given(st.text("0123456789.,$ e+-", max_size=14), st.sampled_from(Money))
def test_what_is_written_otherwise_is_no_price(text: str, money: Money) -> None:
    found = amount_reader(money)(text)
    if found is not None:
        digits = "".join(character for character in text if character.isdigit())
        assert 0 <= found <= AMOUNT_MICROS_MAX
        assert str(found).strip("0") in digits or found == 0


def test_a_json_path_is_found_in_any_case_only_where_it_is_the_only_one() -> None:
    documents: list[Any] = [{"status": "a"}, {"Status": "b", "status": "a"}, {"status": "a", "STATUS": "b"}, []]
    assert list(map(json_finder("Status"), documents)) == ["a", "b", None, None]


def test_the_same_attempt_is_the_same_bytes() -> None:
    post = Post(ATTEMPT_ID, PING_ID, "b", "o", "c", False, 21_000_000, "USD", Sale.EXCLUSIVE, {"one": "1", "two": "2"})
    assert DIALECTS["json"].post(post) == DIALECTS["json"].post(post)
