"""POST /v1/ping as the contract has it: what a seller is told, what buyers are shown, what is kept."""

import asyncio
import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.buyer import Buyer, bids, says, silent
from support.market import LEAD, market
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.values.reason import Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = "http://127.0.0.1:9"


def reason(code: int) -> dict[str, Any]:
    found = Reason(code)
    return {"code": code, "name": found.wire_name, "text": found.text}


async def test_an_offer_says_its_price_and_its_terms(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        asked_at = datetime.now(UTC)
        offer = await shared_world.ping()
        answered_at = datetime.now(UTC)
    assert UUID(offer["ping_id"]).version == 7
    assert offer["expires_at"].endswith("Z")
    expires_at = datetime.fromisoformat(offer["expires_at"])
    assert asked_at - timedelta(seconds=1) <= expires_at - timedelta(seconds=60) <= answered_at
    assert offer == {
        "ping_id": offer["ping_id"],
        "status": "offered",
        "price": "17.85",
        "currency": "USD",
        "sale": "exclusive",
        "shares": 1,
        "expires_in": 60,
        "expires_at": offer["expires_at"],
        "ignored": [],
    }


async def test_a_ping_that_nobody_bids_on_is_unsold(shared_world: World) -> None:
    async with Buyer(says({"bid": None, "reason": "not today"})) as buyer:
        await shared_world.apply(market({"only": buyer}))
        answer = await shared_world.ping()
    assert answer == {"ping_id": answer["ping_id"], "status": "unsold", "reason": reason(407), "ignored": []}


async def test_a_ping_that_suits_no_order_is_unsold_and_nobody_is_asked(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}, orders={"only": {"filter": {"state": ["NY"]}}}))
        answer = await shared_world.ping()
        assert not buyer.pings
    assert (answer["status"], answer["reason"]) == ("unsold", reason(406))
    assert await shared_world.reasons(answer["ping_id"]) == {}


@pytest.mark.parametrize(
    ("least", "status"),
    [("17.85", "offered"), (17.85, "offered"), (17, "offered"), ("17.850001", "unsold"), ("17.86", "unsold")],
)
async def test_the_least_price_is_compared_with_the_payout(shared_world: World, least: object, status: str) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        answer = await shared_world.ping(min_price=least)
    assert answer["status"] == status
    if status == "unsold":
        assert answer["reason"] == reason(408)
        assert await shared_world.reasons(answer["ping_id"]) == {"only": 408}


