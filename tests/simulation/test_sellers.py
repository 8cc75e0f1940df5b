"""A simulated seller against a gateway that says what the test wants: every answer is kept, every wrong one a fault."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest

from exchange.simulation.sellers import Account, SellerClient, open_client
from exchange.simulation.tally import Fault, PingTold, PostTold, TurnedAway
from exchange.values.ids import uuid7
from exchange.values.reason import Reason

PING_ID, POST_ID = str(uuid7()), str(uuid7())
ACCOUNT = Account("acme", "key-1", ("auto-us",))
OFFER = {
    "ping_id": PING_ID,
    "status": "offered",
    "price": "17.85",
    "currency": "USD",
    "sale": "exclusive",
    "shares": 1,
    "expires_in": 300,
    "expires_at": "2026-03-01T12:00:00Z",
}
NO_BIDS = {"code": 407, "name": "no_bids", "text": "…"}
UNSOLD = {"ping_id": PING_ID, "status": "unsold", "reason": NO_BIDS}
SALE = {
    "post_id": POST_ID,
    "ping_id": PING_ID,
    "status": "accepted",
    "price": "17.85",
    "currency": "USD",
    "shares": 1,
    "redirect_url": None,
    "changed_fields": [],
}
UNKNOWN = {"code": 505, "name": "unknown", "text": "…"}
PENDING = {"post_id": POST_ID, "ping_id": PING_ID, "status": "pending", "reason": UNKNOWN}

Gateway = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def seller(gateway: Gateway) -> AsyncIterator[SellerClient]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(gateway), base_url="http://gateway") as http:
        yield SellerClient(http, ACCOUNT)


def says(document: Any, status: int = 200, media_type: str = "application/json", **headers: str) -> Gateway:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return lambda _: httpx.Response(status, content=body, headers={"Content-Type": media_type, **headers})


def refuses(status: int, code: str, **headers: str) -> Gateway:
    return says({"status": status, "code": code}, status, "application/problem+json", **headers)


async def test_a_ping_is_sent_as_the_contract_says() -> None:
    seen: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=OFFER)

    async with seller(gateway) as client:
        told = await client.ping("auto-us", {"zip": "60601"}, source="fb-17", min_price_micros=5_000_000)
    assert isinstance(told, PingTold)
    assert (told.ping_id, told.status, told.price_micros, told.reason) == (PING_ID, "offered", 17_850_000, None)
    assert (told.seller, told.campaign, told.min_price_micros) == ("acme", "auto-us", 5_000_000)
    assert (seen[0].method, seen[0].url.path) == ("POST", "/v1/ping")
    assert seen[0].headers["authorization"] == "Bearer key-1"
    assert json.loads(seen[0].content) == {
        "campaign": "auto-us",
        "source": "fb-17",
        "min_price": "5.00",
        "lead": {"zip": "60601"},
    }


async def test_a_post_is_sent_as_the_contract_says() -> None:
    seen: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=SALE)

    async with seller(gateway) as client:
        told = await client.post(PING_ID, {"phone": "+13125550123"}, idempotency_key="k-1")
    assert isinstance(told, PostTold)
    assert (told.post_id, told.ping_id, told.status, told.price_micros) == (POST_ID, PING_ID, "accepted", 17_850_000)
    assert (seen[0].method, seen[0].url.path, seen[0].headers["idempotency-key"]) == ("POST", "/v1/post", "k-1")
    assert json.loads(seen[0].content) == {"ping_id": PING_ID, "lead": {"phone": "+13125550123"}}


async def test_a_business_no_keeps_its_reason() -> None:
    async with seller(says(UNSOLD)) as client:
        ping = await client.ping("auto-us", {})
    async with seller(says(PENDING)) as client:
        post = await client.post(PING_ID, {})
    assert isinstance(ping, PingTold)
    assert (ping.status, ping.reason, ping.price_micros) == ("unsold", Reason.NO_BIDS, None)
    assert isinstance(post, PostTold)
    assert (post.status, post.reason, post.price_micros) == ("pending", Reason.UNKNOWN, None)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "unauthorized"), (404, "unknown_ping"), (409, "in_progress"), (503, "unavailable")]
)
async def test_a_problem_of_the_contract_is_kept_as_such(status: int, code: str) -> None:
    async with seller(refuses(status, code)) as client:
        assert await client.post(PING_ID, {}) == TurnedAway("acme", "/v1/post", status, code, PING_ID)


async def test_a_problem_that_says_when_to_come_again() -> None:
    async with seller(refuses(429, "rate_limited", **{"Retry-After": "2"})) as client:
        assert await client.ping("auto-us", {}) == TurnedAway("acme", "/v1/ping", 429, "rate_limited")


WRONG_FOR_BOTH: list[Gateway] = [
    says(b""),
    says(b"{"),
    says([]),
    says({}),
    says(OFFER, 201),
    says(OFFER, 302),
    says(OFFER, 502),
    says(OFFER, 204),
    says(OFFER, media_type="text/html"),
    says({"code": "unauthorized"}, 401),
    refuses(401, "unknown_ping"),
    refuses(418, "unauthorized"),
    refuses(429, "rate_limited"),
    says(UNSOLD | {"status": "maybe"}),
    says(PENDING | {"status": "unsold"}),
]


@pytest.mark.parametrize(
    "gateway",
    [
        *WRONG_FOR_BOTH,
        says(OFFER | {"price": 17.85}),
        says(OFFER | {"price": "-1.00"}),
        says(OFFER | {"price": None}),
        says(OFFER | {"currency": "EUR"}),
        says(OFFER | {"ping_id": "7"}),
        says(OFFER | {"ping_id": str(UUID(int=4))}),
        says(OFFER | {"ping_id": PING_ID.upper()}),
        says(OFFER | {"sale": "shared"}),
        says(OFFER | {"shares": 2}),
        says(OFFER | {"expires_at": None}),
        says(UNSOLD | {"reason": None}),
        says(UNSOLD | {"reason": NO_BIDS | {"name": "outbid"}}),
        says(UNSOLD | {"reason": NO_BIDS | {"code": 999}}),
        says(UNSOLD | {"reason": {"code": 407, "name": "no_bids"}}),
    ],
)
async def test_a_wrong_answer_to_a_ping_is_a_fault(gateway: Gateway) -> None:
    async with seller(gateway) as client:
        told = await client.ping("auto-us", {})
    assert isinstance(told, Fault)
    assert (told.answered, told.path, told.ping_id) == (True, "/v1/ping", None)


@pytest.mark.parametrize(
    "gateway",
    [
        *WRONG_FOR_BOTH,
        says(SALE | {"price": 17.85}),
        says(SALE | {"post_id": None}),
        says(SALE | {"ping_id": str(uuid7())}),
        says(PENDING | {"reason": NO_BIDS | {"code": 505}}),
    ],
)
async def test_a_wrong_answer_to_a_post_is_a_fault(gateway: Gateway) -> None:
    async with seller(gateway) as client:
        told = await client.post(PING_ID, {})
    assert isinstance(told, Fault)
    assert (told.answered, told.path, told.ping_id) == (True, "/v1/post", PING_ID)


async def test_no_answer_is_a_fault_without_one() -> None:
    async with open_client("http://127.0.0.1:9") as http:  # the discard port: nobody is there
        told = await SellerClient(http, ACCOUNT).ping("auto-us", {})
    assert told == Fault("acme", "/v1/ping", "no answer: ConnectError", answered=False)


def in_turn(*gateways: Gateway) -> Gateway:
    turns = iter(gateways)

    def gateway(request: httpx.Request) -> httpx.Response:
        return next(turns)(request)

    return gateway


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_repeated_post_with_the_same_answer_is_told_once(at_once: bool) -> None:
    async with seller(says(SALE)) as client:
        told = await client.post_twice(PING_ID, {}, idempotency_key="k", at_once=at_once)
    assert [type(record) for record in told] == [PostTold]


async def test_a_repeated_post_with_another_answer_is_a_fault() -> None:
    async with seller(in_turn(says(SALE), says(SALE | {"price": "17.84"}))) as client:
        told = await client.post_twice(PING_ID, {}, idempotency_key="k")
    assert [type(record) for record in told] == [PostTold, PostTold, Fault]


async def test_two_posts_at_once_may_meet_but_a_later_one_may_not() -> None:
    for at_once, kinds in ((True, [PostTold, TurnedAway]), (False, [PostTold, TurnedAway, Fault])):
        async with seller(in_turn(says(SALE), refuses(409, "in_progress"))) as client:
            told = await client.post_twice(PING_ID, {}, idempotency_key="k", at_once=at_once)
        assert [type(record) for record in told] == kinds


@pytest.mark.parametrize(("first", "kinds"), [(PENDING, [PostTold, TurnedAway]), (SALE, [PostTold, TurnedAway, Fault])])
async def test_only_a_pending_post_may_still_be_in_progress(first: Any, kinds: list[type]) -> None:
    async with seller(in_turn(says(first), refuses(409, "in_progress"))) as client:
        told = await client.post_twice(PING_ID, {}, idempotency_key="k")
    assert [type(record) for record in told] == kinds


async def test_a_repeated_post_that_is_told_to_wait_is_no_fault() -> None:
    async with seller(in_turn(says(SALE), refuses(503, "unavailable"))) as client:
        told = await client.post_twice(PING_ID, {}, idempotency_key="k")
    assert [type(record) for record in told] == [PostTold, TurnedAway]
