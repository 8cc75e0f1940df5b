"""Following deliveries whose request is the receiver's own: sent as declared, and read by the rules that are."""

import base64
from typing import Any
from urllib.parse import parse_qs

import pytest
from support.buyer import ACCEPTS, Answer, Buyer, Received, bids, reply
from support.market import CONTACT, Document, market
from support.outbox import make_due, outbox_rows, send_all, sender
from support.tokens import GivesTokens
from support.waiting import until
from support.world import World

from exchange.buyers import tokens
from exchange.buyers.delivery import Courier
from exchange.outbox import http

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRETS = {"SMS_TOKEN": "t0ken", "DESK": "+13125550100"}


class Texts:
    """A gateway for text messages, which answers what it is told to, in turn, the last for ever."""

    def __init__(self, *answers: tuple[Document, int]) -> None:
        self.answers = list(answers)
        self.got: list[Received] = []

    def __call__(self, received: Received) -> Answer:
        self.got.append(received)
        return reply(*(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]))

    def listening(self) -> Buyer:
        return Buyer(self, self)


def texting(name: str, buyer: Buyer, url: str, **changes: Any) -> Document:
    call = {
        "url": f"{url}/messages?v=1",
        "auth": {"basic": {"user": "account", "password": "${env:SMS_TOKEN}"}},
        "body": "form",
        "fields": {
            "To": {"secret": "${env:DESK}"},
            "Body": {"list": [{"const": "New lead:"}, "first_name", "phone"], "join": " "},
            "Reference": {"value": "attempt_id"},
        },
        "reply": {
            "format": "json",
            "success": {"at": "status", "is": ["queued"]},
            "reject": {"at": "code", "is": ["21610"]},
            "duplicate": {"at": "code", "is": ["409"]},
            "error": {"status": ["429", "5xx"]},
        },
    }
    return market({name: buyer}, orders={name: {"deliver": {"text": {"http": call | changes}}}})


async def sold(world: World, document: Document, **ping: Any) -> None:
    await world.apply(document)
    post = await world.post((await world.ping(**ping))["ping_id"])
    assert post["status"] == "accepted", post


async def states(world: World) -> list[tuple[str, str]]:
    return [(row["state"], row["detail"]) for row in await outbox_rows(world)]


QUEUED: tuple[Document, int] = ({"status": "queued"}, 201)


async def test_a_text_message_is_sent_as_its_mapping_says(world: World) -> None:
    texts = Texts(QUEUED)
    async with texts.listening() as gateway, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, texting("texted", buyer, gateway.url))
        await send_all(world, environment=SECRETS)
    [received], posted = texts.got, buyer.posts[0].json
    assert parse_qs(received.body.decode()) == {
        "To": ["+13125550100"],
        "Body": [f"New lead: {CONTACT['first_name']} {posted['lead']['phone']}"],
        "Reference": [posted["attempt_id"]],
    }
    assert received.headers["authorization"] == "Basic " + base64.b64encode(b"account:t0ken").decode()
    assert received.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert (received.path, await states(world)) == ("/messages?v=1", [("done", "")])


@pytest.mark.parametrize(
    ("answer", "state", "detail"),
    [
        (({"code": "21610"}, 400), "waiting", "HTTP 400: no rule fits it"),
        (({"code": "21610"}, 200), "dead", "refused"),
        (({"code": "409"}, 200), "done", "it had arrived before"),
        (({"status": "what"}, 200), "waiting", "HTTP 200: no rule fits it"),
    ],
)
async def test_answers_mean_what_the_rules_say(
    world: World, answer: tuple[Document, int], state: str, detail: str
) -> None:
    texts = Texts(answer)
    async with texts.listening() as gateway, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, texting("answered", buyer, gateway.url))
        await send_all(world, environment=SECRETS)
    [(found, said)] = await states(world)
    assert (found, said.startswith(detail)) == (state, True), said


async def test_what_is_busy_is_sent_again_the_same(world: World) -> None:
    texts = Texts(({"status": "queued"}, 429), ({}, 503), QUEUED)
    async with texts.listening() as gateway, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, texting("busy", buyer, gateway.url))
        for _ in range(3):
            await make_due(world)
            await send_all(world, environment=SECRETS)
    assert len({received.body for received in texts.got}) == 1
    assert (len(texts.got), await states(world)) == (3, [("done", "")])