async def test_a_buyer_is_shown_the_lead_and_the_campaign_and_nothing_of_the_seller(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = market({"only": buyer})
        document["buyers"]["only"]["endpoint"]["auth"] = {"bearer": "buyers-token"}
        await shared_world.apply(document)
        answer = await shared_world.ping(source="fb-17", ref="my-123", min_price="6.66", timeout_ms=500)
        [asked] = buyer.pings
    assert asked.json == {
        "ping_id": answer["ping_id"],
        "campaign": "auto-us",
        "vertical": "auto",
        "test": False,
        "currency": "USD",
        "floor": "5.00",
        "sale": "exclusive",
        "lead": LEAD | {"state": "IL"},
    }
    assert asked.headers["exchange-order"] == "only"
    assert 0 < int(asked.headers["exchange-timeout-ms"]) <= 2000
    assert asked.headers["authorization"] == "Bearer buyers-token"
    assert not any(hidden in str(asked) for hidden in ("acme", "fb-17", "my-123", "6.66"))


async def test_orders_that_may_see_the_same_get_the_same_bytes(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as one, Buyer(bids("20.00")) as two, Buyer(bids("19.00")) as less:
        document = market({"one": one, "two": two, "less": less}, orders={"less": {"fields": ["zip", "credit"]}})
        await shared_world.apply(document)
        await shared_world.ping()
        assert one.pings[0].body == two.pings[0].body
        assert less.pings[0].json["lead"] == {"zip": "60601", "credit": "good"}
        assert [buyer.pings[0].headers["exchange-order"] for buyer in (one, two, less)] == ["one", "two", "less"]


async def test_fields_that_a_ping_may_not_carry_are_dropped_and_named(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        answer = await shared_world.ping(LEAD | {"phone": "312-555-0123", "shoe_size": 44, "email": 7})
        assert buyer.pings[0].json["lead"] == LEAD | {"state": "IL"}
    assert sorted(answer["ignored"]) == ["email", "phone", "shoe_size"]
    [row] = await shared_world.rows("select lead::text as lead from pings where ping_id = $1", answer["ping_id"])
    assert not any(dropped in row["lead"] for dropped in ("phone", "shoe_size", "email"))


@pytest.mark.parametrize(("sent", "shown"), [({}, "IL"), ({"state": "WI"}, "WI")])
async def test_the_state_comes_from_the_zip_code_unless_it_is_sent(
    shared_world: World, sent: dict[str, str], shown: str
) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        await shared_world.ping(LEAD | sent)
        assert buyer.pings[0].json["lead"]["state"] == shown


@pytest.mark.asyncio(loop_scope="function")
async def test_the_answer_leaves_within_the_sellers_time(services: Services, tmp_path: Path) -> None:
    async with (
        Buyer(bids("8.00")) as mute,
        Buyer(bids("9.00")) as quick,
        open_world(services, tmp_path, ping_finish_ms=250) as world,
    ):
        await world.apply(market({"mute": mute, "quick": quick}))
        await world.ping()  # connections are open now
        mute.on_ping = silent
        started_s = time.monotonic()
        answer = await world.ping(timeout_ms=500)
        assert time.monotonic() - started_s < 1, "the buyers' own 2 s were waited for"
        assert (answer["status"], answer["price"]) == ("offered", "7.65")
        assert await world.reasons(answer["ping_id"]) == {"mute": 101, "quick": 2}


@pytest.mark.parametrize("timeout_ms", [501, 60_000, 10**12])
async def test_more_time_than_the_campaign_gives_is_clamped(shared_world: World, timeout_ms: int) -> None:
    async with Buyer(bids("9.00")) as buyer:
        document = market({"only": buyer}, ping_timeout_ms=500)
        await shared_world.apply(document)
        assert (await shared_world.ping(timeout_ms=timeout_ms))["status"] == "offered"
        assert int(buyer.pings[0].headers["exchange-timeout-ms"]) < 500


async def test_a_buyer_is_told_no_more_time_than_he_has(shared_world: World) -> None:
    async with Buyer(bids("9.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        for timeout_ms in (1000, 3000):
            await shared_world.ping(timeout_ms=timeout_ms)
        told = [int(asked.headers["exchange-timeout-ms"]) for asked in buyer.pings]
    assert 0 < told[0] < 1000
    assert told[0] < told[1] <= 2000


async def test_a_test_is_marked_as_one_to_buyers_and_in_the_record(shared_world: World) -> None:
    async with Buyer(bids("9.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        answer = await shared_world.ping(test=True)
        assert buyer.pings[0].json["test"] is True
    assert answer["status"] == "offered"
    [row] = await shared_world.rows("select test from pings where ping_id = $1", answer["ping_id"])
    assert row["test"] is True


async def test_identity_hashes_are_taken_and_neither_shown_nor_stored(shared_world: World) -> None:
    digest = hashlib.sha256(b"+13125550123").hexdigest()
    async with Buyer(bids("9.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        answer = await shared_world.ping(identity_hashes={"phone": digest.upper(), "email": digest})
        assert digest not in str(buyer.pings).lower()
    assert answer["status"] == "offered"
    [row] = await shared_world.rows("select pings::text as text from pings where ping_id = $1", answer["ping_id"])
    assert digest not in row["text"].lower()


async def test_a_repeated_ping_is_a_new_ping(shared_world: World) -> None:
    async with Buyer(bids("9.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        one, other = await shared_world.ping(ref="same"), await shared_world.ping(ref="same")
        assert [asked.json["ping_id"] for asked in buyer.pings] == [one["ping_id"], other["ping_id"]]
    assert one["ping_id"] < other["ping_id"]


async def test_every_order_that_the_filters_let_through_has_one_reason(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as high, Buyer(bids("20.00")) as low, Buyer(says({"bid": 0})) as idle:
        unasked = dict.fromkeys(("paused", "excluding", "elsewhere", "secretive"), NOBODY)
        document = market(
            {"high": high, "low": low, "idle": idle, **unasked},
            orders={
                "paused": {"paused": True},
                "excluding": {"exclude_sellers": ["acme"]},
                "elsewhere": {"filter": {"state": ["NY"]}},
            },
        )
        document["buyers"]["secretive"]["endpoint"]["auth"] = {"bearer": "${env:NO_TEST_EVER_SETS_THIS}"}
        await shared_world.apply(document)
        answer = await shared_world.ping()
    assert await shared_world.reasons(answer["ping_id"]) == {
        "high": 2,
        "low": 307,
        "idle": 1,
        "paused": 206,
        "excluding": 212,
        "secretive": 206,
    }


async def test_a_buyer_without_the_floor_to_spend_is_not_asked(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as poor, Buyer(bids("9.00")) as rich:
        document = market({"poor": poor, "rich": rich})
        document["buyers"]["poor"]["credit_limit"] = "4.99"
        await shared_world.apply(document)

        async def once_known() -> dict[str, int]:
            return await shared_world.reasons((await shared_world.ping())["ping_id"])

        assert await until(once_known, lambda found: found["poor"] == 205) == {"poor": 205, "rich": 2}


async def test_the_most_specific_margin_makes_the_price(shared_world: World) -> None:
    async with Buyer(bids("20.00")) as plain, Buyer(bids("20.00")) as special:
        document = market({"plain": plain, "special": special}, orders={"special": {"exclude_sellers": ["acme"]}})
        document["sellers"]["other"]["margin"] = {"percent": 10}
        document["buyers"]["special"]["margin"] = {"amount": "1.00"}
        document["orders"]["plain"]["filter"] = {"credit": ["good"]}
        await shared_world.apply(document)
        assert (await shared_world.ping())["price"] == "17.00"
        assert (await shared_world.ping(LEAD | {"credit": "fair"}, seller="other"))["price"] == "19.00"
        document["orders"]["special"]["paused"] = True
        await shared_world.apply(document)
        assert (await shared_world.ping(seller="other"))["price"] == "18.00"


async def test_source_and_reference_are_kept_with_the_ping(shared_world: World) -> None:
    await shared_world.apply(market({}))
    answer = await shared_world.ping(source="fb-17", ref="x" * 255)
    await shared_world.reasons(answer["ping_id"])
    [row] = await shared_world.rows("select source, ref from pings where ping_id = $1", answer["ping_id"])
    assert tuple(row) == ("fb-17", "x" * 255)


async def test_an_offer_is_in_the_record_before_it_is_told(shared_world: World) -> None:
    async with Buyer(bids("9.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        for _ in range(20):
            answer = await shared_world.ping()
            [row] = await shared_world.rows("select status from pings where ping_id = $1", answer["ping_id"])
            assert row["status"] == "offered"


async def test_an_offer_that_cannot_be_recorded_in_time_is_not_made(shared_world: World) -> None:
    async with Buyer(bids("9.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        async with shared_world.locked("pings"):
            started_s = time.monotonic()
            refused = await shared_world.send("/v1/ping", {"campaign": "auto-us", "lead": LEAD, "timeout_ms": 250})
            elapsed_s = time.monotonic() - started_s
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"].isdecimal()
        assert elapsed_s < 1, "the answer did not leave within the seller's time"
        assert (await shared_world.ping())["status"] == "offered"


async def test_many_pings_at_once_are_all_answered_each_with_its_own(shared_world: World) -> None:
    async with Buyer(bids("9.00")) as buyer:
        await shared_world.apply(market({"only": buyer}, ping_timeout_ms=10_000))
        answers = await asyncio.gather(*(shared_world.ping(ref=str(number)) for number in range(50)))
    assert {answer["status"] for answer in answers} == {"offered"}
    rows = await shared_world.rows(
        "select ref, ping_id from pings where ping_id = any($1::uuid[])", [answer["ping_id"] for answer in answers]
    )
    assert {(row["ref"], str(row["ping_id"])) for row in rows} == {
        (str(number), answer["ping_id"]) for number, answer in enumerate(answers)
    }
