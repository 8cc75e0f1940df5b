"""The answer to a post when Postgres is slow or away: true where it can be, in time, and never another one."""

import asyncio
import time
from pathlib import Path

import pytest
from support.buyer import REJECTS, Buyer, bids
from support.market import CONTACT, Document, market
from support.waiting import Held, until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.storage import posts
from exchange.storage.posts import Ended, Plan, PostState, Prepared, Result, plan_of, post_of
from exchange.storage.sales import Sales
from exchange.values.bid import Accepted, Delivery, Rejected, Unknown
from exchange.values.reason import Reason

ATTEMPT = f"select {posts.ATTEMPT} from attempts a join posts p using (post_id) where a.ping_id = $1"  # noqa: S608


async def state_of(world: World, post: Document) -> Document:
    found: Document = (await world.get(f"/v1/posts/{post['post_id']}")).json()
    return found


@pytest.mark.parametrize("word", ["accepted", "rejected"])
async def test_a_short_absence_of_postgres_costs_the_seller_a_moment_and_not_the_answer(
    services: Services, tmp_path: Path, word: str
) -> None:
    held = Held({"status": word})
    async with (
        Buyer(bids("21.00"), held) as first,
        Buyer(bids("20.00")) as second,
        open_world(services, tmp_path, postgres_timeout_s=0.3) as world,
    ):
        await world.apply(market({"first": first, "second": second}, post_timeout_ms=8000))
        posting = asyncio.create_task(world.post((await world.ping())["ping_id"]))
        await held.asked.wait()
        async with world.locked("attempts"):
            held.release.set()
            await asyncio.sleep(1)
            assert not posting.done()
        post = await posting
        assert (post["status"], post["price"]) == ("accepted", "17.85")  # after a no, by the second
        assert (len(first.posts), len(second.posts)) == (1, int(word == "rejected"))
        assert await world.post(post["ping_id"]) == post
        await world.assert_sound()


@pytest.mark.parametrize("row", ["attempts", "posts"])
async def test_at_the_deadline_the_seller_is_told_and_that_stays_the_answer(
    services: Services, tmp_path: Path, row: str
) -> None:
    held = Held({"status": "accepted"})
    async with Buyer(bids("21.00"), held) as buyer, open_world(services, tmp_path) as world:
        await world.apply(market({"only": buyer}, post_timeout_ms=1500))
        ping_id = (await world.ping())["ping_id"]
        started_s = time.monotonic()
        posting = asyncio.create_task(world.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT}))
        await held.asked.wait()
        async with world.holding(f"select from {row} where ping_id = $1 for update", ping_id):
            held.release.set()
            told = await posting
            assert time.monotonic() - started_s < 2.5  # and not when Postgres is given up
        assert told.json()["status"] == "pending"
        await until(lambda: state_of(world, told.json()), lambda found: found["status"] == "accepted")

        async def replay() -> bytes:
            return (await world.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT})).content

        await until(replay, lambda content: content == told.content)
        await world.assert_sound()


async def test_nothing_is_prepared_any_more_once_the_seller_was_told(services: Services, tmp_path: Path) -> None:
    held = Held({"status": "rejected"})
    async with (
        Buyer(bids("21.00"), held) as first,
        Buyer(bids("20.00")) as second,
        open_world(services, tmp_path) as world,
    ):
        await world.apply(market({"first": first, "second": second}, post_timeout_ms=2000))
        ping_id = (await world.ping())["ping_id"]
        posting = asyncio.create_task(world.post(ping_id))
        await held.asked.wait()
        async with world.holding("select from attempts where ping_id = $1 for update", ping_id):
            held.release.set()  # more than half a second is left: the next order is to be asked
            post = await posting
        assert post["status"] == "pending"
        found = await until(lambda: state_of(world, post), lambda found: found["status"] != "in_progress")
        assert (found["status"], found["reason"]["code"]) == ("rejected", 502)
        assert second.posts == []
        rows = await world.rows("select order_key, state from attempts where ping_id = $1 order by ordinal", ping_id)
        assert [tuple(row) for row in rows] == [("first", "rejected")]
        assert await world.post(ping_id) == post
        await world.assert_sound()


# --- commits that were not confirmed ----------------------------------------------------------------------------------


def said(result: Result) -> bytes:
    return f"told {result.state}".encode()


async def prepared(world: World, second: bool = False) -> tuple[Sales, Plan, tuple[Plan, ...], Document]:
    """A post whose first attempt is prepared, its gateway gone; with another rung below if asked for."""
    held = Held({"status": "rejected"})
    async with Buyer(bids("21.00"), held) as first, Buyer(bids("20.00"), REJECTS) as other:
        await world.apply(market({"first": first, "second": other} if second else {"first": first}))
        offer = await world.ping()
        posting = asyncio.create_task(world.send("/v1/post", {"ping_id": offer["ping_id"], "lead": CONTACT}))
        await held.asked.wait()
        posting.cancel()
        await world.rows("update attempts set epoch = 7 where ping_id = $1", offer["ping_id"])  # its gateway is fenced
    [row] = await world.rows(ATTEMPT, offer["ping_id"])
    plan = plan_of(row)
    below = (Plan(row["post_id"], 2, "second", "second", 20_000_000, "b1", 60, epoch=1),) if second else ()
    return Sales(world.database), plan, below, offer


@pytest.mark.parametrize(
    ("delivery", "state"),
    [
        (Accepted("crm-1", "https://b.example/"), PostState.ACCEPTED),
        (Rejected(Reason.REJECTED_BY_BUYER), PostState.REJECTED),
        (Unknown("HTTP 500"), PostState.PENDING),
    ],
)
async def test_a_commit_that_was_not_confirmed_is_found_again(
    world: World, delivery: Delivery, state: PostState
) -> None:
    sales, plan, _, offer = await prepared(world)
    [row] = await world.rows(ATTEMPT, offer["ping_id"])
    post = post_of(row)
    first = await sales.conclude(post, plan, delivery, (), said)
    assert isinstance(first, Ended)
    assert first.result.state is state
    assert await sales.conclude(post, plan, delivery, (), lambda _: b"another") == first
    await world.assert_sound()


async def test_the_next_attempt_of_a_commit_that_was_not_confirmed_is_found_again(world: World) -> None:
    sales, plan, below, offer = await prepared(world, second=True)
    [row] = await world.rows(ATTEMPT, offer["ping_id"])
    no = Rejected(Reason.REJECTED_BY_BUYER)
    first = await sales.conclude(post_of(row), plan, no, below, said)
    again = await sales.conclude(post_of(row), plan, no, (), said)
    assert isinstance(first, Prepared)
    assert isinstance(again, Prepared)
    assert again.plan.attempt_id == first.plan.attempt_id == below[0].attempt_id
    await world.assert_sound()


async def test_an_attempt_that_was_taken_over_is_not_concluded(world: World) -> None:
    sales, plan, _, offer = await prepared(world)
    [row] = await world.rows(ATTEMPT, offer["ping_id"])
    await world.rows("update attempts set epoch = epoch + 1 where attempt_id = $1", plan.attempt_id)
    assert await sales.conclude(post_of(row), plan, Accepted(), (), said) is None
    await world.assert_sound()
