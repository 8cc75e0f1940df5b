"""The status query of the native wire: where it is asked, and what each answer means."""

from uuid import UUID

import pytest
from support.dialects import endpoint_of, wire_of

from exchange.buyers.dialects import native
from exchange.buyers.dialects.wire import Post
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.market import Sale
from exchange.values.reason import Reason

ATTEMPT = UUID("01a204e4-75fc-72b0-8a11-5f0c7a2f7d10")


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("https://b.example/status", f"https://b.example/status?attempt_id={ATTEMPT}"),
        ("https://b.example/status?v=1", f"https://b.example/status?v=1&attempt_id={ATTEMPT}"),
    ],
)
def test_the_attempt_is_named_in_the_query(given: str, asked: str) -> None:
    post = Post(ATTEMPT, ATTEMPT, None, "o", "c", False, 21_000_000, "USD", Sale.EXCLUSIVE, {})
    endpoint = endpoint_of({"post_url": "https://b.example/post", "status_url": given})
    written = wire_of(endpoint).written_status(endpoint, post, 0.0)
    assert (written.method, written.url, written.body) == ("GET", asked, b"")


@pytest.mark.parametrize(
    ("status", "body", "means"),
    [
        (200, b'{"status": "accepted", "reference": "crm-7"}', Accepted("crm-7")),
        (200, b'{"status": "rejected"}', Rejected(Reason.REJECTED_BY_BUYER)),
        (200, b'{"status": "not_found"}', NotSent("the buyer knows no such attempt")),
        (200, b'{"status": "duplicate"}', Unknown("no status that the wire knows")),
        (200, b'{"status": "pending"}', Unknown("no status that the wire knows")),
        (200, b'["accepted"]', Unknown("no status that the wire knows")),
        (200, b'{"status": ["accepted"]}', Unknown("no status that the wire knows")),
        (404, b'{"status": "not_found"}', Unknown("HTTP 404")),
        (500, b'{"status": "accepted"}', Unknown("HTTP 500")),
        (302, b"", Unknown("HTTP 302")),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, means: Delivery) -> None:
    assert native.read_status(status, body) == means


@pytest.mark.parametrize("body", [b"", b"accepted", b'{"status": "rejected", "status": "accepted"}', b"\xff"])
def test_what_is_no_json_means_nothing(body: bytes) -> None:
    assert isinstance(native.read_status(200, body), Unknown)
