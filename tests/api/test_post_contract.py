"""POST /v1/post as the contract has it: the lead that leaves, the answer that comes, the fields that were changed."""

import time
from typing import Any
from uuid import UUID

import pytest
from support.buyer import ACCEPTS, REJECTS, Buyer, bids, says, silent
from support.market import CONTACT, LEAD, market
from support.waiting import until
from support.world import World

from exchange.values.reason import Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")


def reason(code: int) -> dict[str, Any]:
    found = Reason(code)
    return {"code": code, "name": found.wire_name, "text": found.text}


async def test_an_accepted_lead_is_paid_as_promised(shared_world: World) -> None:
    async with Buyer(bids("21.00"), says({"status": "accepted", "redirect_url": "https://b.example/x?y=1"})) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping()
        answer = await shared_world.post(offer["ping_id"])
    assert UUID(answer["post_id"]).version == 7
    assert answer == {
        "post_id": answer["post_id"],
        "ping_id": offer["ping_id"],
        "status": "accepted",
        "price": offer["price"],
        "currency": "USD",
        "shares": 1,
        "redirect_url": "https://b.example/x?y=1",
        "changed_fields": [],
    }


async def test_the_buyer_gets_the_whole_lead_at_the_price_of_his_bid(shared_world: World) -> None:
    async with Buyer(bids("20.999", "bid-7")) as buyer:
        document = market({"only": buyer}, orders={"only": {"fields": ["zip"]}})
        document["buyers"]["only"]["endpoint"]["auth"] = {"header": {"name": "X-Key", "value": "buyers-secret"}}
        await shared_world.apply(document)
        offer = await shared_world.ping(source="fb-17", ref="my-123", min_price="6.66")
        await shared_world.post(offer["ping_id"])
        [sent] = buyer.posts
    assert sent.json == {
        "attempt_id": sent.headers["idempotency-key"],
        "ping_id": offer["ping_id"],
        "bid_id": "bid-7",
        "order": "only",
        "campaign": "auto-us",
        "test": False,
        "price": "20.99",
        "currency": "USD",
        "sale": "exclusive",
        "lead": LEAD | {"state": "IL"} | CONTACT | {"phone": "+13125550123", "email": "ann.canary@example.com"},
    }
    assert UUID(sent.headers["idempotency-key"]).version == 7
    assert sent.headers["x-key"] == "buyers-secret"
    assert sent.headers["content-type"] == "application/json"
    assert not any(hidden in str(sent) for hidden in ("acme", "fb-17", "my-123", "6.66"))


@pytest.mark.parametrize(("word", "code"), [("rejected", 502), ("duplicate", 503)])
async def test_a_clear_no_of_the_last_order_is_the_answer(shared_world: World, word: str, code: int) -> None:
    async with Buyer(bids("21.00"), says({"status": word, "reason": "no thanks"})) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping()
        answer = await shared_world.post(offer["ping_id"])
    assert answer == {
        "post_id": answer["post_id"],
        "ping_id": offer["ping_id"],
        "status": "rejected",
        "reason": reason(code),
        "changed_fields": [],
    }


async def test_a_buyer_who_stays_silent_leaves_the_post_pending_at_the_campaigns_time(shared_world: World) -> None:
    async with Buyer(bids("21.00"), silent) as buyer:
        await shared_world.apply(market({"only": buyer}, post_timeout_ms=500))
        offer = await shared_world.ping()
        started_s = time.monotonic()
        answer = await shared_world.post(offer["ping_id"])
        elapsed_s = time.monotonic() - started_s
    assert answer == {
        "post_id": answer["post_id"],
        "ping_id": offer["ping_id"],
        "status": "pending",
        "reason": reason(505),
        "changed_fields": [],
    }
    assert 0.3 < elapsed_s < 1.5


