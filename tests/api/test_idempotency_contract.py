"""Repeats: a ping is posted once, the replay is the first answer byte for byte, and what failed used nothing up."""

import asyncio
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from support.buyer import ACCEPTS, REJECTS, Behaviour, Buyer, bids, says
from support.market import CONTACT, Document, market
from support.waiting import Held
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.storage.erasure import erase

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def post(
    world: World, ping_id: str, key: str | None = None, lead: Document | None = None, seller: str = "acme"
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await world.send("/v1/post", {"ping_id": ping_id, "lead": lead or CONTACT}, seller, **headers)


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code") or answer.json()["status"]


@pytest.mark.parametrize("key", [None, "a-key"])
@pytest.mark.parametrize(
    ("on_post", "status"),
    [(ACCEPTS, "accepted"), (REJECTS, "rejected"), (says({}, 503), "pending")],
    ids=["accepted", "rejected", "pending"],
)
async def test_a_repeat_is_the_first_answer_byte_for_byte(
    shared_world: World, on_post: Behaviour, status: str, key: str | None
) -> None:
    async with Buyer(bids("21.00"), on_post) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        key = key and f"{key}-{status}"
        first = await post(shared_world, ping_id, key)
        again = await post(shared_world, ping_id, key)
        await shared_world.rows("update pings set expires_at = now() where ping_id = $1 returning 1", ping_id)
        expired = await post(shared_world, ping_id, key)
        assert len(buyer.posts) == 1
    assert first.json()["status"] == status
    assert [(answer.status_code, answer.content) for answer in (again, expired)] == [(200, first.content)] * 2


async def test_a_repeat_after_its_campaign_was_closed_is_not_told_that_nothing_was_sold(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = market({"only": buyer})
        await shared_world.apply(document)
        ping_id, open_id = [(await shared_world.ping())["ping_id"] for _ in range(2)]
        first = await post(shared_world, ping_id)
        await shared_world.apply(document | {"sellers": {"acme": {"campaigns": []}}})
        again = [await post(shared_world, ping_id, key) for key in (None, "closed")]
        assert told(await post(shared_world, ping_id, lead=CONTACT | {"first_name": "Bob"})) == (409, "already_posted")
        assert told(await post(shared_world, open_id)) == (403, "forbidden")
        assert len(buyer.posts) == 1
    assert [(answer.status_code, answer.content) for answer in again] == [(200, first.content)] * 2


async def test_a_repeat_after_the_lead_was_erased_is_told_so_and_under_its_key_what_it_was_told(
    shared_world: World,
) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        first = await post(shared_world, ping_id, "erased")
        await erase(shared_world.database, UUID(first.json()["post_id"]))
        again, keyed = await post(shared_world, ping_id), await post(shared_world, ping_id, "erased")
    assert (again.status_code, again.json()["code"]) == (409, "already_posted")
    assert again.json()["detail"] == "This ping was posted before, with a lead that was erased since."
    assert (keyed.status_code, keyed.content) == (200, first.content)


async def test_any_key_or_none_replays_the_same_post(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        answers = [await post(shared_world, ping_id, key) for key in ("any-1", "any-2", None, "any-1", "any-2")]
        assert len(buyer.posts) == 1
    assert {answer.content for answer in answers} == {answers[0].content}


async def test_the_same_lead_in_other_words_is_a_repeat(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        first = await post(shared_world, ping_id)
        other_words = {"phone": "+1 (312) 555-0123", "email": " ann.canary@EXAMPLE.com ", "first_name": " Ann"}
        again = await post(shared_world, ping_id, lead=other_words | {"age": 41})
        assert len(buyer.posts) == 1
    assert (again.status_code, again.content) == (200, first.content)


async def test_another_lead_for_the_same_ping_is_refused(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        first = await post(shared_world, ping_id, "another-1")
        for changes in ({"first_name": "Bob"}, {"phone": "312-555-0124"}, {"email": "b@example.com"}):
            refused = await post(shared_world, ping_id, "another-2", CONTACT | changes)
            assert told(refused) == (409, "already_posted")
        assert (await post(shared_world, ping_id, "another-2")).content == first.content
        assert len(buyer.posts) == 1


async def test_a_key_stands_for_one_body(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        one, other = (await shared_world.ping())["ping_id"], (await shared_world.ping())["ping_id"]
        assert told(await post(shared_world, one, "body")) == (200, "accepted")
        assert told(await post(shared_world, other, "body")) == (422, "idempotency_key_reused")
        assert told(await post(shared_world, one, "body", CONTACT | {"age": 42})) == (422, "idempotency_key_reused")
        assert told(await post(shared_world, "nonsense", "body")) == (422, "idempotency_key_reused")
        assert told(await post(shared_world, other, "free")) == (200, "accepted")


async def test_a_key_that_was_given_a_replay_stands_for_that_body_too(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        one, other = (await shared_world.ping())["ping_id"], (await shared_world.ping())["ping_id"]
        await post(shared_world, one)
        assert told(await post(shared_world, one, "late-key")) == (200, "accepted")
        assert told(await post(shared_world, other, "late-key")) == (422, "idempotency_key_reused")
        assert len(buyer.posts) == 1


async def test_the_order_of_keys_and_blanks_in_a_body_changes_nothing(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        first = await post(shared_world, ping_id, "blanks")
        body = f'{{ "lead" : {httpx.Response(200, json=dict(reversed(CONTACT.items()))).text}, "ping_id":"{ping_id}" }}'
        headers = {"Idempotency-Key": "blanks", "Authorization": f"Bearer {shared_world.keys['acme']}"}
        headers["Content-Type"] = "application/json"
        again = await shared_world.client.post("/v1/post", content=body, headers=headers)
    assert (again.status_code, again.content) == (200, first.content)


async def test_keys_of_different_sellers_have_nothing_to_do_with_one_another(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        mine = (await shared_world.ping())["ping_id"]
        theirs = (await shared_world.ping(seller="other"))["ping_id"]
        assert told(await post(shared_world, mine, "one-name")) == (200, "accepted")
        assert told(await post(shared_world, theirs, "one-name", seller="other")) == (200, "accepted")
        assert len(buyer.posts) == 2


@pytest.mark.parametrize("key", [None, "twin", "cousin"])
async def test_a_twin_that_comes_while_the_first_is_running_is_told_so(shared_world: World, key: str | None) -> None:
    held = Held({"status": "accepted"})
    async with Buyer(bids("21.00"), held) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        first = asyncio.create_task(post(shared_world, ping_id, f"twin-of-{key}"))
        await held.asked.wait()
        twin_key = f"twin-of-{key}" if key == "twin" else key
        twin = await post(shared_world, ping_id, twin_key)
        assert told(twin) == (409, "in_progress")
        held.release.set()
        assert told(await first) == (200, "accepted")
        assert (await post(shared_world, ping_id, twin_key)).content == (await first).content
        assert len(buyer.posts) == 1


@pytest.mark.parametrize("same_key", [True, False], ids=["one key", "a key each"])
async def test_many_twins_at_once_are_one_sale_and_every_key_replays_it(shared_world: World, same_key: bool) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        keys = [f"many-{same_key}-{0 if same_key else number}" for number in range(12)]
        answers = await asyncio.gather(*(post(shared_world, ping_id, key) for key in keys))
        assert len(buyer.posts) == 1
        assert {told(answer) for answer in answers} <= {(200, "accepted"), (409, "in_progress")}
        [content] = {answer.content for answer in answers if answer.status_code == 200}
        again = [await post(shared_world, ping_id, key) for key in keys]
    assert {(answer.status_code, answer.content) for answer in again} == {(200, content)}


async def test_twins_with_different_leads_sell_one_of_them(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        leads = [CONTACT | {"first_name": f"Ann{number}"} for number in range(6)]
        answers = await asyncio.gather(
            *(post(shared_world, ping_id, f"rival-{i}", lead) for i, lead in enumerate(leads))
        )
        assert len(buyer.posts) == 1
        assert sorted(told(answer) for answer in answers) == [(200, "accepted")] + [(409, "already_posted")] * 5
        winner = next(number for number, answer in enumerate(answers) if answer.status_code == 200)
        assert buyer.posts[0].json["lead"]["first_name"] == f"Ann{winner}"


async def test_what_was_refused_uses_neither_the_key_nor_the_ping_up(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = market({"only": buyer})
        await shared_world.apply(document)
        ping_id = (await shared_world.ping())["ping_id"]
        assert told(await post(shared_world, ping_id, "reused", {"phone": "12"})) == (422, "invalid_lead")
        assert told(await post(shared_world, "nonsense", "reused")) == (404, "unknown_ping")
        assert told(await post(shared_world, ping_id, "reused", seller="other")) == (404, "unknown_ping")
        await shared_world.apply(document | {"sellers": {"acme": {"campaigns": []}}})
        assert told(await post(shared_world, ping_id, "reused")) == (403, "forbidden")
        await shared_world.apply(document)
        assert told(await post(shared_world, ping_id, "reused")) == (200, "accepted")
        assert len(buyer.posts) == 1


@pytest.mark.asyncio(loop_scope="function")
async def test_what_could_not_be_recorded_uses_neither_the_key_nor_the_ping_up(
    services: Services, tmp_path: Path
) -> None:
    async with Buyer(bids("21.00")) as buyer, open_world(services, tmp_path, postgres_timeout_s=0.4) as world:
        await world.apply(market({"only": buyer}))
        ping_id = (await world.ping())["ping_id"]
        async with world.locked("posts"):
            refused = await post(world, ping_id, "locked")
        assert told(refused) == (503, "unavailable")
        assert refused.headers["retry-after"].isdecimal()
        assert not buyer.posts
        assert told(await post(world, ping_id, "locked")) == (200, "accepted")
        assert len(buyer.posts) == 1


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_that_cannot_be_kept_is_refused(shared_world: World, key: str) -> None:
    refused = await post(shared_world, "nonsense", key)
    assert told(refused) == (422, "invalid_request")


async def test_the_longest_key_is_kept(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        ping_id = (await shared_world.ping())["ping_id"]
        first = await post(shared_world, ping_id, "k" * 255)
        assert told(first) == (200, "accepted")
        assert (await post(shared_world, ping_id, "k" * 255)).content == first.content


@pytest.mark.asyncio(loop_scope="function")
async def test_a_replay_survives_a_restart_of_the_gateway(services: Services, tmp_path: Path) -> None:
    async with Buyer(bids("21.00")) as buyer:
        async with open_world(services, tmp_path) as before:
            await before.apply(market({"only": buyer}))
            ping_id = (await before.ping())["ping_id"]
            first = await post(before, ping_id, "restart")
        async with open_world(services, tmp_path) as after:
            keys = after.keys | before.keys
            restarted = World(after.client, after.database, keys, services)
            answers = [await post(restarted, ping_id, key) for key in ("restart", None, "new")]
            refused = await post(restarted, ping_id, "restart", CONTACT | {"first_name": "Bob"})
        assert len(buyer.posts) == 1
    assert {answer.content for answer in answers} == {first.content}
    assert told(refused) == (422, "idempotency_key_reused")