async def test_without_its_secrets_it_waits(world: World) -> None:
    texts = Texts(QUEUED)
    async with texts.listening() as gateway, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, texting("unset", buyer, gateway.url))
        await send_all(world, environment={"SMS_TOKEN": "t0ken"})
        [(state, detail)] = await states(world)
        assert (state, detail.startswith("a secret is not set"), texts.got) == ("waiting", True, [])
        await make_due(world)
        await send_all(world, environment=SECRETS)
    assert (len(texts.got), await states(world)) == (1, [("done", "")])


async def test_a_test_lead_is_sent_only_where_it_can_be_marked(world: World) -> None:
    texts = Texts(QUEUED)
    async with texts.listening() as gateway, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, texting("unmarked", buyer, gateway.url), test=True)
        await send_all(world, environment=SECRETS)
        assert texts.got == []
        assert await states(world) == [("skipped", "a test, which the request cannot mark")]
        marking = {"To": {"const": "x"}, "Test": {"value": "test"}}
        await sold(world, texting("marked", buyer, gateway.url, fields=marking), test=True)
        await send_all(world, environment=SECRETS)
    [received] = texts.got
    assert parse_qs(received.body.decode())["Test"] == ["true"]


async def test_a_value_that_the_request_cannot_carry_is_given_up_at_once(world: World) -> None:
    texts = Texts(QUEUED)
    async with texts.listening() as gateway, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = texting("uncarried", buyer, gateway.url, headers={"X-Name": "first_name"})
        await world.apply(document)
        await world.post((await world.ping())["ping_id"], CONTACT | {"first_name": "Ann\r\nX-Evil: 1"})
        await send_all(world, environment=SECRETS)
    [(state, detail)] = await states(world)
    assert (state, texts.got) == ("dead", [])
    assert detail.startswith("cannot be sent: X-Name")


class TokenServer(GivesTokens):
    """As the market of this file knows it."""

    @property
    def auth(self) -> Document:
        return {"oauth2": {"token_url": f"{self.url}/token", "client_id": "lx", "secret": "${env:SMS_TOKEN}"}}


HOOK = {"secret": "whsec_" + base64.b64encode(bytes(range(32))).decode()}


def told(name: str, buyer: Buyer, gateway: Buyer, kind: str, auth: Document) -> Document:
    """A market in which a delivery of this kind is known by an access token."""
    document = texting(name, buyer, gateway.url, auth=auth)
    if kind == "webhook":
        hook = HOOK | {"url": f"{gateway.url}/messages?v=1", "auth": auth}
        document["orders"][name]["deliver"] = {"text": {"webhook": hook}}
    return document


@pytest.mark.parametrize("kind", ["http", "webhook"])
async def test_a_receiver_may_know_us_by_an_access_token(world: World, kind: str) -> None:
    texts = Texts(QUEUED)
    async with TokenServer() as server, texts.listening() as gateway, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, told(f"token-{kind}", buyer, gateway, kind, server.auth))
        await send_all(world, environment=SECRETS)
    [received], [asked] = texts.got, server.pings
    assert received.headers["authorization"] == "Bearer t-1"
    assert ("webhook-signature" in received.headers) is (kind == "webhook")
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"lx:t0ken").decode()
    assert await states(world) == [("done", "")]


@pytest.mark.parametrize("kind", ["http", "webhook"])
async def test_without_a_token_nothing_is_sent_and_it_is_tried_again(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TOKEN_WAIT_S", 0.2)
    texts = Texts(QUEUED)
    async with TokenServer(fails=True) as server, texts.listening() as gateway, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, told(f"none-{kind}", buyer, gateway, kind, server.auth))
        await send_all(world, environment=SECRETS)
        assert (texts.got, await states(world)) == ([], [("waiting", "no access token")])
        server.fails = False
        await make_due(world)
        await send_all(world, environment=SECRETS)
    assert len(texts.got) == 1
    assert await states(world) == [("done", "")]


async def test_a_token_that_is_refused_is_fetched_anew_for_the_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "REFUSED_EVERY_S", 0.0)
    kept = tokens.Tokens(Courier(allow_private=True))
    texts = Texts(({}, 401), QUEUED)
    async with TokenServer() as server, texts.listening() as gateway, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, told("stale", buyer, gateway, "http", server.auth))
        outbox = sender(world, environment=SECRETS, tokens=kept)
        for _ in range(2):
            await outbox.round()
            await outbox.rest()
            await make_due(world)
            await until(lambda: _count(server), lambda count: count >= 2)
        await kept.close()
    assert [received.headers["authorization"] for received in texts.got] == ["Bearer t-1", "Bearer t-2"]
    assert await states(world) == [("done", "")]


async def _count(server: Buyer) -> int:
    return len(server.pings)