async def test_ping_fields_need_not_be_sent_again(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping()
        answer = await shared_world.post(offer["ping_id"], CONTACT | LEAD | {"zip": "60601-1234", "state": "il"})
        assert buyer.posts[0].json["lead"]["zip"] == "60601"
    assert answer["changed_fields"] == []


async def test_what_the_ping_said_holds_and_what_was_changed_is_named(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping()
        answer = await shared_world.post(offer["ping_id"], CONTACT | {"age": 42, "zip": "10001", "credit": "good"})
        assert buyer.posts[0].json["lead"].items() >= (LEAD | {"state": "IL"}).items()
    assert (answer["status"], sorted(answer["changed_fields"])) == ("accepted", ["age", "zip"])


async def test_a_campaign_may_refuse_changed_fields_and_nothing_is_used_up(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}, changed_fields="refuse"))
        offer = await shared_world.ping()
        document = {"ping_id": offer["ping_id"], "lead": CONTACT | {"age": 42}}
        refused = await shared_world.send("/v1/post", document)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_lead")
        assert [error["field"] for error in refused.json()["errors"]] == ["age"]
        assert not buyer.posts
        assert (await shared_world.post(offer["ping_id"]))["status"] == "accepted"


async def test_every_error_of_a_lead_is_listed_and_nothing_is_used_up(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping()
        lead = {"first_name": "  ", "phone": "12", "email": "nobody"}
        refused = await shared_world.send("/v1/post", {"ping_id": offer["ping_id"], "lead": lead})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_lead")
        assert [error["field"] for error in refused.json()["errors"]] == ["first_name", "phone", "email"]
        refused = await shared_world.send("/v1/post", {"ping_id": offer["ping_id"], "lead": {}})
        assert [error["code"] for error in refused.json()["errors"]] == ["required"] * 3
        assert not buyer.posts
        assert (await shared_world.get(f"/v1/pings/{offer['ping_id']}")).json()["status"] == "offered"
        assert (await shared_world.post(offer["ping_id"]))["status"] == "accepted"


async def test_fields_that_the_vertical_does_not_know_reach_nobody(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping()
        answer = await shared_world.post(offer["ping_id"], CONTACT | {"ssn": "078-05-1120", "nested": {"a": [1]}})
        assert b"078-05-1120" not in buyer.posts[0].body
    assert answer["status"] == "accepted"


async def test_a_test_is_delivered_as_a_test(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping(test=True)
        answer = await shared_world.post(offer["ping_id"])
        assert buyer.posts[0].json["test"] is True
    assert (answer["status"], answer["price"]) == ("accepted", "17.85")
    rows = await shared_world.rows(
        "select p.test, a.test from posts p join attempts a using (post_id) where post_id = $1", answer["post_id"]
    )
    assert [tuple(row) for row in rows] == [(True, True)]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https:///nowhere", "ftp://b.example", "https://b.example/ x", 7, "/relative"]
)
async def test_a_redirect_that_no_seller_should_follow_is_left_out(shared_world: World, url: object) -> None:
    async with Buyer(bids("21.00"), says({"status": "accepted", "redirect_url": url, "reference": 7})) as buyer:
        await shared_world.apply(market({"only": buyer}))
        answer = await shared_world.post((await shared_world.ping())["ping_id"])
    assert (answer["status"], answer["redirect_url"]) == ("accepted", None)


async def test_each_attempt_is_recorded_with_its_reason(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as first, Buyer(bids("20.00"), ACCEPTS) as second:
        await shared_world.apply(market({"first": first, "second": second}))
        answer = await shared_world.post((await shared_world.ping())["ping_id"])

    async def attempts() -> list[tuple[Any, ...]]:
        query = (
            "select order_key, state, reason, gross_micros, payout_micros, reference from attempts "
            "where post_id = $1 order by ordinal"
        )
        return [tuple(row) for row in await shared_world.rows(query, answer["post_id"])]

    assert await until(attempts, lambda found: len(found) == 2) == [
        ("first", "rejected", 502, 21_000_000, 17_850_000, None),
        ("second", "accepted", 501, 20_000_000, 17_850_000, "crm-1"),
    ]


async def test_the_lead_is_kept_sealed_only(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        answer = await shared_world.post((await shared_world.ping())["ping_id"])
    [row] = await shared_world.rows("select lead_sealed, lead_key from posts where post_id = $1", answer["post_id"])
    assert len(row["lead_sealed"]) > 100
    assert len(row["lead_key"]) >= 32
    assert b"3125550123" not in row["lead_sealed"]
