"""Buyers who know us by an access token, on real sockets: pings, posts, status queries and re-sends."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.buyer import ACCEPTS, Answer, Behaviour, Buyer, Received, bids, reply, says
from support.market import Document, market
from support.tokens import GivesTokens
from support.unknowns import KEY, reconcile, state_of
from support.waiting import until
from support.world import World, open_world

from exchange.buyers import tokens
from exchange.embedded.lease import Services
from exchange.observe import metrics
from exchange.values.reason import Reason

OUTBID, PAUSED, WON = Reason.OUTBID, Reason.PAUSED, Reason.WON
MAPPED: Document = {
    "dialect": "mapped",
    "mapping": {
        "ping": {
            "body": "json",
            "fields": {"Zip": "zip", "Test": {"value": "test"}},
            "reply": {"format": "json", "success": {"at": "bid", "exists": True}, "price": "bid"},
        },
        "post": {
            "body": "json",
            "fields": {"Zip": "zip", "Name": "first_name", "Test": {"value": "test"}},
            "reply": {"format": "json", "success": {"at": "status", "is": "accepted"}},
        },
    },
}


class TokenServer(GivesTokens):
    """As the market of this file knows it."""

    @property
    def auth(self) -> Document:
        terms = {"token_url": f"{self.url}/token", "client_id": "lx", "secret": "hush"}
        return {"oauth2": terms | {"scope": "leads", "client_auth": "body"}}


def known_by(received: Received) -> str | None:
    return received.headers.get("authorization")


def only(token: str, then: Behaviour) -> Callable[[Received], Any]:
    """What a buyer answers to those who have this token; others are not known."""
    return lambda received: then(received) if known_by(received) == f"Bearer {token}" else reply({}, 401)


async def bid_of(world: World, order: str) -> int:
    """The reason of an order in a new ping; until there is a token it is paused."""

    async def look() -> int:
        return (await world.reasons((await world.ping())["ping_id"]))[order]

    return await until(look, lambda reason: reason != PAUSED)


@pytest.mark.parametrize("endpoint", [{}, MAPPED], ids=["native", "mapped"])
async def test_pings_and_posts_carry_a_token(world: World, endpoint: Document) -> None:
    async with TokenServer() as server, Buyer(only("t-1", bids("21.00")), only("t-1", ACCEPTS)) as buyer:
        document = market({"north": buyer})
        document["buyers"]["north"]["endpoint"] |= endpoint | {"auth": server.auth}
        await world.apply(document)
        assert await bid_of(world, "north") == WON
        post = await world.post((await world.ping())["ping_id"])
        assert post["status"] == "accepted"
        assert {known_by(received) for received in (*buyer.pings, *buyer.posts)} == {"Bearer t-1"}
        [asked] = server.pings
        assert asked.body == b"grant_type=client_credentials&scope=leads&client_id=lx&client_secret=hush"


async def test_an_order_without_a_token_is_not_asked_and_the_others_are(world: World) -> None:
    async with TokenServer(fails=True) as server, Buyer(bids("30.00")) as buyer, Buyer(bids("20.00")) as other:
        document = market({"north": buyer, "other": other})
        document["buyers"]["north"]["endpoint"]["auth"] = server.auth
        await world.apply(document)
        ping = await world.ping()
        assert await world.reasons(ping["ping_id"]) == {"north": PAUSED, "other": WON}
        assert buyer.pings == []
        server.fails = False
        assert await bid_of(world, "north") == WON


async def test_a_post_without_a_token_is_not_sent_and_the_next_buyer_has_it(world: World) -> None:
    async with TokenServer(fails=True) as server, Buyer(bids("1.00")) as buyer, Buyer(bids("20.00")) as other:
        document = market({"north": buyer, "other": other}, orders={"north": {"price": "25.00"}})
        document["buyers"]["north"]["endpoint"]["auth"] = server.auth
        document["campaigns"]["auto-us"]["margin"] = {"percent": 50}
        await world.apply(document)
        ping = await world.ping()
        assert await world.reasons(ping["ping_id"]) == {"north": WON, "other": OUTBID}
        post = await world.post(ping["ping_id"])
        assert post["status"] == "accepted"
        assert (len(buyer.posts), len(other.posts)) == (0, 1)
        rows = await world.rows("select order_key, reason from attempts where post_id = $1", post["post_id"])
        assert {row["order_key"]: row["reason"] for row in rows} == {"north": Reason.NOT_SENT, "other": Reason.ACCEPTED}
        await world.assert_sound()


async def test_a_token_that_the_buyer_refuses_is_renewed_for_the_next_calls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "REFUSED_EVERY_S", 0.0)
    async with TokenServer() as server, Buyer(only("t-2", bids("21.00")), only("t-3", ACCEPTS)) as buyer:
        document = market({"north": buyer})
        document["buyers"]["north"]["endpoint"]["auth"] = server.auth
        await world.apply(document)
        assert await bid_of(world, "north") == Reason.CLIENT_ERROR

        async def ping() -> Document:
            return await world.ping()

        offered = await until(ping, lambda found: bool(found["status"] == "offered"))
        post = await world.post(offered["ping_id"])
        assert post["status"] == "pending", "a 401 is no word on the lead"

        async def asked() -> int:
            return len(server.pings)

        await until(asked, lambda count: count == 3)
        assert (metrics.REGISTRY.get("exchange_tokens_total", _labels(server, "refused")) or 0) == 2


def _labels(server: Buyer, result: str) -> dict[str, str]:
    return {"address": f"127.0.0.1:{server.port}", "result": result}


@pytest.mark.parametrize("means", ["re-send", "status"])
async def test_a_worker_has_tokens_of_its_own(services: Services, tmp_path: Path, means: str) -> None:
    posted = [reply({}, 502), reply({"status": "accepted"})]
    master_key = base64.b64encode(KEY).decode()

    def on_ping(received: Received) -> Answer:
        """Status queries come here, too: they are no posts."""
        return reply({"status": "accepted"}) if received.method == "GET" else reply({"bid": "21.00"})

    async with (
        open_world(services, tmp_path, master_key=master_key) as world,
        TokenServer() as server,
        Buyer(on_ping, lambda _: posted.pop(0)) as buyer,
    ):
        document = market({"north": buyer})
        asking = {"idempotent_post": True} if means == "re-send" else {"status_url": f"{buyer.url}/status"}
        document["buyers"]["north"]["endpoint"] |= asking | {"auth": server.auth}
        await world.apply(document)
        assert await bid_of(world, "north") == WON
        post = await world.post((await world.ping())["ping_id"])
        assert post["status"] == "pending"
        await until(lambda: reconcile(world), lambda taken: taken == 1)
        assert (await state_of(world, post))["status"] == "accepted"
        asked = buyer.posts[-1] if means == "re-send" else buyer.pings[-1]
        assert known_by(asked) == "Bearer t-2"
        await world.assert_sound()


async def test_a_market_without_the_secret_pauses_the_order(world: World) -> None:
    async with TokenServer() as server, Buyer(says({})) as buyer:
        document = market({"north": buyer})
        auth = {"oauth2": server.auth["oauth2"] | {"secret": "${env:NOBODY_SETS_THIS}"}}
        document["buyers"]["north"]["endpoint"]["auth"] = auth
        await world.apply(document)
        assert await world.reasons((await world.ping())["ping_id"]) == {"north": PAUSED}
        assert server.pings == []
