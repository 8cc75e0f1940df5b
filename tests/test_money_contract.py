"""The money: holds before a lead leaves, sales that balance, refusals that give back, and a ledger nobody rewrites."""

import asyncio
from typing import Any

import asyncpg
import pytest
from support.buyer import ACCEPTS, REJECTS, Behaviour, Buyer, bids, says
from support.market import Document, market
from support.waiting import Held, until
from support.world import World

from exchange.storage import accounts, invariants

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNIT = 1_000_000
UNCLEAR = says({}, 500)


def limited(buyers: dict[str, Buyer], limits: dict[str, str], **campaign: Any) -> Document:
    """A market whose buyers have these credit limits."""
    document = market(dict(buyers), **campaign)
    for name, limit in limits.items():
        document["buyers"][name]["credit_limit"] = limit
    return document


async def standing(world: World, buyer: str) -> tuple[int, int]:
    """A buyer's balance and what is held of it, in micro-units."""
    [found] = [item for item in await accounts.standings(world.database) if item.owner == buyer]
    return found.balance_micros, found.held_micros


async def transfers(world: World, post: Document) -> dict[str, int]:
    rows = await world.rows(
        "select kind, amount_micros from transfers join attempts using (attempt_id) where post_id = $1",
        post["post_id"],
    )
    return {row["kind"]: row["amount_micros"] for row in rows}


async def sell(world: World, **ping: Any) -> Document:
    offer = await world.ping(**ping)
    assert offer["status"] == "offered", offer
    return await world.post(offer["ping_id"])


@pytest.mark.parametrize(
    ("bid", "charge", "payout"),
    [("21.00", 21_000_000, 17_850_000), ("5.01", 5_010_000, 4_250_000), (20.999999, 20_990_000, 17_840_000)],
)
async def test_a_sale_charges_the_bid_pays_the_promise_and_keeps_the_difference(
    shared_world: World, bid: object, charge: int, payout: int
) -> None:
    name = f"sale-{charge}"
    async with Buyer(bids(bid)) as buyer:
        await shared_world.apply(market({name: buyer}))
        before = await shared_world.earned("acme")
        post = await sell(shared_world)
        after = await shared_world.earned("acme")
    assert await transfers(shared_world, post) == {"charge": charge, "payout": payout, "margin": charge - payout}
    assert await standing(shared_world, name) == (-charge, 0)
    assert after - before == payout
    await shared_world.assert_sound()


async def test_without_a_margin_there_is_no_margin_transfer(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"even": buyer}, margin={"percent": 0}))
        post = await sell(shared_world)
    assert await transfers(shared_world, post) == {"charge": 21 * UNIT, "payout": 21 * UNIT}
    await shared_world.assert_sound()


