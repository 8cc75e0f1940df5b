"""Shared posts whose gateway is lost between two legs: what was sold stays sold, the rest is unknown for a while."""

import asyncio
import base64
import json
import os
import signal
from pathlib import Path

import httpx
from support.buyer import Buyer, Received, bids, reply, says
from support.commands import shell_on
from support.market import CONTACT, LEAD
from support.shares import attempts, shared_market, standing, state_of, told
from support.unknowns import KEY, UNCLEAR, one_after_another, reconcile
from support.waiting import Held, until
from support.world import World, open_world

from exchange import worker as chores
from exchange.embedded.lease import Services
from exchange.storage import recovery


def knows(received: Received) -> bytes:
    """Bids, and says afterwards that he took the lead."""
    return reply({"bid": "9.00"} if received.path == "/bid" else {"status": "accepted"})


async def test_a_leg_within_its_lease_keeps_the_post_in_progress(world: World) -> None:
    one, two = Held({"status": "accepted"}), Held({"status": "accepted"})
    async with Buyer(bids("10.00"), one) as ann, Buyer(bids("9.00"), two) as bob:
        await world.apply(shared_market({"ann": ann, "bob": bob}))
        offer = await world.ping()
        posting = asyncio.create_task(world.post(offer["ping_id"]))
        await asyncio.gather(one.asked.wait(), two.asked.wait())
        await world.rows("update attempts set lease_until = now() - interval '1 s' where leg = 1")
        assert await recovery.give_up_expired(world.database, chores._pending_answer) == 1
        [row] = await world.rows("select post_id::text as post_id, state, answer from posts")
        assert (row["state"], row["answer"]) == ("in_progress", None)
        one.release.set()  # it was taken over: the gateway may not conclude it any more
        two.release.set()
        post = await posting
    assert told(post) == [(1, "8.50", "pending", 505), (2, "7.65", "accepted", None)]
    assert (post["status"], post["price"]) == ("pending", "7.65")
    assert (await state_of(world, post))["status"] == "pending"
    await world.assert_sound()


async def test_what_is_told_when_all_legs_were_taken_over_is_what_is_stored(world: World) -> None:
    one, two = Held({"status": "accepted"}), Held({"status": "accepted"})
    async with (
        Buyer(bids("10.00"), says({"status": "rejected"})) as ann,
        Buyer(bids("9.00"), one) as bob,
        Buyer(bids("8.00"), two) as cid,
    ):
        await world.apply(shared_market({"ann": ann, "bob": bob, "cid": cid}, max_shares=3))
        offer = await world.ping()
        posting = asyncio.create_task(world.post(offer["ping_id"]))
        await asyncio.gather(one.asked.wait(), two.asked.wait())
        await until(lambda: world.rows("select 1 from attempts where state = 'rejected'"), bool)
        await world.rows("update attempts set lease_until = now() - interval '1 s' where state = 'prepared'")
        assert await recovery.give_up_expired(world.database, chores._pending_answer) == 2
        one.release.set()
        two.release.set()
        post = await posting
    assert [leg["status"] for leg in post["legs"]] == ["rejected", "pending", "pending"]
    assert await world.post(offer["ping_id"]) == post
    await world.assert_sound()


async def test_a_gateway_that_is_killed_between_two_legs(services: Services, tmp_path: Path) -> None:
    shell, held = shell_on(services, tmp_path), Held({"status": "accepted"})
    async with (
        Buyer(bids("10.00"), says({"status": "accepted"})) as ann,
        Buyer(knows, held) as bob,
    ):
        document = shared_market({"ann": ann, "bob": bob}, sale="best")
        document["orders"]["ann"]["sale"] = document["orders"]["bob"]["sale"] = "shared"
        document["buyers"]["bob"]["endpoint"]["status_url"] = f"{bob.url}/status"
        path = tmp_path / "market.yaml"
        path.write_text(json.dumps(document))
        assert (await shell.run("apply", str(path), "--yes")).status == 0
        key = (await shell.run("keys", "create", "--seller", "acme")).out.strip()
        body = {"lead": CONTACT}
        async with shell.serving("--no-worker") as serving:
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(base_url=serving.url, trust_env=False, headers=headers) as client:
                offer = (await client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD})).json()
                body["ping_id"] = offer["ping_id"]
                posting = asyncio.create_task(client.post("/v1/post", json=body))
                await held.asked.wait()
                await asyncio.sleep(0.5)  # ann's leg is sold meanwhile
                os.killpg(serving.process.pid, signal.SIGKILL)
                await asyncio.gather(posting, return_exceptions=True)
        async with open_world(services, tmp_path / "data") as world:
            world.keys["acme"] = key
            [found] = await world.rows("select post_id::text as post_id, state from posts")
            row = dict(found)
            assert row["state"] == "in_progress"
            assert [state for *_, state in await attempts(world, row)] == ["accepted", "prepared"]
            await world.rows("update attempts set lease_until = now(), created_at = now() - interval '1 hour'")
            await chores._recover(world.database)
            first = await world.send("/v1/post", body)
            assert told(first.json()) == [(1, "8.50", "accepted", None), (2, "7.65", "pending", 505)]
            assert (first.json()["status"], first.json()["price"]) == ("pending", "8.50")
            assert await reconcile(world) == 1
            now = await state_of(world, row)
            assert (now["status"], now["price"], now["shares"]) == ("accepted", "16.15", 2)
            assert (await world.send("/v1/post", body)).content == first.content
            assert (await standing(world, "ann"), await standing(world, "bob")) == ((-1000, 0), (-900, 0))
            await world.assert_sound()


async def test_an_unknown_leg_is_sent_again_with_the_same_bytes(services: Services, tmp_path: Path) -> None:
    answers = one_after_another(UNCLEAR, says({"status": "accepted"}))
    key = base64.b64encode(KEY).decode()
    async with (
        Buyer(bids("10.00"), answers) as ann,
        Buyer(bids("9.00")) as bob,
        open_world(services, tmp_path, master_key=key) as world,
    ):
        document = shared_market({"ann": ann, "bob": bob})
        document["buyers"]["ann"]["endpoint"]["idempotent_post"] = True
        await world.apply(document)
        post = await world.post((await world.ping())["ping_id"])
        assert (post["status"], post["price"]) == ("pending", "7.65")
        assert await reconcile(world) == 1
        first, again = ann.posts
        assert first.body == again.body
        assert again.json["sale"] == "shared"
        found = await state_of(world, post)
        assert (found["status"], found["price"], found["shares"]) == ("accepted", "16.15", 2)
        await world.assert_sound()
