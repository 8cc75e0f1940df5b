"""POST /v1/leads: a ping and a post in one call, answered as a post is."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from support.buyer import REJECTS, Buyer, bids, says, silent
from support.market import CONTACT, LEAD, Document, market
from support.waiting import Held
from support.world import World

from exchange.values.reason import Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHOLE = LEAD | CONTACT


def offered(**more: Any) -> Document:
    return {"campaign": "auto-us", "lead": WHOLE} | more


async def sell(world: World, key: str | None = None, **more: Any) -> Document:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await world.send("/v1/leads", offered(**more), **headers)
    assert answer.status_code == 200, answer.text
    found: Document = answer.json()
    return found


def reason(code: int) -> Document:
    found = Reason(code)
    return {"code": code, "name": found.wire_name, "text": found.text}


async def test_a_lead_is_sold_in_one_call(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        answer = await sell(shared_world, source="fb-17", ref="my-123", min_price="5.00", test=False)
        assert answer == {
            "post_id": answer["post_id"],
            "ping_id": answer["ping_id"],
            "status": "accepted",
            "price": "17.85",
            "currency": "USD",
            "shares": 1,
            "redirect_url": None,
            "changed_fields": [],
        }
        assert buyer.pings[0].json["lead"] == LEAD | {"state": "IL"}
        assert buyer.posts[0].json["lead"].keys() == WHOLE.keys() | {"state"}
    ping = (await shared_world.get(f"/v1/pings/{answer['ping_id']}")).json()
    post = (await shared_world.get(f"/v1/posts/{answer['post_id']}")).json()
    assert (ping["status"], ping["post_id"], post["status"]) == ("posted", answer["post_id"], "accepted")


@pytest.mark.parametrize(
    ("bid", "more", "code"),
    [(None, {}, 407), ("21.00", {"min_price": "17.86"}, 408), ("21.00", {"lead": WHOLE | {"zip": "10001"}}, 406)],
)
async def test_a_lead_that_finds_no_buyer_is_rejected_with_the_pings_reason(
    shared_world: World, bid: str | None, more: Document, code: int
) -> None:
    async with Buyer(says({"bid": bid})) as buyer:
        await shared_world.apply(market({"only": buyer}, orders={"only": {"filter": {"state": ["IL"]}}}))
        answer = await sell(shared_world, **more)
        assert not buyer.posts
    assert UUID(answer["ping_id"]).version == 7
    assert answer == {
        "post_id": None,
        "ping_id": answer["ping_id"],
        "status": "rejected",
        "reason": reason(code),
        "changed_fields": [],
    }


async def test_a_buyers_no_and_silence_are_answered_as_for_a_post(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as buyer:
        await shared_world.apply(market({"only": buyer}, ping_timeout_ms=500, post_timeout_ms=500))
        rejected = await sell(shared_world)
        buyer.on_post = silent
        pending = await sell(shared_world)
    assert (rejected["status"], rejected["reason"]) == ("rejected", reason(502))
    assert (pending["status"], pending["reason"]) == ("pending", reason(505))
    assert pending["post_id"]


async def test_a_test_lead_is_a_test_all_the_way(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        assert (await sell(shared_world, test=True))["status"] == "accepted"
        assert [sent.json["test"] for sent in buyer.pings + buyer.posts] == [True, True]


async def test_errors_of_ping_and_post_fields_are_listed_together(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        lead = {"zip": "6060", "age": 15, "phone": "12", "email": "a@b"}
        refused = await shared_world.send("/v1/leads", offered(lead=lead))
        assert not buyer.pings
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_lead")
    assert [error["field"] for error in refused.json()["errors"]] == ["zip", "age", "first_name", "phone", "email"]


@pytest.mark.parametrize("key", ["timeout_ms", "identity_hashes", "ping_id", "anything"])
async def test_keys_that_belong_to_other_calls_are_unknown_here(shared_world: World, key: str) -> None:
    refused = await shared_world.send("/v1/leads", offered() | {key: None})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert [(error["field"], error["code"]) for error in refused.json()["errors"]] == [(key, "unknown_key")]


async def test_without_a_key_a_repeat_is_another_sale(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        one, other = await sell(shared_world), await sell(shared_world)
        assert len(buyer.posts) == 2
    assert one["post_id"] != other["post_id"]


@pytest.mark.parametrize(
    ("bid", "word", "status"),
    [("21.00", "accepted", "accepted"), ("21.00", "rejected", "rejected"), (None, "accepted", "rejected")],
)
async def test_with_a_key_a_repeat_is_the_first_answer(
    shared_world: World, bid: str | None, word: str, status: str
) -> None:
    key = {"Idempotency-Key": f"repeat-{bid}-{word}"}
    async with Buyer(says({"bid": bid}), says({"status": word})) as buyer:
        await shared_world.apply(market({"only": buyer}))
        first = await shared_world.send("/v1/leads", offered(), **key)
        again = await shared_world.send("/v1/leads", offered(), **key)
        assert (len(buyer.pings), len(buyer.posts)) == (1, 0 if bid is None else 1)
    assert first.json()["status"] == status
    assert (again.status_code, again.content) == (200, first.content)


async def test_twins_with_one_key_are_one_sale(shared_world: World) -> None:
    held = Held({"status": "accepted"})
    async with Buyer(bids("21.00"), held) as buyer:
        await shared_world.apply(market({"only": buyer}))
        first = asyncio.create_task(sell(shared_world, "twin"))
        await held.asked.wait()
        twin = await shared_world.send("/v1/leads", offered(), **{"Idempotency-Key": "twin"})
        assert (twin.status_code, twin.json()["code"]) == (409, "in_progress")
        held.release.set()
        assert (await first)["status"] == "accepted"
        assert await sell(shared_world, "twin") == await first
        assert (len(buyer.pings), len(buyer.posts)) == (1, 1)


async def test_a_key_stands_for_one_body(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        await sell(shared_world, "body")
        for other in (offered(ref="x"), offered(lead=WHOLE | {"age": 42}), offered(lead={}), offered(campaign="no")):
            refused = await shared_world.send("/v1/leads", other, **{"Idempotency-Key": "body"})
            assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
        assert len(buyer.posts) == 1


async def test_the_replay_outlives_the_market_it_was_sold_on(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        first = await sell(shared_world, "outlives")
        document = market({"only": buyer})
        document["sellers"]["acme"]["campaigns"] = []
        await shared_world.apply(document)
        assert await sell(shared_world, "outlives") == first


async def test_a_key_whose_gateway_was_lost_is_free_again_for_the_same_body(shared_world: World) -> None:
    async with Buyer(says({"bid": None})) as buyer:
        await shared_world.apply(market({"only": buyer}))
        await sell(shared_world, "abandoned")
        lost = "update idempotency_keys set answer = null, lease_until = now() - interval '1 s' where key = 'abandoned'"
        await shared_world.rows(lost)
        headers = {"Idempotency-Key": "abandoned"}
        refused = await shared_world.send("/v1/leads", offered(ref="another"), **headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
        first = await sell(shared_world, "abandoned")
        assert await sell(shared_world, "abandoned") == first
        assert len(buyer.pings) == 2
        await shared_world.rows(lost.replace("now() - interval '1 s'", "now() + interval '9 s'"))
        running = await shared_world.send("/v1/leads", offered(), **headers)
        assert (running.status_code, running.json()["code"]) == (409, "in_progress")


async def test_a_refused_lead_uses_no_key_up(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        refused = await shared_world.send("/v1/leads", offered(lead=LEAD), **{"Idempotency-Key": "unused"})
        assert refused.status_code == 422
        assert (await sell(shared_world, "unused"))["status"] == "accepted"


async def test_one_key_may_name_a_post_and_a_lead(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        lead = await sell(shared_world, "shared-name")
        body = {"ping_id": (await shared_world.ping())["ping_id"], "lead": CONTACT}
        post = await shared_world.send("/v1/post", body, **{"Idempotency-Key": "shared-name"})
        assert (post.status_code, post.json()["status"]) == (200, "accepted")
        assert post.json()["post_id"] != lead["post_id"]
