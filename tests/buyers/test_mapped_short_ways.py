"""The short ways of mapped JSON say exactly what the long ones say: for writing, and for reading bids."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.dialects import endpoint_of

from exchange.buyers.dialects import usual
from exchange.buyers.dialects.json_writing import Run, Runs
from exchange.buyers.dialects.mapped import Mapped
from exchange.buyers.dialects.replies import Reader
from exchange.buyers.dialects.wire import Ping, Unsendable
from exchange.dialect_cases import PING_ID
from exchange.values.bid import Bid
from exchange.values.mapping import EndpointMapping
from exchange.values.market import Sale

FIELDS: dict[str, Any] = {
    "key": {"const": "k"},
    "Zip": "zip",
    "Age": "age",
    "note": {"const": "on tests", "when": "test"},
    "Contact.First": "first",
    "Contact.Tags[1]": "zip",
    "Contact.Tags[0]": {"value": "sale"},
    "Contact.Home.Owner": "owner",
    "Count": {"const": "42", "as": "number"},
    "Last": "last",
}
REPLY: dict[str, Any] = {
    "format": "json",
    "error": {"at": "error", "exists": True},
    "duplicate": {"at": "why", "matches": "dup"},
    "reject": [{"at": "status", "is": "no"}, {"at": "status", "is": "ok", "and": {"at": "sold", "is": False}}],
    "success": [{"at": "bid", "exists": True}, {"at": "status", "is": ["ok", True], "status": "200"}],
    "price": "bid",
    "bid_id": {"at": "bid_id", "optional": True},
}
NESTED: dict[str, Any] = {
    "format": "json",
    "reject": {"at": "response.ok", "is": False},
    "success": {"at": "response.ok", "is": True},
    "price": {"at": "response.bid", "money": "dollars"},
    "bid_id": "response.bid_id",
}


def mapping_of(fields: dict[str, Any], reply: dict[str, Any]) -> EndpointMapping:
    post = {"body": "json", "reply": {"format": "json", "success": {"at": "ok", "is": True}}}
    written = {"ping": {"body": "json", "fields": fields, "reply": reply}, "post": post}
    urls = {"ping_url": "https://b.example/ping", "post_url": "https://b.example/post"}
    found = endpoint_of({"dialect": "mapped", **urls, "mapping": written}).mapping
    assert found is not None
    return found


def ping(lead: dict[str, Any], *, test: bool, written: dict[object, bytes] | None = None) -> Ping:
    return Ping(PING_ID, "o", "c", "v", test, "USD", 5_000_000, Sale.EXCLUSIVE, lead, written)


LEADS = st.fixed_dictionaries(
    {},
    optional={
        "zip": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        "age": st.integers(0, 120),
        "first": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        "owner": st.booleans(),
        "last": st.text(max_size=1).filter(lambda text: not text or not "\ud800" <= text <= "\udfff"),
    },
)


@given(LEADS, st.booleans())
def test_what_is_written_once_for_all_is_what_each_would_be_sent(lead: dict[str, Any], test: bool) -> None:
    runs = Runs()
    written: dict[object, bytes] = {}
    mapping = mapping_of(FIELDS, REPLY)
    bodies = {Mapped(mapping, {}, runs).ping(ping(lead, test=test, written=written)).body for _ in range(3)}
    assert bodies == {Mapped(mapping, {}).ping(ping(lead, test=test)).body}
    assert json.loads(bodies.pop()) == _meant(lead, test=test)
    assert written


def _meant(lead: dict[str, Any], *, test: bool) -> dict[str, Any]:
    """The same document, put together by hand."""
    found: dict[str, Any] = {"key": "k", "Count": 42} | ({"note": "on tests"} if test else {})
    found |= {key: lead[name] for key, name in (("Zip", "zip"), ("Age", "age"), ("Last", "last")) if name in lead}
    contact: dict[str, Any] = {"Tags": ["exclusive", *([lead["zip"]] if "zip" in lead else [])]}
    contact |= {"First": lead["first"]} if "first" in lead else {}
    contact |= {"Home": {"Owner": lead["owner"]}} if "owner" in lead else {}
    return found | {"Contact": contact}


def test_equal_fields_are_written_once_for_a_ping() -> None:
    runs = Runs()
    written: dict[object, bytes] = {}
    asked = ping({"zip": "60601", "age": 41}, test=False, written=written)
    for key in ("a", "b", "c"):
        fields = {"key": {"const": key}, "z": "zip", "a": "age"}
        sent = Mapped(mapping_of(fields, REPLY), {}, runs).ping(asked).body
        assert json.loads(sent) == {"key": key, "z": "60601", "a": 41}
        assert _runs(written) == [b'"z":"60601","a":41']


def test_what_differs_from_order_to_order_is_never_shared() -> None:
    written: dict[object, bytes] = {}
    fields = {"z": "zip", "order": {"value": "order"}, "sale": {"value": "sale"}, "why": {"list": [{"value": "sale"}]}}
    fields |= {"shared": {"const": "1", "when": {"value": "sale", "is": "shared"}}, "id": {"value": "ping_id"}}
    mapped = Mapped(mapping_of(fields, REPLY), {})
    first = ping({"zip": "60601"}, test=False, written=written)
    for asked in (first, first._replace(order="p", sale=Sale.SHARED)):
        meant = {"z": "60601", "order": asked.order, "sale": asked.sale, "why": [asked.sale], "id": str(PING_ID)}
        if asked.sale is Sale.SHARED:
            meant["shared"] = "1"
        assert json.loads(mapped.ping(asked).body) == meant
    assert len(_runs(written)) == 2, "the lead's field, and the ping's id"


def _runs(written: dict[object, bytes]) -> list[bytes]:
    """What was written of whole members, for all who have the same in a row."""
    return [text for key, text in written.items() if isinstance(key, Run)]


def test_values_under_names_of_their_own_are_written_once_for_a_ping() -> None:
    runs = Runs()
    written: dict[object, bytes] = {}
    lead = {"zip": "60601", "age": 41}
    asked = ping(lead, test=True, written=written)
    for name in ("a", "b%b", "c"):
        fields = {"key": {"const": name}, f"{name}-z": "zip", f"{name}-t": {"value": "test"}, f"{name}-a": "age"}
        sent = Mapped(mapping_of(fields, REPLY), {}, runs).ping(asked).body
        assert json.loads(sent) == {"key": name, f"{name}-z": "60601", f"{name}-t": True, f"{name}-a": 41}
    values = [text for key, text in written.items() if not isinstance(key, Run)]
    assert sorted(values) == [b'"60601"', b"41", b"true"]


def test_what_cannot_be_sent_is_told_by_the_place_of_each_buyer() -> None:
    runs = Runs()
    written: dict[object, bytes] = {}
    for name in ("a", "b"):
        fields = {"key": {"const": name}, f"{name}-born": {"field": "zip", "date": "YYYY"}}
        with pytest.raises(Unsendable, match=f"{name}-born: not a day"):
            Mapped(mapping_of(fields, REPLY), {}, runs).ping(ping({"zip": "60601"}, test=False, written=written))


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["21.10", "ok", "OK", "no", "", "a:b", "dup", "\ud800", "$1,021.50", "b-1", "x" * 300])
    | st.lists(st.just("21"), max_size=1)
    | st.dictionaries(st.sampled_from(["bid", "x"]), st.just("21"), max_size=1)
)
KEYS = st.sampled_from(["bid", "Bid", "bid_id", "BID_ID", "status", "sold", "error", "why", "ok", "x:y", "response"])
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=5)


def _document(pairs: list[tuple[str, Any]]) -> str:
    """An object in JSON, repeated keys and all."""
    return "{" + ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in pairs) + "}"


@settings(max_examples=400)
@given(st.lists(PAIRS, min_size=1, max_size=4))
@example([[("why", "\ud800")], [("bid", "\ud800"), ("bid_id", "\ud800")]])
@example([[("bid", "1.00")], [("bid", "1.00"), ("bid", "2.00")], [("bid", 21.10), ("bid_id", "b")], [("bid", "2:1")]])
def test_the_short_way_reads_bids_as_the_long_one_does(answers: list[list[tuple[str, Any]]]) -> None:
    for rules, wrapped in ((REPLY, False), (NESTED, True)):
        message = mapping_of(FIELDS, rules).ping
        assert message is not None
        reader = Reader(message.reply)
        assert usual.usual_of(message.reply) is not None
        for sale in (Sale.EXCLUSIVE, Sale.SHARED):
            read = reader.bid_readers[sale]
            for pairs in answers:
                text = _document(pairs)
                body = (f'{{"response": {text}, "bid": 1}}' if wrapped else text).encode(errors="surrogatepass")
                assert read(200, body) == reader.read_bid(200, body, sale)


PLAIN = {"bid": "21.10", "status": "ok", "why": "-", "bid_id": "b-1"}
WORDS = VALUES | st.sampled_from(
    [21, 21.105, 0, "0.00", "000000000021", "1" * 13, "é", 'a"b', "x" * 255, "x" * 256, -1]
)


@settings(max_examples=200)
@given(st.permutations(list(PLAIN)), st.lists(st.fixed_dictionaries(dict.fromkeys(PLAIN, WORDS)), max_size=6))
def test_what_is_written_as_a_bid_before_it_is_read_as_ever(keys: list[str], answers: list[dict[str, Any]]) -> None:
    for rules, wrapped in ((REPLY, False), (NESTED, True)):
        ok = {"ok": True} if wrapped else {}
        message = mapping_of(FIELDS, rules).ping
        assert message is not None
        reader = Reader(message.reply)
        read = reader.bid_readers[Sale.SHARED]
        for values in (PLAIN, PLAIN, *answers, PLAIN):
            document: Any = {key: values[key] for key in keys} | ok
            for compact in (", ", ": "), (",", ":"):
                text = json.dumps({"response": document} if wrapped else document, separators=compact)
                body = text.encode(errors="surrogatepass")
                assert read(200, body) == reader.read_bid(200, body, Sale.SHARED)


def test_what_is_written_as_a_bid_before_it_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    message = mapping_of(FIELDS, REPLY).ping
    assert message is not None
    read = Reader(message.reply).bid_readers[Sale.EXCLUSIVE]
    first = b'{"status": "ok", "sold": true, "bid": "21.10", "bid_id": "b-1"}'
    assert read(200, first) == Bid(21_100_000, "b-1")
    monkeypatch.delattr(usual.Usual, "_object")
    monkeypatch.delattr(Reader, "read_bid")
    for price, micros in (('"7"', 7_000_000), ("21.109", 21_100_000), ("0.01", 10_000)):
        body = f'{{"status":"OK","sold":true,"bid":{price},"bid_id":77}}'.encode()
        assert read(200, body) == Bid(micros, "77")
    with pytest.raises(AttributeError):
        read(200, first.replace(b"true", b"false"))  # which the rules take for a no
    for other in (b'"x\\u0041"', b"null", b"[21]", b"021"):
        with pytest.raises(AttributeError):
            read(200, first.replace(b'"21.10"', other))


def test_the_short_way_is_taken_and_remembers_no_more_than_it_may() -> None:
    message = mapping_of(FIELDS, REPLY).ping
    assert message is not None
    short = usual.usual_of(message.reply)
    assert short is not None
    for number in range(3 * usual.PLANS_MAX):
        assert short.read(b'{"bid": "21.10", "bid_id": "b", "k%d": true}' % number) == ("21.10", "b")
        assert len(short._plans) <= usual.PLANS_MAX  # what is bounded
    assert short.read(b'{"bid": 21.10, "bid": 22}') is None
    assert short.read(b'{"bid": 21.10}') == ("21.10", None)
    assert short.read(b'{"bid": "1", "x": "%b"}' % (b"x" * usual.BYTES_MAX)) is None
    assert Reader(message.reply).bid_readers[Sale.EXCLUSIVE](200, b'{"bid": 21.109}') == Bid(21_100_000)
