"""What a buyer's answer to a ping means: the quick way and the exact way say the same, byte for byte."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exchange.buyers.dialects import native
from exchange.buyers.dialects.native import bid_reader, read_bid
from exchange.buyers.dialects.said import BIDS_MAX, NO_BID
from exchange.values.bid import Bid, Refusal, Reply
from exchange.values.market import Sale
from exchange.values.reason import Reason


def meaning(body: bytes | str, sale: Sale = Sale.EXCLUSIVE) -> Reply:
    return read_bid(200, body.encode() if isinstance(body, str) else body, sale=sale, currency="USD")


def reason(body: bytes | str, sale: Sale = Sale.EXCLUSIVE) -> Reason | None:
    found = meaning(body, sale)
    return found.reason if isinstance(found, Refusal) else None


@pytest.mark.parametrize(
    ("price", "gross_micros"),
    [
        ('"21.00"', 21_000_000),
        ('"21"', 21_000_000),
        ("21", 21_000_000),
        ("21.5", 21_500_000),
        ("0.1", 100_000),
        ('"0.019999"', 10_000),
        ("0.001", 0),
        ("999999999999.999999", 999_999_999_999_990_000),
        ('"007.10"', 7_100_000),
    ],
)
def test_a_price_is_read_from_its_text_and_rounded_down_to_the_cent(price: str, gross_micros: int) -> None:
    for form in ('{{"bid":{}}}', '{{"bid": {}}}', ' {{ "bid" : {} }}\n', '{{"reason":"x","bid":{}}}'):
        assert meaning(form.format(price)) == Bid(gross_micros)


@pytest.mark.parametrize("price", ["0", '"0"', "0.0", '"0.000000"', "null"])
def test_no_bid(price: str) -> None:
    assert meaning(f'{{"bid":{price}}}') == meaning(f'{{"bid": {price}, "reason": "not now"}}') == NO_BID


@pytest.mark.parametrize(
    "price",
    ["NaN", "Infinity", "-Infinity", "1e400", "1e2", "1E2", "-1", "-0", '"-1"', '"12,50"', '"1 "', '"1."', '".5"',
     '"+1"', "true", "false", "[]", "{}", '""', '"1.0000000"', '"1234567890123"', "1234567890123", '"\uff11"', '"1_0"'],
)  # fmt: skip
def test_not_an_amount(price: str) -> None:
    assert reason(f'{{"bid":{price}}}') is Reason.INVALID_PRICE


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "1", '"1"', '{"price":"1"}', '{"bid":"1"}x', '{"bid":"1"}{"bid":"1"}', '{"bid":"1",}', "{'bid':1}",
     '{"bid":01}', '{"bid":1.}', '{"bid":.5}', '{"bid":+1}', '{"bid":-NaN}', "[" * 100_000, '\ufeff{"bid":"1"}',
     '{"bid":"1","bid":"2"}', '{"bid":"1","x":1,"x":2}', '{"x":{"y":1,"y":2},"bid":"1"}',
     '{"bid":"1","bid_id":7.5,"bid_id":"x"}', '{"bid":"1\n"}', '{"bid":"1","bid_id":"a\tb"}', '{"bid":"1","bid_id":{}}',
     '{"bid":"1","bid_id":"' + "x" * 256 + '"}', '{"bid":"1","bid_id":"\\u0000"}', '{"bid":"1","sale":"shared"}',
     '{"bid":"1","sale":"either"}', '{"bid":"1","sale":null}'],
)  # fmt: skip
def test_not_an_answer(body: str) -> None:
    assert reason(body) is Reason.INVALID_RESPONSE


def test_bytes_that_are_not_utf_8() -> None:
    assert reason(b'{"bid":"1","note":"\xe9"}') is reason(b'{"bid":"1"\xff}') is Reason.INVALID_RESPONSE


@pytest.mark.parametrize(
    ("written", "bid_id"),
    [('"b-1"', "b-1"), ('""', ""), ("7", "7"), ("7.50", "7.50"), ("null", None), ('"\\u00e9"', "é"), ('"é"', "é"),
     ('"' + "x" * 255 + '"', "x" * 255), ('"a\\"b"', 'a"b')],
)  # fmt: skip
def test_a_bid_id_is_kept_as_text(written: str, bid_id: str | None) -> None:
    assert meaning(f'{{"bid":"1.00","bid_id":{written}}}') == Bid(1_000_000, bid_id)


def test_another_currency() -> None:
    assert meaning('{"bid":"1.00","currency":"EUR"}') == Refusal(Reason.WRONG_CURRENCY, gross_micros=1_000_000)
    assert meaning('{"bid":"1.00","currency":"USD"}') == Bid(1_000_000)


def test_the_best_of_several_bids() -> None:
    assert meaning('{"bids":[{"bid":"1.00"},{"bid":"2.00","bid_id":"b"},{"bid":0}]}') == Bid(
        2_000_000, "b", others=(Bid(1_000_000),)
    )
    assert meaning('{"bids":[{"bid":0},{"bid":"x"}]}') == Refusal(Reason.INVALID_PRICE, "`bid` is not an amount")
    assert meaning('{"bids":[]}') == NO_BID
    assert reason(json.dumps({"bids": [{"bid": "1"}] * (BIDS_MAX + 1)})) is Reason.INVALID_RESPONSE


def test_a_sale_that_either_may_be() -> None:
    assert meaning('{"bid":"1.00","sale":"shared"}', Sale.EITHER) == Bid(1_000_000, sale=Sale.SHARED)
    assert meaning('{"bid":"1.00"}', Sale.EITHER) == meaning('{ "bid":"1.00"}', Sale.EITHER) == Bid(1_000_000)
    for said in ('"both"', '"either"', "null", "[]", "1"):
        assert reason(f'{{"bid":"1.00","sale":{said}}}', Sale.EITHER) is Reason.INVALID_RESPONSE


def test_a_bid_without_a_sale_means_the_pings() -> None:
    for form in ('{"bid":"1.00"}', '{ "bid":"1.00"}', '{"bid":"1.00","sale":"shared"}'):
        assert meaning(form, Sale.SHARED) == Bid(1_000_000, sale=Sale.SHARED)
    assert reason('{"bid":"1.00","sale":"exclusive"}', Sale.SHARED) is Reason.INVALID_RESPONSE
    assert reason('{"bid":"1.00","sale":"shared"}', Sale.EXCLUSIVE) is Reason.INVALID_RESPONSE


def test_both_ways_at_once() -> None:
    body = (
        '{"bids":[{"sale":"shared","bid":"12.00","max_shares":3,"bid_id":"b"},'
        '{"sale":"exclusive","bid":"31.00","bid_id":"a"},{"sale":"shared","bid":"9"}]}'
    )
    shared = Bid(12_000_000, "b", Sale.SHARED, 3), Bid(9_000_000, None, Sale.SHARED)
    assert meaning(body, Sale.EITHER) == Bid(31_000_000, "a", others=shared)
    assert meaning(body, Sale.SHARED) == shared[0]._replace(others=shared[1:])
    assert meaning(body, Sale.EXCLUSIVE) == Bid(31_000_000, "a")


@pytest.mark.parametrize(
    ("said", "shares_max"), [("1", 1), ('"2"', 2), ("10", 10), ("999999", 999_999), ("null", None)]
)
def test_by_how_many_a_bid_may_be_shared(said: str, shares_max: int | None) -> None:
    assert meaning(f'{{"bid":"1.00","max_shares":{said}}}', Sale.SHARED) == Bid(
        1_000_000, None, Sale.SHARED, shares_max
    )


@pytest.mark.parametrize("said", ["0", "-1", "1.0", "1e1", "true", '""', '"many"', "[]", "1000000", "NaN", "01"])
def test_by_how_many_it_cannot(said: str) -> None:
    assert reason(f'{{"bid":"1.00","max_shares":{said}}}', Sale.SHARED) is Reason.INVALID_RESPONSE


STATUSES = {
    204: Reason.NO_BID, 201: Reason.INVALID_RESPONSE, 301: Reason.REDIRECT_REFUSED, 304: Reason.REDIRECT_REFUSED,
    400: Reason.CLIENT_ERROR, 429: Reason.TOO_MANY_REQUESTS, 500: Reason.SERVER_ERROR, 599: Reason.SERVER_ERROR,
    600: Reason.INVALID_RESPONSE, 0: Reason.INVALID_RESPONSE,
}  # fmt: skip


@pytest.mark.parametrize(("status", "expected"), STATUSES.items())
def test_no_other_status_is_a_bid(status: int, expected: Reason) -> None:
    for read in (bid_reader(sale=Sale.EXCLUSIVE, currency="USD"), bid_reader(sale=Sale.SHARED, currency="EUR")):
        found = read(status, b'{"bid":"99.00"}')
        assert isinstance(found, Refusal)
        assert found.reason is expected


digits = st.text("0123456789", min_size=1, max_size=13)
prices = st.one_of(
    digits,
    st.builds("{}.{}".format, digits, st.text("0123456789", max_size=7)),
    st.sampled_from(["-1", "1e2", "NaN", "null", "true", "[]", "{}", "1 ", " 1", "01.0", "-0"]),
)
blanks = st.sampled_from(["", " ", "  ", "\n", "\t", "\x0b", "\xa0"])
ids = st.one_of(st.text(max_size=8), st.sampled_from(["x" * 255, "x" * 256, '"', "\\", "\x7f", "\x00", "é", "\ud800"]))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Bids that are usual, and such as differ from the usual by little."""
    price, quote = draw(prices), draw(st.sampled_from(["", '"', "'"]))
    parts = ["{", '"bid"', ":", quote + price + quote]
    for key in draw(st.lists(st.sampled_from(['"bid_id"', '"bid"', '"sale"', "bid_id", '"BID_ID"']), max_size=2)):
        raw = draw(ids)
        parts += [
            ",",
            key,
            ":",
            draw(st.sampled_from([json.dumps(raw), f'"{raw}"', json.dumps(raw, ensure_ascii=False)])),
        ]
    parts += ["}", draw(st.sampled_from(["", "", "", "}", "x"]))]
    return "".join(part + draw(blanks) for part in parts).encode("utf-8", "surrogatepass")


