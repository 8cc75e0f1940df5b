"""A line: the head of an order's requests, on the wire exactly as its URL and headers say."""

import pytest

from exchange.buyers.dialling import Origin
from exchange.buyers.line import read_target, request_head


@pytest.mark.parametrize(
    ("url", "origin", "authority", "path"),
    [
        ("http://buyer.test", Origin(False, "buyer.test", 80), "buyer.test", "/"),
        ("https://buyer.test/a/b?c=d&e=%20", Origin(True, "buyer.test", 443), "buyer.test", "/a/b?c=d&e=%20"),
        ("http://Buyer.Test:8080/?x", Origin(False, "buyer.test", 8080), "buyer.test:8080", "/?x"),
        ("https://[2001:db8::1]:8443/x#y", Origin(True, "2001:db8::1", 8443), "[2001:db8::1]:8443", "/x"),
    ],
)
def test_a_url_is_taken_apart(url: str, origin: Origin, authority: str, path: str) -> None:
    target = read_target(url)
    assert (target.origin, target.authority, target.path) == (origin, authority, path)


@pytest.mark.parametrize(
    "url",
    ["", "buyer.test/bid", "ftp://buyer.test/", "http://", "http:///bid", "http://[::1/", "http://buyer.test:99999/",
     "http://buyer.test:x/", "http://buyer.test/a b", "http://buyer.test/\r\nX: y", "http://bücher.test/"],
)  # fmt: skip
def test_a_url_that_cannot_be_sent_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_target(url)


def test_a_head_ends_where_the_time_of_the_ping_begins() -> None:
    headers = {"Content-Type": "application/json", "Exchange-Order": "north-il", "Authorization": "Bearer t"}
    head = request_head(read_target("https://buyer.test/bid?x=1"), headers, "Exchange-Timeout-Ms")
    assert head == (
        b"POST /bid?x=1 HTTP/1.1\r\nHost: buyer.test\r\nUser-Agent: lead-exchange\r\nAccept: application/json\r\n"
        b"Accept-Encoding: identity\r\nContent-Type: application/json\r\nExchange-Order: north-il\r\n"
        b"Authorization: Bearer t\r\nExchange-Timeout-Ms: "
    )


def test_a_header_of_the_order_replaces_the_usual_one() -> None:
    head = request_head(read_target("http://buyer.test/"), {"user-agent": "secret-7"}, "T")
    assert head.lower().count(b"user-agent") == 1
    assert b"user-agent: secret-7\r\n" in head


@pytest.mark.parametrize(
    "headers", [{"X-Key": "a\r\nb"}, {"X-Key": "a\nb"}, {"X-Key": "a\x00"}, {"X Key": "a"}, {"": "a"}, {"X": "\u20ac"}]
)
def test_no_header_breaks_out_of_its_line(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".*"):
        request_head(read_target("http://buyer.test/"), headers, "T")
