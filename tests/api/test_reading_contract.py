"""GET /v1/pings and /v1/posts: what is true now, for whom it belongs to, and nobody else."""

import asyncio

import pytest
from support.buyer import REJECTS, Buyer, bids, says
from support.market import CONTACT, market
from support.waiting import Held, until
from support.world import World

from exchange.values.ids import uuid7

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def read(world: World, path: str, seller: str = "acme") -> dict[str, object]:
    answer = await world.get(path, seller)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_an_offer_can_be_read_at_once_then_as_posted(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping()
        terms = {name: offer[name] for name in ("ping_id", "price", "currency", "sale", "shares", "expires_at")}
        assert await read(shared_world, f"/v1/pings/{offer['ping_id']}") == terms | {
            "status": "offered",
            "campaign": "auto-us",
        }
        post = await shared_world.post(offer["ping_id"])
        assert await read(shared_world, f"/v1/pings/{offer['ping_id']}") == terms | {
            "status": "posted",
            "campaign": "auto-us",
            "post_id": post["post_id"],
        }


async def test_an_offer_whose_time_is_over_is_expired_unless_it_was_posted(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        left, posted = await shared_world.ping(), await shared_world.ping()
        await shared_world.post(posted["ping_id"])
    await shared_world.rows("update pings set expires_at = now() where ping_id = $1 returning 1", left["ping_id"])
    await shared_world.rows("update pings set expires_at = now() where ping_id = $1 returning 1", posted["ping_id"])
    assert (await read(shared_world, f"/v1/pings/{left['ping_id']}"))["status"] == "expired"
    assert (await read(shared_world, f"/v1/pings/{posted['ping_id']}"))["status"] == "posted"


async def test_a_ping_that_is_not_written_down_yet_is_there_all_the_same(shared_world: World) -> None:
    """Whoever reads or posts it at once learns what it is, not that there is none."""
    await shared_world.apply(market({}))
    async with shared_world.locked("pings"):
        answer = await shared_world.ping()
        reading = asyncio.create_task(read(shared_world, f"/v1/pings/{answer['ping_id']}"))
        posting = asyncio.create_task(
            shared_world.send("/v1/post", {"ping_id": answer["ping_id"], "lead": CONTACT}),
        )
        await asyncio.sleep(0.2)
        assert not reading.done()
        assert not posting.done()
    assert (await reading)["status"] == "unsold"
    refused = await posting
    assert (refused.status_code, refused.json()["code"]) == (409, "not_offered")


async def test_an_id_that_was_made_just_now_and_is_no_ping_is_unknown_soon(shared_world: World) -> None:
    await shared_world.apply(market({}))
    for answer in (
        await shared_world.get(f"/v1/pings/{uuid7()}"),
        await shared_world.send("/v1/post", {"ping_id": str(uuid7()), "lead": CONTACT}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_ping")


async def test_an_unsold_ping_can_be_read_within_a_second(shared_world: World) -> None:
    await shared_world.apply(market({}))
    answer = await shared_world.ping()

    async def look() -> int:
        return (await shared_world.get(f"/v1/pings/{answer['ping_id']}")).status_code

    await until(look, lambda status: status == 200)
    assert await read(shared_world, f"/v1/pings/{answer['ping_id']}") == {
        "ping_id": answer["ping_id"],
        "status": "unsold",
        "campaign": "auto-us",
        "reason": answer["reason"],
    }


async def test_an_accepted_post_reads_as_it_was_answered(shared_world: World) -> None:
    url = "https://b.example/thanks"
    async with Buyer(bids("21.00"), says({"status": "accepted", "redirect_url": url})) as buyer:
        await shared_world.apply(market({"only": buyer}))
        post = await shared_world.post((await shared_world.ping())["ping_id"])
    del post["changed_fields"]
    assert post["redirect_url"] == url
    assert await read(shared_world, f"/v1/posts/{post['post_id']}") == post


async def test_a_rejected_post_reads_with_its_reason(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as buyer:
        await shared_world.apply(market({"only": buyer}))
        post = await shared_world.post((await shared_world.ping())["ping_id"])
    del post["changed_fields"]
    assert await read(shared_world, f"/v1/posts/{post['post_id']}") == post


async def test_a_post_is_in_progress_until_its_buyer_has_spoken(shared_world: World) -> None:
    held = Held({"status": "accepted"})
    async with Buyer(bids("21.00"), held) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        posting = asyncio.create_task(shared_world.post(ping_id))
        await held.asked.wait()
        ping = await read(shared_world, f"/v1/pings/{ping_id}")
        post = await read(shared_world, f"/v1/posts/{ping['post_id']}")
        held.release.set()
        answer = await posting
    assert (ping["status"], ping["post_id"]) == ("posted", answer["post_id"])
    assert post == {"post_id": answer["post_id"], "ping_id": ping_id, "status": "in_progress"}


async def test_a_pending_post_reads_as_pending(shared_world: World) -> None:
    async with Buyer(bids("21.00"), says({}, 500)) as buyer:
        await shared_world.apply(market({"only": buyer}))
        post = await shared_world.post((await shared_world.ping())["ping_id"])
    del post["changed_fields"]
    assert post["status"] == "pending"
    assert await read(shared_world, f"/v1/posts/{post['post_id']}") == post


async def test_what_belongs_to_another_seller_is_not_there(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        post = await shared_world.post((await shared_world.ping())["ping_id"])
    for path, code in ((f"pings/{post['ping_id']}", "unknown_ping"), (f"posts/{post['post_id']}", "unknown_post")):
        refused = await shared_world.get(f"/v1/{path}", "other")
        assert (refused.status_code, refused.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    "identifier",
    [
        "0196f3c0-0000-7000-8000-000000000001",
        "0196f3c0-0000-4000-8000-000000000001",
        "ffffffff-ffff-7000-8000-000000000001",
        "00000000-0000-0000-0000-000000000000",
        "nonsense",
        "%00",
        "%ff%fe",
        "x" * 5_000,
        "%F0%9F%A6%84",
    ],
)
@pytest.mark.parametrize("kind", ["pings", "posts"])
async def test_what_does_not_exist_is_not_found(shared_world: World, kind: str, identifier: str) -> None:
    refused = await shared_world.get(f"/v1/{kind}/{identifier}")
    assert (refused.status_code, refused.json()["code"]) == (404, f"unknown_{kind[:-1]}")


async def test_reading_needs_no_open_campaign(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        offer = await shared_world.ping()
        document = market({"only": buyer})
        document["sellers"]["acme"]["campaigns"] = []
        await shared_world.apply(document)
        assert (await read(shared_world, f"/v1/pings/{offer['ping_id']}"))["status"] == "offered"
        refused = await shared_world.send("/v1/post", {"ping_id": offer["ping_id"], "lead": CONTACT})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
