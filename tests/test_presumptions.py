"""Presumptions, returns and erasure on real parts: what was agreed holds, the truth corrects it, money moves once."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from support.buyer import ACCEPTS, REJECTS, Buyer, Received, bids, reply
from support.market import CONTACT, Document, market
from support.unknowns import UNCLEAR, age, agreed, attempt_of, kinds, reconcile, sell, standing, state_of, worker
from support.waiting import Held
from support.world import World

from exchange.commands import records
from exchange.errors import CommandError
from exchange.storage import erasure
from exchange.storage.erasure import Erased
from exchange.storage.posts import PostState
from exchange.storage.returns import Taken
from exchange.values.ids import uuid7

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def world(tidy_world: World) -> World:
    """The exchange of this file."""
    return tidy_world


# --- presuming ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("presume", "status", "code", "after", "moved"),
    [
        ("rejected", "rejected", 508, (0, 0), []),
        ("accepted", "accepted", 507, (-21, 0), ["charge", "payout", "margin"]),
    ],
)
async def test_at_the_agreed_date_it_is_presumed_and_nobody_else_gets_the_lead(
    world: World, presume: str, status: str, code: int, after: tuple[int, int], moved: list[str]
) -> None:
    name = f"presumed-{presume}"
    async with Buyer(bids("21.00"), UNCLEAR) as buyer, Buyer(bids("20.00")) as other:
        document = agreed(name, buyer, unknown={"presume": presume, "after_days": 3})
        document |= {"buyers": document["buyers"] | market({"next": other})["buyers"]}
        document["orders"]["next"] = {"buyer": "next", "campaign": "auto-us"}
        post = await sell(world, document)
        await age(world, post, "2 days 23 hours")
        await reconcile(world)
        assert (await state_of(world, post))["status"] == "pending"
        assert await standing(world, name) == (0, 21)
        await age(world, post, "3 days")
        await reconcile(world)
        assert other.posts == []
        assert await world.post(post["ping_id"]) == post
        assert other.posts == []
    found = await state_of(world, post)
    assert (found["status"], found["reason"]["code"]) == (status, code)
    assert (await attempt_of(world, post))["state"] == f"presumed_{presume}"
    assert await standing(world, name) == after
    assert await kinds(world, post) == moved
    await world.assert_sound()


@pytest.mark.parametrize("presume", ["rejected", "accepted"])
@pytest.mark.parametrize("truth", ["rejected", "accepted"])
async def test_the_truth_confirms_or_corrects_a_presumption_once(world: World, presume: str, truth: str) -> None:
    name = f"{presume}-but-{truth}"
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        post = await sell(world, agreed(name, buyer, unknown={"presume": presume, "after_days": 1}))
        await age(world, post, "1 day")
        await reconcile(world)
    attempt_id = (await attempt_of(world, post))["attempt_id"]
    before = await world.earned("acme")
    is_accepted = truth == "accepted"
    await records.resolve_attempt(world.database, attempt_id, accepted=is_accepted, note="their log of Monday")
    with pytest.raises(CommandError, match=f"it is {truth}"):
        await records.resolve_attempt(world.database, attempt_id, accepted=is_accepted, note="again")
    after = await world.earned("acme")
    sold = {"rejected": 0, "accepted": 17_850_000}
    assert after - before == sold[truth] - sold[presume]
    assert await standing(world, name) == ((-21, 0) if truth == "accepted" else (0, 0))
    found = await state_of(world, post)
    assert (found["status"], found.get("reason", {}).get("code")) == (truth, 502 if truth == "rejected" else None)
    back = [f"correction_{kind}" for kind in ("charge", "payout", "margin")]
    sale = ["charge", "payout", "margin"]
    assert (
        await kinds(world, post)
        == {
            ("rejected", "rejected"): [],
            ("rejected", "accepted"): sale,
            ("accepted", "rejected"): sale + back,
            ("accepted", "accepted"): sale,
        }[presume, truth]
    )
    await world.assert_sound()


async def test_a_buyer_who_has_spent_his_limit_meanwhile_pays_for_what_he_took(world: World) -> None:
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        document = agreed("spent", buyer, unknown={"presume": "rejected", "after_days": 1})
        document["buyers"]["spent"]["credit_limit"] = "21.00"
        post = await sell(world, document)
        await age(world, post, "1 day")
        await reconcile(world)
        buyer.on_post = ACCEPTS
        assert (await world.post((await world.ping())["ping_id"]))["status"] == "accepted"
    attempt_id = (await attempt_of(world, post))["attempt_id"]
    await records.resolve_attempt(world.database, attempt_id, accepted=True, note="invoice 4")
    assert await standing(world, "spent") == (-42, 0)
    await world.assert_sound()


@pytest.mark.parametrize("presume", ["rejected", "accepted"])
async def test_presuming_of_a_test_moves_no_money(world: World, presume: str) -> None:
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        terms = {"unknown": {"presume": presume, "after_days": 1}}
        post = await sell(world, agreed("tester", buyer, **terms), test=True)
        await age(world, post, "1 day")
        await reconcile(world)
    assert (await state_of(world, post))["status"] == presume
    attempt_id = (await attempt_of(world, post))["attempt_id"]
    await records.resolve_attempt(world.database, attempt_id, accepted=presume == "rejected", note="")
    assert await kinds(world, post) == []
    assert await standing(world, "tester") == (0, 0)
    await world.assert_sound()


# --- returns --------------------------------------------------------------------------------------------------------

SALE = ["charge", "payout", "margin"]
BACK = ["return_charge", "return_payout", "return_margin"]


async def give_back(world: World, post: Document, reason: str = "wrong_number") -> Taken:
    [taken] = await records.return_sale(world.database, post["post_id"], reason, "")
    return taken


async def test_a_return_credits_the_buyer_and_takes_the_payout_back_once(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        post = await sell(world, agreed("returner", buyer))
        taken = await give_back(world, post)
        assert (taken.gross_micros, taken.payout_micros) == (21_000_000, 17_850_000)
        with pytest.raises(CommandError, match="was returned already"):
            await give_back(world, post)
        found = await state_of(world, post)
        assert (found["status"], found["price"], found["returned"]["price"]) == ("accepted", "17.85", "17.85")
        assert found["returned"]["at"].endswith("Z")
        assert await world.post(post["ping_id"]) == post  # what was answered stays
    assert await kinds(world, post) == SALE + BACK
    assert await standing(world, "returner") == (0, 0)
    await world.assert_sound()


async def test_operators_who_return_the_same_sale_at_once_return_it_once(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        post = await sell(world, agreed("at-once", buyer))
    found = await asyncio.gather(*(give_back(world, post) for _ in range(6)), return_exceptions=True)
    assert len([item for item in found if isinstance(item, Taken)]) == 1
    assert all(isinstance(item, Taken | CommandError) for item in found)
    assert await kinds(world, post) == SALE + BACK
    assert await standing(world, "at-once") == (0, 0)
    await world.assert_sound()


async def test_a_presumed_sale_can_be_returned_and_is_then_beyond_correction(world: World) -> None:
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        post = await sell(world, agreed("presumed-back", buyer, unknown={"presume": "accepted", "after_days": 1}))
        await age(world, post, "1 day")
        await reconcile(world)
    await give_back(world, post)
    attempt_id = (await attempt_of(world, post))["attempt_id"]
    with pytest.raises(CommandError, match="its sale was returned"):
        await records.resolve_attempt(world.database, attempt_id, accepted=False, note="")
    assert await standing(world, "presumed-back") == (0, 0)
    await world.assert_sound()


async def test_a_corrected_presumption_leaves_nothing_to_return(world: World) -> None:
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        post = await sell(world, agreed("corrected", buyer, unknown={"presume": "accepted", "after_days": 1}))
        await age(world, post, "1 day")
        await reconcile(world)
    attempt_id = (await attempt_of(world, post))["attempt_id"]
    await records.resolve_attempt(world.database, attempt_id, accepted=False, note="")
    with pytest.raises(CommandError, match="has no sale"):
        await give_back(world, post)


@pytest.mark.parametrize(
    ("case", "why"),
    [("rejected", "has no sale"), ("pending", "has no sale"), ("test", "a test"), ("closed", "for 0 days")],
)
async def test_what_cannot_be_returned(world: World, case: str, why: str) -> None:
    on_post = {"rejected": REJECTS, "pending": UNCLEAR}.get(case, ACCEPTS)
    async with Buyer(bids("21.00"), on_post) as buyer:
        document = agreed("unreturnable", buyer)
        if case == "closed":
            document["campaigns"]["auto-us"]["returns"] = {"window_days": 0}
        post = await sell(world, document, test=case == "test")
    with pytest.raises(CommandError, match=why):
        await give_back(world, post)
    assert not set(await kinds(world, post)) & set(BACK)


async def test_the_window_is_the_one_that_was_in_force_when_the_lead_was_sold(world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = agreed("window", buyer)
        post = await sell(world, document)
        document["campaigns"]["auto-us"]["returns"] = {"window_days": 0}
        await world.apply(document)
    await give_back(world, post)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\nb"])
async def test_a_return_has_a_reason_that_can_be_read(world: World, reason: str) -> None:
    async with Buyer(bids("21.00")) as buyer:
        post = await sell(world, agreed("wordless", buyer))
    with pytest.raises(CommandError, match="reason"):
        await give_back(world, post, reason)


# --- erasing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["post_id", "ping_id"])
async def test_an_erased_lead_cannot_be_opened_and_its_sale_stays(world: World, by: str) -> None:
    async with Buyer(bids("21.00")) as buyer:
        post = await sell(world, agreed(f"eraser-{by}", buyer))
        assert await erasure.erase(world.database, post[by]) == Erased(post_id=UUID(post["post_id"]), before=False)
        assert await erasure.erase(world.database, post[by]) == Erased(post_id=UUID(post["post_id"]), before=True)
        [row] = await world.rows("select * from posts where post_id = $1", post["post_id"])
        assert (row["lead_key"], row["lead_sealed"], row["lead_fingerprint"]) == (None, None, b"")
        assert row["erased_at"] is not None
        assert not await world.rows("select from fingerprints where post_id = $1", post["post_id"])
        assert (await state_of(world, post))["status"] == "accepted"
        repeated = await world.send("/v1/post", {"ping_id": post["ping_id"], "lead": CONTACT})
        assert (repeated.status_code, len(buyer.posts)) == (409, 1)
    assert await kinds(world, post) == SALE
    await give_back(world, post)
    await world.assert_sound()


async def test_what_is_not_there_is_not_erased(world: World) -> None:
    assert await erasure.erase(world.database, uuid7()) is None


async def test_a_lead_that_is_being_delivered_is_not_erased_yet(world: World) -> None:
    held = Held({"status": "accepted"})
    async with Buyer(bids("21.00"), held) as buyer:
        await world.apply(agreed("under-way", buyer))
        ping_id = (await world.ping())["ping_id"]
        posting = asyncio.create_task(world.post(ping_id))
        await held.asked.wait()
        assert await erasure.erase(world.database, ping_id) is PostState.IN_PROGRESS
        held.release.set()
        assert (await posting)["status"] == "accepted"


# --- all at once ----------------------------------------------------------------------------------------------------


@dataclass
class Fickle:
    """Decides each attempt once, by its id, and keeps it; of the first delivery he may say nothing clear."""

    decided: dict[str, str] = field(default_factory=dict)

    def __call__(self, received: Received) -> bytes:
        attempt_id = received.json["attempt_id"]
        if attempt_id in self.decided:
            return reply({"status": self.decided[attempt_id]})
        luck = UUID(attempt_id).int
        self.decided[attempt_id] = "accepted" if luck % 3 else "rejected"
        return reply({"status": self.decided[attempt_id]}, 200 if luck % 2 else 502)


async def test_posts_workers_operators_and_returns_at_once_leave_every_cent_in_order(world: World) -> None:
    first, second = Fickle(), Fickle()
    async with Buyer(bids("21.00"), first) as one, Buyer(bids("20.00"), second) as other:
        document = agreed("fickle-1", one, idempotent_post=True)
        rest = agreed("fickle-2", other, idempotent_post=True)
        document["buyers"] |= rest["buyers"]
        document["orders"] |= rest["orders"]
        document["campaigns"]["auto-us"]["post_timeout_ms"] = 20_000
        await world.apply(document)
        offers = [await world.ping() for _ in range(40)]
        workers = [worker(world), worker(world)]

        async def sell_one(ping_id: str) -> Document:
            post = await world.post(ping_id)
            await asyncio.gather(*(item.round() for item in workers))
            if post["status"] == "accepted" and UUID(post["post_id"]).int % 2:
                await give_back(world, post)
            return post

        posts = await asyncio.gather(*(sell_one(offer["ping_id"]) for offer in offers))
        for item in workers:
            await item.rest()
            await item.round()
            await item.rest()
            await item._courier.close()

    accepted = {key for fickle in (first, second) for key, word in fickle.decided.items() if word == "accepted"}
    rows = await world.rows(
        "select attempt_id, state from attempts where post_id = any ($1)", [post["post_id"] for post in posts]
    )
    assert {str(row["attempt_id"]) for row in rows if row["state"] == "accepted"} == accepted
    assert {row["state"] for row in rows} == {"accepted", "rejected"}
    assert {(await state_of(world, post))["status"] for post in posts} == {"accepted", "rejected"}
    await world.assert_sound()
