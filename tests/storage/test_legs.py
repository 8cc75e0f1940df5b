"""Legs in the database, under real concurrency: claimed together, concluded one by one, found again, withdrawn."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from support.market import market

from exchange.embedded.lease import Services
from exchange.marketfile.reader import read
from exchange.rules.attempts import AttemptState
from exchange.rules.caps import Cap, Limit, Scope
from exchange.rules.legs import LegStatus
from exchange.storage import catalogue, invariants
from exchange.storage.database import Database
from exchange.storage.posts import Ended, LegOver, NewPost, Plan, PostState, Prepared, PreparedLegs, Result
from exchange.storage.sales import Sales
from exchange.storage.vault import Sealed
from exchange.storage.verdicts import How, Resolved, Verdict, resolve
from exchange.storage.withdrawal import Withdrawn, withdraw
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.ids import uuid7
from exchange.values.market import Period
from exchange.values.reason import Reason

UNIT = 1_000_000
NAMES = ("ann", "bob", "cid", "dan", "eve", "fay")
NO = Rejected(Reason.REJECTED_BY_BUYER)
OUTCOMES: list[Delivery] = [Accepted(), Accepted(), Unknown(), NO, NO, NotSent()]


@pytest.fixture
async def database(services: Services) -> AsyncIterator[Database]:
    opened = await Database.connect(services.postgres_url, connections_max=8, timeout_s=60)
    document = market(dict.fromkeys(NAMES, "http://127.0.0.1:9"))
    await catalogue.apply(opened, document, read(document), "test")
    yield opened
    await opened.close()


def new_post(*promised: int, **more: object) -> NewPost:
    post = NewPost(
        post_id=uuid7(),
        ping_id=uuid7(),
        seller="acme",
        campaign="auto-us",
        market_version=1,
        test=False,
        currency="USD",
        payout_micros=sum(promised) * UNIT,
        fingerprint=b"f" * 32,
        sealed=Sealed(b"", b""),
        key=None,
        people=(uuid7().bytes * 2,),
        duplicate_days=30,
        legs=tuple(micros * UNIT for micros in promised),
    )
    return replace(post, **more)  # type: ignore[arg-type]


def new_plans(names: list[str], legs: int, *caps: Cap, gross: int = 10) -> list[Plan]:
    """The first are the winners of the legs, the others the reserve."""
    return [
        Plan(
            attempt_id=uuid7(),
            ordinal=ordinal,
            order=name,
            buyer=name,
            gross_micros=gross * UNIT,
            bid_id=None,
            lease_s=60,
            caps=tuple(cap for cap in caps if cap.scope.subject == name),
            duplicate_days=30,
            leg=ordinal if ordinal <= legs else 0,
        )
        for ordinal, name in enumerate(names, 1)
    ]


def cap(kind: str, subject: str, leads: int) -> Cap:
    return Cap(Scope(kind, subject, "UTC"), Limit(Period.DAY, leads, None))


def answer(result: Result) -> bytes:
    return f"{result.state} {' '.join(leg.status for leg in result.legs)}".encode()


async def sound(database: Database) -> None:
    assert [item for item in await invariants.check(database) if item.broken] == []


async def rows(database: Database, query: str, *arguments: object) -> list[tuple[object, ...]]:
    found = await database.run(lambda connection: connection.fetch(query, *arguments))
    return [tuple(row.values()) for row in found]


async def claimed(sales: Sales, post: NewPost, plans: list[Plan]) -> tuple[Prepared, ...]:
    found = await sales.claim(post, plans, answer)
    assert isinstance(found, PreparedLegs)
    return found.legs


async def test_a_claim_that_was_not_confirmed_is_found_again(database: Database) -> None:
    sales, post, plans = Sales(database), new_post(8, 8), new_plans(["ann", "bob", "cid"], 2)
    first = await claimed(sales, post, plans)
    again = await claimed(sales, post, plans)
    assert [(leg.plan.attempt_id, leg.plan.leg) for leg in first] == [
        (leg.plan.attempt_id, leg.plan.leg) for leg in again
    ]
    assert await rows(database, "select count(*) from attempts") == [(2,)]
    await sound(database)


async def test_a_claim_that_was_answered_503_is_taken_back_whole(database: Database) -> None:
    caps = [cap("order", name, 5) for name in NAMES]
    sales, post = Sales(database), new_post(8, 8, caps=(cap("seller", "acme", 9),))
    plans = new_plans(["ann", "bob", "cid"], 2, *caps)
    await claimed(sales, post, plans)
    assert await withdraw(database, post.post_id) is Withdrawn.TAKEN_BACK
    for table in ("attempts", "posts", "fingerprints"):
        assert await rows(database, f"select 1 from {table}") == []  # noqa: S608  # of these
    assert await rows(database, "select distinct leads from caps") == [(0,)]
    assert await rows(database, "select distinct held_micros from accounts") == [(0,)]
    await sound(database)


@pytest.mark.parametrize("delivery", [Accepted(), Unknown(), NO])
async def test_a_conclusion_that_was_not_confirmed_is_found_again(database: Database, delivery: Delivery) -> None:
    sales, post, plans = Sales(database), new_post(8, 8), new_plans(["ann", "bob", "cid"], 2)
    one, two = await claimed(sales, post, plans)
    first = [await sales.conclude_leg(post, one.plan, delivery, plans[2:], answer) for _ in range(2)]
    if delivery is NO:
        assert [step.plan.order for step in first if isinstance(step, Prepared)] == ["cid", "cid"]
        assert isinstance(first[0], Prepared)
        first = [await sales.conclude_leg(post, first[0].plan, NotSent(), plans[2:], answer) for _ in range(2)]
    assert first == [LegOver(), LegOver()]
    last = [await sales.conclude_leg(post, two.plan, Accepted(), [], answer) for _ in range(2)]
    assert isinstance(last[0], Ended)
    assert last[0] == last[1]
    states = {LegStatus.ACCEPTED: "accepted", LegStatus.PENDING: "pending", LegStatus.REJECTED: "accepted"}
    assert last[0].result.state == states[last[0].result.legs[0].status]
    assert await sales.conclude_leg(post, replace(two.plan, epoch=7), NO, [], answer) is None
    await sound(database)


async def test_the_first_answer_is_the_answer_and_says_how_each_leg_stands(database: Database) -> None:
    sales, post, plans = Sales(database), new_post(8, 7, 6), new_plans(list(NAMES), 3)
    one, two, three = await claimed(sales, post, plans)
    await sales.conclude_leg(post, one.plan, Accepted(), [], answer)
    await sales.conclude_leg(post, two.plan, NO, [], answer)
    said = await sales.first_answer(post, b"", answer, timeout_s=5)
    assert said == b"pending accepted rejected pending"
    ended = await sales.conclude_leg(post, three.plan, Accepted(), [], answer)
    assert isinstance(ended, Ended)
    assert (ended.result.state, ended.answer) == (PostState.ACCEPTED, said)
    assert await sales.first_answer(post, b"", answer, timeout_s=5) == said
    await sound(database)


async def test_a_verdict_on_one_leg_leaves_the_post_to_the_legs_that_are_under_way(database: Database) -> None:
    sales, post, plans = Sales(database), new_post(8, 7), new_plans(["ann", "bob"], 2)
    one, two = await claimed(sales, post, plans)
    assert await sales.conclude_leg(post, one.plan, Unknown(), [], answer) == LegOver()
    yes = Verdict(AttemptState.ACCEPTED, Reason.ACCEPTED, How.OPERATOR)
    found = await resolve(database, one.plan.attempt_id, yes, epoch=None)
    assert isinstance(found, Resolved)
    assert (found.state, found.post.payout_micros) == (PostState.IN_PROGRESS, 8 * UNIT)
    ended = await sales.conclude_leg(post, two.plan, Unknown(), [], answer)
    assert isinstance(ended, Ended)
    assert ended.answer == b"pending accepted pending"
    no = Verdict(AttemptState.PRESUMED_REJECTED, Reason.PRESUMED_REJECTED, How.PRESUMPTION)
    found = await resolve(database, two.plan.attempt_id, no, epoch=None)
    assert isinstance(found, Resolved)
    assert found.state is PostState.ACCEPTED
    stands = await sales.find(post.post_id)
    assert stands is not None
    assert [(leg.status, int(leg.reason)) for leg in stands.legs] == [("accepted", 501), ("rejected", 508)]
    await sound(database)


async def test_nobody_has_a_lead_twice_whatever_the_code_believes(database: Database) -> None:
    sales, post, plans = Sales(database), new_post(8, 8), new_plans(["ann", "bob"], 2)
    await claimed(sales, post, plans)
    for wrong in ("buyer = 'ann', leg = 2", "buyer = 'bob', leg = 1"):
        with pytest.raises(Exception, match="attempts_one_live"):
            await rows(database, f"update attempts set {wrong}, ordinal = 9 where buyer = 'ann'")  # noqa: S608


async def run_post(sales: Sales, post: NewPost, plans: list[Plan], luck: random.Random) -> Ended:
    """Sells as the gateway does, all legs side by side, to buyers who answer by luck."""
    step = await sales.claim(post, plans, answer)
    if isinstance(step, Ended):
        return step
    assert isinstance(step, PreparedLegs)
    reserve = [plan for plan in plans if not plan.leg]

    async def go_down(leg: Prepared) -> object:
        step: object = leg
        while isinstance(step, Prepared):
            await asyncio.sleep(luck.random() / 100)
            step = await sales.conclude_leg(post, step.plan, luck.choice(OUTCOMES), reserve, answer)
        return step

    ends = await asyncio.gather(*(go_down(leg) for leg in step.legs))
    [ended] = [end for end in ends if isinstance(end, Ended)]  # one of them is the last
    assert sum(isinstance(end, LegOver) for end in ends) == len(ends) - 1
    return ended


async def test_two_hundred_shared_posts_at_once_keep_every_cap_and_balance(database: Database) -> None:
    luck, sales = random.Random(11), Sales(database)  # noqa: S311  # luck need not be secret
    caps = [cap("order", "ann", 12), cap("order", "bob", 30), cap("order", "cid", 9)]
    seller = (cap("seller", "acme", 120), cap("campaign", "auto-us", 115))
    await rows(database, "update accounts set credit_limit_micros = 250000000 where kind = 'buyer'")
    apart = {"dan": frozenset({"eve"}), "eve": frozenset({"dan"})}

    async def one() -> Ended:
        legs = luck.randint(1, 3)
        post = new_post(*[luck.randint(6, 8) for _ in range(legs)], caps=seller, apart=apart)
        return await run_post(sales, post, new_plans(luck.sample(NAMES, luck.randint(legs, 6)), legs, *caps), luck)

    ended = await asyncio.gather(*(one() for _ in range(200)))
    assert len({end.result.state for end in ended}) == 3
    live = "select order_key, count(*) from attempts where is_live(state) group by 1"
    counts = {str(order): int(str(count)) for order, count in await rows(database, live)}
    assert counts["ann"] <= 12
    assert counts["cid"] <= 9
    assert sum(counts.values()) <= 115
    assert any(leg.reason is Reason.OFFER_WITHDRAWN for end in ended for leg in end.result.legs)
    together = await rows(
        database,
        "select 1 from attempts a join attempts b using (post_id) where a.buyer = 'dan' and b.buyer = 'eve' "
        "and is_live(a.state) and is_live(b.state)",
    )
    assert together == []
    assert await rows(database, "select deadlocks from pg_stat_database where datname = current_database()") == [(0,)]
    await sound(database)