@settings(max_examples=400, deadline=None)
@given(bodies(), st.sampled_from(Sale))
@example(b'{"bid":"21.00","bid_id":"b9100-1"}', Sale.EXCLUSIVE)
@example(b'{"bid": 21.5, "bid_id": "b9100-1"}', Sale.SHARED)
@example(b'{"bid":"21.00\n"}', Sale.EXCLUSIVE)
@example(b'{"bid":"21.00","bid_id":""}', Sale.EXCLUSIVE)
@example(b'{"bid":"21.00"}\n', Sale.EXCLUSIVE)
def test_the_quick_way_says_what_the_exact_way_says(body: bytes, sale: Sale) -> None:
    exact = native._read_exactly(body, sale=sale, currency="USD")
    assert read_bid(200, body, sale=sale, currency="USD") == exact
    assert bid_reader(sale=sale, currency="USD")(200, body) == exact


def test_usual_bids_take_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(native, "_read_exactly")
    for price in ("21.00", "0.10", "7", 21, 21.5, 0):
        for document in ({"bid": price}, {"bid": price, "bid_id": "b9100-1"}):
            assert meaning(json.dumps(document)) == meaning(json.dumps(document, separators=(",", ":")))


@settings(max_examples=250, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 999))
def test_no_answer_raises(body: bytes, status: int) -> None:
    assert isinstance(read_bid(status, body, sale=Sale.EITHER, currency="USD"), Bid | Refusal)
    assert isinstance(read_bid(200, b'{"bid":' + body + b"}", sale=Sale.EITHER, currency="USD"), Bid | Refusal)
