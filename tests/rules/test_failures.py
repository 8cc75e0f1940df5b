"""What counts against an endpoint, said of every reason and every way in which a delivery ends."""

import pytest

from exchange.rules.failures import failure_of, is_failed_delivery, is_failure
from exchange.values.bid import Accepted, Bid, Delivery, NotSent, Refusal, Rejected, Unknown
from exchange.values.reason import Reason

AGAINST = {101, 102, 103, 104, 105, 108, 109, 110, 111, 305}
NO_PROOF = {112, 113, 208, 210}


def test_every_reason_of_an_answer_is_judged() -> None:
    for reason in [*(item for item in Reason if 0 < item < 200), Reason.LATE, Reason.BUSY, Reason.NO_TIME_LEFT]:
        if reason is not Reason.WON:
            expected = None if reason in NO_PROOF else reason in AGAINST
            assert is_failure(Refusal(reason), 500.0, 500) is expected, reason
    assert is_failure(Bid(1), 500.0, 500) is False


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.LATE])
@pytest.mark.parametrize(("elapsed_ms", "expected"), [(250.0, True), (249.0, None)])
def test_silence_counts_where_there_was_time_to_speak(reason: Reason, elapsed_ms: float, expected: bool | None) -> None:
    assert is_failure(Refusal(reason), elapsed_ms, 500) is expected
    assert is_failure(Refusal(Reason.SERVER_ERROR), 1.0, 500) is True


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        (NotSent("connect_failed no answer in time"), "connect_failed"),
        (Unknown("silence"), "silence"),
        (Unknown("connection_lost within an answer"), "connection_lost"),
        (Unknown("HTTP 503: no such Ann Canary"), "HTTP 503"),
        (Unknown("not JSON: Ann Canary"), "invalid_response"),
        (Unknown("Ann Canary is known"), "invalid_response"),
    ],
)
def test_what_failed_is_said_in_words_of_ours(delivery: NotSent | Unknown, expected: str) -> None:
    assert failure_of(delivery) == expected


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        (Accepted(), False),
        (Rejected(Reason.REJECTED_BY_BUYER), False),
        (NotSent("connect_failed no answer in time"), True),
        (NotSent("dns_failed"), True),
        (NotSent("tls_failed expired"), True),
        (NotSent("address_refused"), None),
        (NotSent("no_time_left the lease was over"), None),
        (NotSent("the endpoint's secret is not set"), None),
        (NotSent("cannot be sent: no phone"), None),
        (NotSent("internal: KeyError"), None),
        (Unknown("silence"), True),
        (Unknown("connection_lost within an answer"), True),
        (Unknown("internal_error"), None),
        (Unknown("internal: KeyError"), None),
        (Unknown("HTTP 503"), True),
        (Unknown("HTTP 302"), True),
        (Unknown("HTTP 404: no rule"), False),
        (Unknown("HTTP 429"), False),
        (Unknown("not JSON: at 1"), True),
    ],
)
def test_deliveries(delivery: Delivery, expected: bool | None) -> None:
    assert is_failed_delivery(delivery) is expected