async def test_a_deposit_lets_a_buyer_buy(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(limited({"saver": buyer}, {"saver": "0.00"}))
        await accounts.deposit(shared_world.database, "saver", "USD", 25 * UNIT, "wire 17")
        assert await standing(shared_world, "saver") == (25 * UNIT, 0)
        offer = await until(shared_world.ping, lambda answer: answer["status"] == "offered")
        assert (await shared_world.post(offer["ping_id"]))["status"] == "accepted"
    assert await standing(shared_world, "saver") == (4 * UNIT, 0)
    lines = await accounts.lines(shared_world.database, "buyer", "saver", 10)
    assert [(line.kind, line.amount_micros, line.note) for line in lines] == [
        ("charge", -21 * UNIT, ""),
        ("deposit", 25 * UNIT, "wire 17"),
    ]
    await shared_world.assert_sound()


async def test_a_deposit_for_nobody_moves_nothing(shared_world: World) -> None:
    await shared_world.apply(market({}))
    with pytest.raises(LookupError):
        await accounts.deposit(shared_world.database, "nobody", "USD", UNIT, "")
    await shared_world.assert_sound()


async def test_an_order_whose_buyer_cannot_pay_any_more_is_skipped_down_the_ladder(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as broke, Buyer(bids("20.00")) as rich:
        document = limited({"broke": broke, "rich": rich}, {"broke": "30.00"})
        await shared_world.apply(document)
        offers = [await shared_world.ping() for _ in range(2)]
        posts = [await shared_world.post(offer["ping_id"]) for offer in offers]
        assert (len(broke.posts), len(rich.posts)) == (1, 1)
    assert [(post["status"], post["price"]) for post in posts] == [("accepted", "17.85")] * 2
    assert await transfers(shared_world, posts[1]) == {
        "charge": 20 * UNIT,
        "payout": 17_850_000,
        "margin": 2_150_000,
    }
    assert await standing(shared_world, "broke") == (-21 * UNIT, 0)


async def test_an_offer_that_nobody_can_pay_any_more_is_withdrawn(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as once:
        await shared_world.apply(limited({"once": once}, {"once": "21.00"}))
        offers = [await shared_world.ping() for _ in range(2)]
        posts = [await shared_world.post(offer["ping_id"]) for offer in offers]
        assert len(once.posts) == 1
    assert [post["status"] for post in posts] == ["accepted", "rejected"]
    assert posts[1]["reason"]["code"] == 506
    assert await shared_world.rows("select 1 from attempts where post_id = $1", posts[1]["post_id"]) == []


async def test_after_a_no_the_next_who_can_pay_gets_the_lead(shared_world: World) -> None:
    async with (
        Buyer(bids("21.00"), REJECTS) as unwilling,
        Buyer(bids("20.00")) as drained,
        Buyer(bids("19.00")) as last,
    ):
        document = limited({"unwilling": unwilling, "drained": drained, "last": last}, {"drained": "20.00"})
        await shared_world.apply(document)
        offers = [await shared_world.ping() for _ in range(2)]
        posts = [await shared_world.post(offer["ping_id"]) for offer in offers]
        assert (len(unwilling.posts), len(drained.posts), len(last.posts)) == (2, 1, 1)
    assert [post["status"] for post in posts] == ["accepted", "accepted"]
    assert await standing(shared_world, "unwilling") == (0, 0)


async def test_money_is_held_before_the_lead_leaves_and_settled_by_the_yes(shared_world: World) -> None:
    held = Held({"status": "accepted"})
    async with Buyer(bids("21.00"), held) as buyer:
        await shared_world.apply(market({"holder": buyer}))
        posting = asyncio.create_task(sell(shared_world))
        await held.asked.wait()
        assert await standing(shared_world, "holder") == (0, 21 * UNIT)
        held.release.set()
        await posting
    assert await standing(shared_world, "holder") == (-21 * UNIT, 0)


@pytest.mark.parametrize(
    ("name", "on_post", "after"),
    [
        ("refuser", REJECTS, (0, 0)),
        ("duplicator", says({"status": "duplicate"}), (0, 0)),
        ("mumbler", UNCLEAR, (0, 21)),
    ],
)
async def test_a_no_gives_the_hold_back_and_an_unclear_answer_keeps_it(
    shared_world: World, name: str, on_post: Behaviour, after: tuple[int, int]
) -> None:
    async with Buyer(bids("21.00"), on_post) as buyer:
        await shared_world.apply(market({name: buyer}))
        post = await sell(shared_world)
    assert await standing(shared_world, name) == (after[0] * UNIT, after[1] * UNIT)
    assert await transfers(shared_world, post) == {}
    await shared_world.assert_sound()


async def test_what_an_unclear_answer_holds_cannot_be_spent(shared_world: World) -> None:
    async with Buyer(bids("21.00"), UNCLEAR) as buyer:
        await shared_world.apply(limited({"stuck": buyer}, {"stuck": "30.00"}))
        offers = [await shared_world.ping() for _ in range(2)]
        posts = [await shared_world.post(offer["ping_id"]) for offer in offers]
        assert len(buyer.posts) == 1
    assert [(post["status"], post["reason"]["code"]) for post in posts] == [("pending", 505), ("rejected", 506)]


@pytest.mark.parametrize(("word", "after"), [("accepted", (-21, 0)), ("rejected", (0, 0))])
async def test_a_late_answer_settles_or_releases_what_was_held(
    shared_world: World, word: str, after: tuple[int, int]
) -> None:
    held = Held({"status": word})
    async with Buyer(bids("21.00"), held) as buyer:
        await shared_world.apply(market({f"late-{word}": buyer}, post_timeout_ms=500))
        post = await sell(shared_world)
        assert post["status"] == "pending"
        assert await standing(shared_world, f"late-{word}") == (0, 21 * UNIT)
        held.release.set()

        async def now() -> tuple[int, int]:
            return await standing(shared_world, f"late-{word}")

        await until(now, lambda found: found == (after[0] * UNIT, after[1] * UNIT))
    assert await transfers(shared_world, post) == (
        {"charge": 21 * UNIT, "payout": 17_850_000, "margin": 3_150_000} if word == "accepted" else {}
    )
    await shared_world.assert_sound()


@pytest.mark.parametrize("on_post", [ACCEPTS, REJECTS, UNCLEAR], ids=["accepted", "rejected", "unclear"])
async def test_a_test_moves_no_money_and_needs_none(shared_world: World, on_post: Behaviour) -> None:
    async with Buyer(bids("21.00"), on_post) as buyer:
        await shared_world.apply(limited({"tester": buyer}, {"tester": "0.00"}))
        post = await sell(shared_world, test=True)
        assert len(buyer.posts) == 1
    assert await transfers(shared_world, post) == {}
    assert await standing(shared_world, "tester") == (0, 0)
    await shared_world.assert_sound()


async def test_concurrent_posts_on_the_last_dollars_sell_as_many_as_can_be_paid(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(limited({"last-dollar": buyer}, {"last-dollar": "42.00"}, post_timeout_ms=10_000))
        offers = [await shared_world.ping() for _ in range(8)]
        posts = await asyncio.gather(*(shared_world.post(offer["ping_id"]) for offer in offers))
        assert len(buyer.posts) == 2
    assert sorted(post["status"] for post in posts) == ["accepted"] * 2 + ["rejected"] * 6
    assert {post["reason"]["code"] for post in posts if post["status"] == "rejected"} == {506}
    assert await standing(shared_world, "last-dollar") == (-42 * UNIT, 0)
    await shared_world.assert_sound()


async def test_every_balance_can_be_derived_from_the_transfers(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as first, Buyer(bids("20.00"), UNCLEAR) as second:
        await shared_world.apply(market({"derived-1": first, "derived-2": second}))
        await accounts.deposit(shared_world.database, "derived-1", "USD", 7 * UNIT, "")
        await sell(shared_world)
        first.on_post = ACCEPTS
        await sell(shared_world)
    moved = await shared_world.rows("select debit_account, credit_account, amount_micros from transfers")
    derived: dict[int, int] = {}
    for row in moved:
        derived[row["debit_account"]] = derived.get(row["debit_account"], 0) - row["amount_micros"]
        derived[row["credit_account"]] = derived.get(row["credit_account"], 0) + row["amount_micros"]
    carried = await shared_world.rows("select account_id, balance_micros from accounts where kind = 'buyer'")
    assert all(derived.get(row["account_id"], 0) == row["balance_micros"] for row in carried)
    assert sum(derived.values()) == 0
    [clearing] = await shared_world.rows("select account_id from accounts where owner = 'clearing'")
    assert derived[clearing["account_id"]] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "update transfers set amount_micros = 1",
        "delete from transfers",
        "truncate transfers",
        "truncate transfers cascade",
    ],
)
async def test_transfers_cannot_be_changed_by_anybody(shared_world: World, statement: str) -> None:
    await shared_world.apply(market({"immutable": "http://127.0.0.1:9"}))
    await accounts.deposit(shared_world.database, "immutable", "USD", UNIT, "")
    [before] = await shared_world.rows("select count(*), sum(amount_micros) from transfers")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await shared_world.rows(statement)
    assert await shared_world.rows("select count(*), sum(amount_micros) from transfers") == [before]


async def test_an_outcome_cannot_be_taken_back_and_a_lead_cannot_be_sold_twice(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"final": buyer}))
        post = await sell(shared_world)
    for state in ("prepared", "rejected", "not_sent", "unknown", "presumed_rejected"):
        with pytest.raises(asyncpg.CheckViolationError):
            await shared_world.rows("update attempts set state = $2 where post_id = $1", post["post_id"], state)
    columns = (
        "post_id, ping_id, order_key, buyer, exclusive, test, currency, gross_micros, payout_micros, state, lease_until"
    )
    with pytest.raises(asyncpg.UniqueViolationError):
        await shared_world.rows(
            f"insert into attempts (attempt_id, ordinal, {columns}) "  # noqa: S608  # a constant
            f"select gen_random_uuid(), ordinal + 1, {columns} from attempts where post_id = $1",
            post["post_id"],
        )


@pytest.mark.parametrize(
    ("corrupts", "mends", "breaks"),
    [
        (
            "accounts set balance_micros = balance_micros + 1 where kind = 'buyer'",
            "accounts set balance_micros = balance_micros - 1 where kind = 'buyer'",
            0,
        ),
        (
            "accounts set held_micros = held_micros + 1 where kind = 'buyer'",
            "accounts set held_micros = held_micros - 1 where kind = 'buyer'",
            4,
        ),
        ("attempts set gross_micros = gross_micros + 1", "attempts set gross_micros = gross_micros - 1", 2),
        ("attempts set test = not test", "attempts set test = not test", 3),
    ],
)
async def test_the_check_of_the_money_sees_what_is_wrong(
    shared_world: World, corrupts: str, mends: str, breaks: int
) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"checked": buyer}))
        await sell(shared_world)
    await shared_world.assert_sound()
    await shared_world.rows(f"update {corrupts}")
    broken = [finding.name for finding in await invariants.check(shared_world.database) if finding.broken]
    await shared_world.rows(f"update {mends}")
    assert list(invariants.INVARIANTS)[breaks] in broken
    await shared_world.assert_sound()
