"""Hostile answers to a ping: each has its code, and the auction goes on with the same winner."""

import json
from typing import Any

import pytest
from support.buyer import Behaviour, Buyer, Received, bids, reply, says, silent, slow
from support.market import Document, market
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


def raw(content: bytes) -> Behaviour:
    return lambda _: content


def breaks_off(_: Received) -> None:
    """Closes the connection without a word."""


def text(document: str) -> Behaviour:
    """An answer as it is written here, byte for byte."""
    return raw(reply(document.encode()))


def bid(**more: Any) -> Behaviour:
    """An otherwise good bid that would win."""
    return says({"bid": "99.00", "bid_id": "x"} | more)


async def reason_of(world: World, on_ping: Behaviour, timeout_ms: int) -> int:
    """What becomes of a hostile buyer's answer, beside a good one who must win."""
    async with Buyer(on_ping) as hostile, Buyer(bids("10.00")) as good:
        document = market({"hostile": hostile, "good": good})
        document["buyers"]["hostile"]["endpoint"]["ping_timeout_ms"] = timeout_ms
        return await decided(world, document)


async def decided(world: World, document: Document) -> int:
    await world.apply(document)
    answer = await world.ping()
    assert (answer["status"], answer["price"]) == ("offered", "8.50")
    found = await world.reasons(answer["ping_id"])
    assert found.pop("good") == 2
    [reason] = found.values()
    return reason


