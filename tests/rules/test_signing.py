"""Signatures are those of Standard Webhooks, by a known vector and by another implementation."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from exchange.rules.signing import key_of, signature_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_known_vector_comes_out_as_it_is_known() -> None:
    key = key_of(SECRET)
    assert key is not None
    assert signature_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key]) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200))
def test_another_implementation_finds_the_same(key: bytes, text: str) -> None:
    secret, body = "whsec_" + base64.b64encode(key).decode(), text.encode("utf-8", "replace")
    assert key_of(secret) == key
    headers = signature_headers("id-1", 1_700_000_000, body, [bytes(32), key])
    moment = datetime.fromtimestamp(1_700_000_000, UTC)
    assert Webhook(secret).sign("id-1", moment, body.decode()) in headers["webhook-signature"].split(" ")


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 40 + "!", SECRET.removeprefix("whsec_"),
     "whsec_" + base64.b64encode(bytes(65)).decode()],
)  # fmt: skip
def test_what_is_no_key_is_none(secret: str) -> None:
    assert key_of(secret) is None
