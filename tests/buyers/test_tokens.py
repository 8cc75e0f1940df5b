"""Access tokens: what is asked and read, and when they are fetched, by a courier on real sockets."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.buyer import Answer, Buyer, Received, reply, says
from support.waiting import until

from exchange.buyers import tokens
from exchange.buyers.delivery import Courier
from exchange.buyers.tokens import Login, Token, Tokens, read_token, request_of
from exchange.values.auth import OAuthTerms

TERMS = OAuthTerms("https://b.example/token")
USUAL = {"access_token": "t", "token_type": "bearer"}
LOGIN = Login("lead exchange", "s:ecret é&=", TERMS)


def test_the_client_is_named_in_a_header_as_the_standard_encodes_it() -> None:
    headers, body = request_of(replace(LOGIN, terms=replace(TERMS, scope="a b", parameters=(("audience", "urn:x"),))))
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"lead+exchange:s%3Aecret+%C3%A9%26%3D").decode()
    assert parse_qsl(body.decode()) == [
        ("grant_type", "client_credentials"), ("scope", "a b"), ("audience", "urn:x"),
    ]  # fmt: skip


def test_the_client_is_named_in_the_body_where_that_is_agreed() -> None:
    headers, body = request_of(replace(LOGIN, terms=replace(TERMS, in_body=True)))
    assert "Authorization" not in headers
    assert dict(parse_qsl(body.decode())) == {
        "grant_type": "client_credentials", "client_id": "lead exchange", "client_secret": "s:ecret é&=",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"access_token": "t.1", "token_type": "Bearer", "expires_in": 3600}, Token("t.1", 3600.0)),
        ({"access_token": "t.1", "token_type": "bearer", "expires_in": "60"}, Token("t.1", 60.0)),
        ({"access_token": "t.1", "token_type": "bearer"}, Token("t.1", tokens.LIFE_S_USUAL)),
        ({"access_token": "t.1", "token_type": "bearer", "expires_in": 10**8}, Token("t.1", tokens.LIFE_S_MAX)),
        ({"access_token": "t.1", "token_type": "mac"}, "another token_type than bearer"),
        ({"access_token": "t.1"}, "another token_type than bearer"),
        ({"access_token": "a\r\nb", "token_type": "bearer"}, "no access_token that a header can carry"),
        ({"access_token": "x" * 8_193, "token_type": "bearer"}, "no access_token that a header can carry"),
        ({"access_token": 7, "token_type": "bearer"}, "no access_token that a header can carry"),
        ({"error": "invalid_client"}, "no access_token that a header can carry"),
        (["t.1"], "no access_token that a header can carry"),
        (
            {"access_token": "t", "token_type": "bearer", "expires_in": True},
            "an expires_in that is no number of seconds",
        ),
        ({"access_token": "t", "token_type": "bearer", "expires_in": -1}, "an expires_in that is no number of seconds"),
        ({"access_token": "t", "token_type": "bearer", "expires_in": 0}, "an expires_in that is no number of seconds"),
    ],
)
def test_only_a_bearer_token_is_one(document: Any, found: Token | str) -> None:
    assert read_token(200, json.dumps(document).encode()) == found


@given(st.integers(100, 599), st.binary(max_size=60) | st.sampled_from([b'{"access_token": NaN}', b"[" * 9_000]))
def test_no_answer_raises_or_is_repeated(status: int, body: bytes) -> None:
    assert read_token(status, body) in {
        f"HTTP {status}", "not JSON", "no access_token that a header can carry",
    }  # fmt: skip


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    found = Courier(allow_private=True)
    yield found
    await found.close()


class Server:
    """Gives tokens with numbers, each with this life; fails as long as it is told to."""

    def __init__(self, life_s: float) -> None:
        self.life_s = life_s
        self.given = 0
        self.fails = False

    def __call__(self, received: Received) -> Answer:
        assert dict(parse_qsl(received.body.decode()))["grant_type"] == "client_credentials"
        if self.fails:
            return reply({"error": "invalid_client", "why": "s3cret"}, 401)
        self.given += 1
        return reply({"access_token": f"t-{self.given}", "token_type": "bearer", "expires_in": self.life_s})


def login_at(server: Buyer) -> Login:
    return Login("lx", "s3cret", OAuthTerms(f"{server.url}/token"))


async def test_a_token_is_fetched_once_for_all_who_want_it(courier: Courier) -> None:
    server = Server(3600)
    async with Buyer(server) as at:
        kept = Tokens(courier)
        access = kept.of(login_at(at))
        assert access is kept.of(login_at(at))
        assert access.now() is None
        assert await asyncio.gather(*[access.ready(5.0) for _ in range(20)]) == [True] * 20
        assert access.now() == "t-1"
        assert server.given == 1
        await kept.close()


async def test_a_token_is_renewed_before_its_end(courier: Courier) -> None:
    server = Server(1.0)
    async with Buyer(server) as at:
        kept = Tokens(courier)
        access = kept.of(login_at(at))
        assert await access.ready(5.0)
        assert access._fetched_s < access._renew_s < access._until_s  # ahead, by the clock's own figures
        seen = set()

        async def look() -> int:
            seen.add(access.now())
            return server.given

        await until(look, lambda given: given >= 3)
        assert {"t-1", "t-2"} <= seen
        await kept.close()


async def test_a_server_that_fails_is_tried_again_and_its_words_stay_out_of_the_log(
    courier: Courier, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(3600)
    server.fails = True
    async with Buyer(server) as at:
        kept = Tokens(courier)
        access = kept.of(login_at(at))
        assert not await access.ready(0.2)
        server.fails = False
        assert await access.ready(10.0)
        assert len(at.pings) == 2
        await kept.close()
    told = caplog.text + "".join(capsys.readouterr())
    assert "token_not_fetched" in told
    assert "s3cret" not in told


async def test_a_token_that_is_refused_is_renewed_once(courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(3600)
    async with Buyer(server) as at:
        kept = Tokens(courier)
        access = kept.of(login_at(at))
        assert await access.ready(5.0)
        access.refused("t-1")
        await asyncio.sleep(0.1)
        assert server.given == 1, "a young token is not renewed for that"
        monkeypatch.setattr(tokens, "REFUSED_EVERY_S", 0.0)
        for text in ("t-0", "t-1", "t-1", "t-1"):
            access.refused(text)

        async def current() -> str | None:
            return access.now()

        await until(current, lambda token: token == "t-2")
        access.refused("t-1")
        await asyncio.sleep(0.1)
        assert server.given == 2
        await kept.close()


async def test_logins_are_bounded(courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LOGINS_MAX", 2)
    async with Buyer(says({})) as at:
        kept = Tokens(courier)
        first = kept.of(login_at(at))
        for name in ("b", "c"):
            kept.of(replace(login_at(at), client_id=name))
        assert kept.of(login_at(at)) is not first
        await kept.close()
        first.stop()


def test_a_secret_is_not_shown() -> None:
    assert "s:ecret" not in repr(LOGIN)