STATUSES: list[tuple[str, Behaviour, int]] = [
    ("500 with a bid", says({"bid": "99.00"}, 500), 105),
    ("503", says({}, 503), 105),
    ("599", says({}, 599), 105),
    ("404", says({}, 404), 106),
    ("401 with a bid", says({"bid": "99.00"}, 401), 106),
    ("429 with a bid", says({"bid": "99.00"}, 429), 107),
    ("302", raw(b"HTTP/1.1 302 Found\r\nLocation: /bid\r\nContent-Length: 0\r\n\r\n"), 111),
    ("307", raw(b"HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:9/bid\r\nContent-Length: 0\r\n\r\n"), 111),
    ("204", raw(b"HTTP/1.1 204 No Content\r\n\r\n"), 1),
]
BODIES: list[tuple[str, Behaviour, int]] = [
    ("html", text("<html>Hello</html>"), 108),
    ("nothing", text(""), 108),
    ("half a document", text('{"bid": "99.00"'), 108),
    ("two documents", text('{"bid": "99.00"} {"bid": "99.00"}'), 108),
    ("a list", text('[{"bid": "99.00"}]'), 108),
    ("a number", text("99.00"), 108),
    ("no bid", text('{"price": "99.00"}'), 108),
    ("a repeated key", text('{"bid": "99.00", "bid": "98.00"}'), 108),
    ("a repeated key further in", text('{"bids": [{"bid": "99.00", "sale": "exclusive", "bid": "1.00"}]}'), 108),
    ("bids that are no list", text('{"bids": {"bid": "99.00"}}'), 108),
    ("bids that are no objects", text('{"bids": ["99.00"]}'), 108),
    ("not UTF-8", raw(reply(b'{"bid": "99.00", "bid_id": "\xff"}')), 108),
    ("deep", text('{"bid": "99.00", "x": ' + "[" * 20_000 + "]" * 20_000 + "}"), 108),
    ("a bid for a shared sale", bid(sale="shared"), 108),
    ("a bid for another sale", bid(sale="auction"), 108),
    ("64 KiB and one byte", bid(padding="x" * 65_536), 109),
    ("without end", raw(b"HTTP/1.1 200 OK\r\n\r\n" + b'{"bid": "99.00", "x": "' + b"x" * 200_000), 109),
    ("not HTTP", raw(b"HELLO\r\n\r\n"), 108),
    ("a broken connection", breaks_off, 110),
    ("silence", silent, 101),
    ("half an answer", raw(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"bid": "99.00"}'), 101),
    ("no bid in words", says({"bid": None, "reason": "budget"}), 1),
    ("no bid as a number", text('{"bid": 0}'), 1),
    ("no bid in either way", text('{"bids": [{"sale": "exclusive", "bid": 0}]}'), 1),
]
PRICES: list[tuple[str, Behaviour, int]] = [
    (written, text(f'{{"bid": {written}, "bid_id": "x"}}'), code)
    for written, code in [
        ('"abc"', 303),
        ('""', 303),
        ('" 99.00"', 303),
        ('"99,00"', 303),
        ('"$99.00"', 303),
        ('"1e2"', 303),
        ("1e2", 303),
        ("1E+2", 303),
        ("-99.00", 303),
        ('"-99.00"', 303),
        ('"+99.00"', 303),
        ("1e400", 303),
        ("true", 303),
        ("[99.00]", 303),
        ('{"amount": 99.00}', 303),
        ('"99.0000001"', 303),
        ("99.0000000000000000001", 303),
        ('"1234567890123.00"', 303),
        ("1" + "0" * 400, 303),
        ('"٩٩"', 303),
        ('"4.999999"', 301),
        ("4.99", 301),
        ('"0.01"', 301),
        ('"0.001"', 301),
    ]
]
TERMS: list[tuple[str, Behaviour, int]] = [
    ("another currency", bid(currency="EUR"), 304),
    ("its currency in small letters", bid(currency="usd"), 304),
    ("a currency that is no text", bid(currency=840), 304),
    ("another currency further in", says({"bids": [{"sale": "exclusive", "bid": "99.00", "currency": "EUR"}]}), 304),
]
CASES = STATUSES + BODIES + PRICES + TERMS


@pytest.mark.parametrize(("on_ping", "code"), [case[1:] for case in CASES], ids=[case[0][:30] for case in CASES])
async def test_a_bad_answer_has_its_code_and_the_auction_goes_on(
    shared_world: World, on_ping: Behaviour, code: int
) -> None:
    assert await reason_of(shared_world, on_ping, timeout_ms=300 if code == 101 else 2000) == code


async def test_a_bid_above_the_buyers_own_limit_cannot_win(shared_world: World) -> None:
    async with Buyer(bids("50.01")) as hostile, Buyer(bids("10.00")) as good:
        document = market({"hostile": hostile, "good": good})
        document["buyers"]["hostile"]["max_bid"] = "50.00"
        assert await decided(shared_world, document) == 302
        hostile.on_ping = bids("50.00")
        assert (await shared_world.ping())["price"] == "42.50"


async def test_a_buyer_who_takes_no_connection_has_not_bid(shared_world: World) -> None:
    async with Buyer(bids("99.00")) as gone:
        url = gone.url
    async with Buyer(bids("10.00")) as good:
        assert await decided(shared_world, market({"hostile": url, "good": good})) == 102


async def test_an_answer_after_its_own_time_is_late_while_others_are_waited_for(shared_world: World) -> None:
    async with Buyer(slow(0.15, {"bid": "99.00"})) as hostile, Buyer(slow(0.3, {"bid": "10.00"})) as good:
        document = market({"hostile": hostile, "good": good}, ping_timeout_ms=2_000)
        document["buyers"]["hostile"]["endpoint"]["ping_timeout_ms"] = 50
        document["buyers"]["good"]["endpoint"]["ping_timeout_ms"] = 2_000
        assert await decided(shared_world, document) == 305


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ('"21.00"', "17.85"),
        ("21.00", "17.85"),
        ("21", "17.85"),
        ("21.10", "17.93"),
        ("0000021.00", None),
        ('"000000000021.00"', "17.85"),
        ('"20.999999"', "17.84"),
        ("20.999999", "17.84"),
        ('"5.00"', "4.25"),
        ("5.000000", "4.25"),
        ("123456789012.34", "104938270660.48"),
        ('"99999999.99"', "84999999.99"),
    ],
)
async def test_a_price_is_read_from_its_text_and_rounded_down_to_the_cent(
    shared_world: World, written: str, price: str | None
) -> None:
    async with Buyer(text(f'{{"bid": {written}}}')) as buyer:
        document = market({"only": buyer})
        document["buyers"]["only"]["credit_limit"] = "500000000000.00"
        await shared_world.apply(document)
        answer = await shared_world.ping()
    assert answer.get("price") == price


@pytest.mark.parametrize(
    "document",
    [
        {"bid": "21.00", "currency": "USD", "sale": "exclusive"},
        {"bid": "21.00", "bid_id": None, "max_shares": 3, "note": {"anything": [1, 2.5, None]}},
        {"bids": [{"sale": "exclusive", "bid": "21.00"}]},
        {"bids": [{"sale": "exclusive", "bid": "21.00"}, {"sale": "shared", "bid": "99.00", "max_shares": 3}]},
        {"bids": [{"bid": "21.00"}]},
    ],
    ids=json.dumps,
)
async def test_a_bid_in_any_of_the_wires_forms_counts(shared_world: World, document: Document) -> None:
    async with Buyer(says(document)) as buyer:
        await shared_world.apply(market({"only": buyer}))
        assert (await shared_world.ping())["price"] == "17.85"


async def test_the_bid_id_comes_back_with_the_lead_of_the_bid_that_won(shared_world: World) -> None:
    both = {"bids": [{"sale": "exclusive", "bid": "20.00", "bid_id": "a"}, {"bid": "21.00", "bid_id": "b-€"}]}
    async with Buyer(says(both)) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping()
        await shared_world.post(offer["ping_id"])
        assert (buyer.posts[0].json["bid_id"], buyer.posts[0].json["price"]) == ("b-€", "21.00")
