"""Unknown attempts on real parts: asked again, asked about, by one worker at a time, and every answer weighed."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from support.buyer import ACCEPTS, Buyer, bids, says
from support.market import Document
from support.unknowns import (
    ACCEPTED,
    KEY,
    REJECTED,
    UNCLEAR,
    UNIT,
    age,
    agreed,
    attempt_of,
    counted,
    kinds,
    one_after_another,
    reconcile,
    sell,
    standing,
    state_of,
    tells,
    worker,
)
from support.waiting import Held, until
from support.world import World

from exchange.commands import records
from exchange.errors import CommandError
from exchange.rules.attempts import AttemptState, may_become
from exchange.storage import doubts, erasure
from exchange.storage.database import Connection
from exchange.storage.verdicts import How, Resolved, Unresolved, resolve, verdict_of
from exchange.values.bid import Accepted, Rejected
from exchange.values.reason import Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def world(tidy_world: World) -> World:
    """The exchange of this file."""
    return tidy_world


# --- asking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status", "code", "after"),
    [(ACCEPTED, "accepted", None, (-21, 0)), (REJECTED, "rejected", 502, (0, 0))],
    ids=["accepted", "rejected"],
)
async def test_an_idempotent_buyer_is_sent_the_same_attempt_again_and_his_word_holds(
    world: World, word: Document, status: str, code: int | None, after: tuple[int, int]
) -> None:
    name = f"again-{status}"
    async with Buyer(bids("21.00"), one_after_another(UNCLEAR, says(word))) as buyer:
        post = await sell(world, agreed(name, buyer, idempotent_post=True, auth={"bearer": "secret"}))
        assert post["status"] == "pending"
        assert await reconcile(world) == 1
        first, second = buyer.posts
    assert (first.body, first.headers["idempotency-key"]) == (second.body, second.headers["idempotency-key"])
    assert second.headers["authorization"] == "Bearer secret"
    found = await state_of(world, post)
    assert (found["status"], found.get("reason", {}).get("code")) == (status, code)
    assert await world.post(post["ping_id"]) == post  # the first answer stays
    assert await standing(world, name) == after
    [row] = await world.rows(
        "select state_before, state_after, how from resolutions join attempts using (attempt_id) where post_id = $1",
        post["post_id"],
    )
    assert tuple(row) == ("unknown", status, "resend")
    assert await reconcile(world) == 0
    await world.assert_sound()


async def test_a_duplicate_of_its_own_first_delivery_proves_nothing(world: World) -> None:
    async with Buyer(bids("21.00"), one_after_another(UNCLEAR, says({"status": "duplicate"}))) as buyer:
        post = await sell(world, agreed("echo", buyer, idempotent_post=True))
        await reconcile(world)
        assert len(buyer.posts) == 2
    attempt = await attempt_of(world, post)
    assert (attempt["state"], attempt["tries"], attempt["epoch"]) == ("unknown", 1, 2)
    assert (await state_of(world, post))["status"] == "pending"
    assert await reconcile(world) == 0  # it rests before it is asked about again


async def test_nothing_is_sent_again_to_a_buyer_who_has_not_said_that_it_does_no_harm(world: World) -> None:
    async with Buyer(bids("21.00"), one_after_another(UNCLEAR, ACCEPTS)) as buyer:
        post = await sell(world, agreed("once", buyer))
        await reconcile(world)
        assert len(buyer.posts) == 1
    assert (await attempt_of(world, post))["tries"] == 0  # nobody was asked


@pytest.mark.parametrize(
    ("word", "status", "code"),
    [(ACCEPTED, "accepted", None), (REJECTED, "rejected", 502), ({"status": "not_found"}, "rejected", 504)],
    ids=["accepted", "rejected", "not-found"],
)
async def test_a_buyer_who_can_be_asked_says_what_became_of_an_attempt(
    world: World, word: Document, status: str, code: int | None
) -> None:
    async with Buyer(tells(word), UNCLEAR) as buyer:
        terms = {"status_url": f"{buyer.url}/status?v=1", "auth": {"bearer": "secret"}}
        post = await sell(world, agreed("asked", buyer, **terms))
        await age(world, post, "5 minutes")
        await reconcile(world)
        asked = buyer.pings[-1]
        assert len(buyer.posts) == 1
    attempt = await attempt_of(world, post)
    assert (asked.path, asked.body) == (f"/status?v=1&attempt_id={attempt['attempt_id']}", b"")
    assert asked.headers["authorization"] == "Bearer secret"
    found = await state_of(world, post)
    assert (found["status"], found.get("reason", {}).get("code")) == (status, code)
    await world.assert_sound()


async def test_not_found_means_nothing_while_the_delivery_may_still_be_on_its_way(world: World) -> None:
    async with Buyer(tells({"status": "not_found"}), UNCLEAR) as buyer:
        post = await sell(world, agreed("early", buyer, status_url=f"{buyer.url}/status"))
        await reconcile(world)
        assert buyer.pings[-1].path.startswith("/status")
    assert (await attempt_of(world, post))["state"] == "unknown"


async def test_an_attempt_that_its_gateway_still_listens_for_is_left_to_it(world: World) -> None:
    held = Held(ACCEPTED)
    async with Buyer(bids("21.00"), held) as buyer:
        document = agreed("listening", buyer, idempotent_post=True)
        document["campaigns"]["auto-us"]["post_timeout_ms"] = 500
        post = await sell(world, document)
        assert post["status"] == "pending"
        assert await reconcile(world) == 0
        before = counted("exchange_sales_micros_total", campaign="auto-us", part="gross")
        sold = counted("exchange_posts_total", campaign="auto-us", status="accepted", reason="")
        held.release.set()
        await until(lambda: state_of(world, post), lambda found: found["status"] == "accepted")
    # a late yes is a sale like any other, also in the figures
    assert counted("exchange_sales_micros_total", campaign="auto-us", part="gross") == before + 21 * UNIT
    assert counted("exchange_posts_total", campaign="auto-us", status="accepted", reason="") == sold + 1
    assert counted("exchange_attempts_resolved_total", buyer="listening", how="late_answer", reason="accepted") == 1


@pytest.mark.parametrize("how", ["erased", "another master key"])
async def test_a_lead_that_cannot_be_opened_is_not_sent_again(world: World, how: str) -> None:
    async with Buyer(bids("21.00"), one_after_another(UNCLEAR, ACCEPTS)) as buyer:
        post = await sell(world, agreed("shut", buyer, idempotent_post=True))
        if how == "erased":
            await erasure.erase(world.database, post["post_id"])
        await reconcile(world, key=KEY if how == "erased" else bytes(32))
        assert len(buyer.posts) == 1
    assert (await attempt_of(world, post))["state"] == "unknown"


@pytest.mark.parametrize("erased", [False, True])
async def test_of_a_lead_that_was_erased_nothing_is_kept_that_its_buyer_says(world: World, *, erased: bool) -> None:
    key = f"erased-{erased}".lower()
    async with Buyer(bids("21.00", "b-7"), UNCLEAR) as buyer:
        post = await sell(world, agreed(key, buyer))
        if erased:
            await erasure.erase(world.database, post["post_id"])
        before = await attempt_of(world, post)
        assert before["bid_id"] == "b-7"  # by it the buyer can still be asked
        verdict = verdict_of(Accepted("crm-7", "https://b.example/thanks"), How.LATE_ANSWER)
        assert isinstance(await resolve(world.database, before["attempt_id"], verdict, epoch=None), Resolved)
    after = await attempt_of(world, post)
    kept = (None, None, None) if erased else ("crm-7", "https://b.example/thanks", "b-7")
    assert (after["state"], after["reference"], after["redirect_url"], after["bid_id"]) == ("accepted", *kept)
    await world.assert_sound()


async def test_asking_ends_after_so_many_tries(world: World) -> None:
    async with Buyer(tells({"status": "what?"}), UNCLEAR) as buyer:
        post = await sell(world, agreed("tired", buyer, status_url=f"{buyer.url}/status"))
        for _ in range(4):
            await age(world, post, "1 hour")
            await reconcile(world, tries_max=2)
        assert len([asked for asked in buyer.pings if asked.path.startswith("/status")]) == 2
    assert (await attempt_of(world, post))["state"] == "unknown"


# --- one at a time --------------------------------------------------------------------------------------------------


async def test_two_workers_never_have_the_same_attempt(world: World) -> None:
    held = Held(ACCEPTED)
    async with Buyer(bids("21.00"), one_after_another(UNCLEAR, held)) as buyer:
        post = await sell(world, agreed("single", buyer, idempotent_post=True))
        reconcilers = [worker(world), worker(world)]
        assert sorted(await asyncio.gather(*(item.round() for item in reconcilers))) == [0, 1]
        await held.asked.wait()
        assert [await item.round() for item in reconcilers] == [0, 0]
        held.release.set()
        await asyncio.gather(*(item.rest() for item in reconcilers))
        assert len(buyer.posts) == 2
        for item in reconcilers:
            await item._courier.close()
    assert (await state_of(world, post))["status"] == "accepted"


async def test_what_a_lost_worker_learned_is_void_once_another_has_the_attempt(world: World) -> None:
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        post = await sell(world, agreed("fenced", buyer))
    [lost] = await doubts.take(world.database, limit=5, lease_s=0)
    [taken] = await doubts.take(world.database, limit=5, lease_s=60)
    assert (taken.plan.attempt_id, taken.plan.epoch) == (lost.plan.attempt_id, lost.plan.epoch + 1)
    verdict = verdict_of(Accepted(), How.STATUS)
    late = await resolve(world.database, lost.plan.attempt_id, verdict, epoch=lost.plan.epoch)
    assert late == Unresolved("another has taken it over")
    assert not await doubts.put_back(world.database, lost.plan, 0, was_asked=True)
    no = verdict_of(Rejected(Reason.REJECTED_BY_BUYER), How.STATUS)
    assert isinstance(await resolve(world.database, taken.plan.attempt_id, no, epoch=taken.plan.epoch), Resolved)
    assert (await state_of(world, post))["status"] == "rejected"
    await world.assert_sound()


async def test_an_operators_word_ends_what_a_worker_is_asking(world: World) -> None:
    held = Held(ACCEPTED)
    async with Buyer(bids("21.00"), one_after_another(UNCLEAR, held)) as buyer:
        post = await sell(world, agreed("overruled", buyer, idempotent_post=True))
        reconciler = worker(world)
        await reconciler.round()
        await held.asked.wait()
        attempt_id = (await attempt_of(world, post))["attempt_id"]
        await records.resolve_attempt(world.database, attempt_id, accepted=False, note="telephone")
        held.release.set()
        await reconciler.rest()
        await reconciler._courier.close()
    assert (await state_of(world, post))["status"] == "rejected"
    assert await kinds(world, post) == []
    await world.assert_sound()


async def test_many_verdicts_at_once_leave_one(world: World) -> None:
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        post = await sell(world, agreed("crowd", buyer))
    attempt_id = (await attempt_of(world, post))["attempt_id"]
    words = (Accepted(), Rejected(Reason.REJECTED_BY_BUYER)) * 4
    found = await asyncio.gather(
        *(resolve(world.database, attempt_id, verdict_of(word, How.OPERATOR), epoch=None) for word in words)
    )
    assert len([item for item in found if isinstance(item, Resolved)]) == 1
    assert len(await world.rows("select from resolutions where attempt_id = $1", attempt_id)) == 1
    await world.assert_sound()


async def test_an_attempt_under_way_is_not_an_operators_to_settle(world: World) -> None:
    held = Held(ACCEPTED)
    async with Buyer(bids("21.00"), held) as buyer:
        await world.apply(agreed("busy", buyer))
        ping_id = (await world.ping())["ping_id"]
        posting = asyncio.create_task(world.post(ping_id))
        await held.asked.wait()
        [row] = await world.rows("select attempt_id from attempts where ping_id = $1", ping_id)
        with pytest.raises(CommandError, match="it is prepared"):
            await records.resolve_attempt(world.database, row["attempt_id"], accepted=True, note="")
        held.release.set()
        assert (await posting)["status"] == "accepted"


async def test_postgres_allows_exactly_the_transitions_of_the_table(world: World) -> None:
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        post = await sell(world, agreed("table", buyer))
    attempt_id = (await attempt_of(world, post))["attempt_id"]
    for before, after in itertools.permutations(AttemptState, 2):
        assert await _goes(world, attempt_id, before, after) is may_become(before, after), (before, after)


async def _goes(world: World, attempt_id: object, before: AttemptState, after: AttemptState) -> bool:
    """Whether the database lets an attempt go from one state to another; nothing of it stays."""
    change = "update attempts set state = $2 where attempt_id = $1"

    async def work(connection: Connection) -> bool:
        async with rolled_back(connection):
            await connection.execute("alter table attempts disable trigger attempt_states")
            await connection.execute(change, attempt_id, before.value)
            await connection.execute("alter table attempts enable trigger attempt_states")
            try:
                await connection.execute(change, attempt_id, after.value)
            except asyncpg.CheckViolationError:
                return False
            return True

    return await world.database.run(work)


@asynccontextmanager
async def rolled_back(connection: Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()
