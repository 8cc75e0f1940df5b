"""Holds under real concurrency: no cap, budget, balance or window over at any prefix, and all or nothing."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.market import market

from exchange.embedded.lease import Services
from exchange.marketfile.reader import read
from exchange.rules.attempts import AttemptState
from exchange.rules.caps import Cap, Limit, Scope, window
from exchange.storage import catalogue, counts, invariants
from exchange.storage.database import Connection, Database
from exchange.storage.posts import Ended, NewPost, Plan, Prepared, Result
from exchange.storage.sales import Sales
from exchange.storage.vault import Sealed
from exchange.storage.verdicts import How, Resolved, Verdict, resolve
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.ids import uuid7
from exchange.values.market import Period
from exchange.values.reason import Reason

UNIT = 1_000_000
NOBODY = "http://127.0.0.1:9"
CONNECTIONS = 8
OUTCOMES: list[Delivery] = [Accepted(), Accepted(), Unknown(), Rejected(Reason.REJECTED_BY_BUYER), NotSent()]


@pytest.fixture
async def database(services: Services) -> AsyncIterator[Database]:
    """A database with buyers who can pay for 1,000 leads of 10.00."""
    opened = await Database.connect(services.postgres_url, connections_max=CONNECTIONS, timeout_s=60)
    document = market(dict.fromkeys(("ann", "bob", "cid"), NOBODY))
    for buyer in document["buyers"].values():
        buyer["credit_limit"] = "10000.00"
    await catalogue.apply(opened, document, read(document), "test")
    yield opened
    await opened.close()


def person(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def new_post(**more: object) -> NewPost:
    post = NewPost(
        post_id=uuid7(),
        ping_id=uuid7(),
        seller="acme",
        campaign="auto-us",
        market_version=1,
        test=False,
        currency="USD",
        payout_micros=8 * UNIT,
        fingerprint=b"f" * 32,
        sealed=Sealed(b"", b""),
        key=None,
    )
    return replace(post, **more)  # type: ignore[arg-type]


def new_plan(order: str, *caps: Cap, ordinal: int = 1, buyer_days: int | None = None, gross: int = 10 * UNIT) -> Plan:
    return Plan(
        attempt_id=uuid7(),
        ordinal=ordinal,
        order=order,
        buyer=order.partition("-")[0],
        gross_micros=gross,
        bid_id=None,
        lease_s=60,
        caps=caps,
        duplicate_days=buyer_days,
    )


def cap(kind: str, subject: str, leads: int | None, micros: int | None = None, period: Period = Period.DAY) -> Cap:
    return Cap(Scope(kind, subject, "America/Chicago"), Limit(period, leads, micros))


def answer(_: Result) -> bytes:
    return b"{}"


async def run_post(sales: Sales, post: NewPost, plans: list[Plan], luck: random.Random) -> list[tuple[str, Delivery]]:
    """Sells as the gateway does, to buyers who answer by luck; what was tried, in order."""
    tried = []
    step = await sales.claim(post, plans, answer)
    while isinstance(step, Prepared):
        delivery = luck.choice(OUTCOMES)
        tried.append((step.plan.order, delivery))
        await asyncio.sleep(luck.random() / 100)
        step = await sales.conclude(post, step.plan, delivery, plans[step.plan.ordinal :], answer)  # type: ignore[assignment]
    assert isinstance(step, Ended)
    return tried


async def sound(database: Database) -> None:
    assert [item for item in await invariants.check(database) if item.broken] == []
    for name, query in counts.INVARIANTS.items():
        rows = await database.run(lambda connection, query=query: connection.fetch(query))  # type: ignore[misc]
        assert rows == [], name


async def live(database: Database, order: str) -> int:
    count = "select count(*) from attempts where order_key = $1 and is_live(state)"
    return int(await database.run(lambda connection: connection.fetchval(count, order)))


async def counted(database: Database) -> dict[tuple[str, str, str], tuple[int, int]]:
    rows = await database.run(lambda connection: connection.fetch("select * from caps"))
    return {(row["scope"], row["subject"], row["period"]): (row["leads"], row["amount_micros"]) for row in rows}


async def watch(database: Database, limits: dict[str, int], stop: asyncio.Event) -> int:
    """Looks at the attempts all the time: at no moment is one order over its cap. How often it looked."""
    looks = 0
    while not stop.is_set():
        rows = await database.run(
            lambda connection: connection.fetch(
                "select order_key, count(*) as count from attempts where is_live(state) group by 1"
            )
        )
        for row in rows:
            assert row["count"] <= limits[row["order_key"]], row
        looks += 1
    return looks


async def test_ten_times_as_many_posts_as_a_cap_allows_never_exceed_it_at_any_moment(database: Database) -> None:
    sales, luck = Sales(database), random.Random(7)  # noqa: S311  # luck need not be secret
    caps = {"ann": cap("order", "ann", 12), "bob": cap("order", "bob", None, 85 * UNIT), "cid": cap("order", "cid", 9)}
    seller = (cap("seller", "acme", 25), cap("campaign", "auto-us", 24, None, Period.HOUR))
    stop = asyncio.Event()
    watching = asyncio.create_task(watch(database, {"ann": 12, "bob": 8, "cid": 9}, stop))

    async def one() -> list[tuple[str, Delivery]]:
        names = luck.sample(sorted(caps), 3)
        plans = [new_plan(name, caps[name], ordinal=index) for index, name in enumerate(names, 1)]
        return await run_post(sales, new_post(caps=seller), plans, luck)

    tried = await asyncio.gather(*(one() for _ in range(300)))
    stop.set()
    assert await watching > 5
    sold = Counter(order for steps in tried for order, outcome in steps if isinstance(outcome, Accepted | Unknown))
    assert 16 <= sum(sold.values()) <= 24  # a buyer may say no when all others have been turned away
    assert all([await live(database, order) == sold[order] for order in caps])
    await sound(database)


async def test_a_full_cap_is_skipped_and_the_ladder_goes_on(database: Database) -> None:
    sales = Sales(database)
    for expected in ("ann", "ann", "bob"):
        plans = [new_plan("ann", cap("order", "ann", 2)), new_plan("bob", ordinal=2)]
        step = await sales.claim(new_post(), plans, answer)
        assert isinstance(step, Prepared)
        assert step.plan.order == expected
    await sound(database)


@pytest.mark.parametrize(
    ("limits", "sold"),
    [((0, None), 0), ((3, None), 3), ((None, 29_999_999), 2), ((None, 30_000_000), 3), ((2, 30_000_000), 2)],
)
async def test_a_cap_counts_leads_and_a_budget_money(
    database: Database, limits: tuple[int | None, int | None], sold: int
) -> None:
    sales = Sales(database)
    steps = [await sales.claim(new_post(), [new_plan("ann", cap("order", "ann", *limits))], answer) for _ in range(5)]
    assert [isinstance(step, Prepared) for step in steps] == [True] * sold + [False] * (5 - sold)
    ended = [step.result.reason for step in steps if isinstance(step, Ended)]
    assert set(ended) == {Reason.OFFER_WITHDRAWN}
    await sound(database)


async def test_what_a_balance_refuses_is_not_counted_and_what_a_cap_refuses_is_not_held(database: Database) -> None:
    sales = Sales(database)
    dear = new_plan("ann", cap("order", "ann", 5), gross=10_001 * UNIT)
    assert isinstance(await sales.claim(new_post(payout_micros=0), [dear], answer), Ended)
    assert await counted(database) == {}
    full = new_plan("ann", cap("order", "ann", 0))
    assert isinstance(await sales.claim(new_post(), [full], answer), Ended)
    [held] = await database.run(
        lambda connection: connection.fetch("select sum(held_micros) as held from accounts where kind = 'buyer'")
    )
    assert held["held"] == 0
    await sound(database)


async def test_a_release_goes_back_to_the_window_that_it_was_taken_from(database: Database) -> None:
    sales, limit = Sales(database), cap("order", "ann", 5)
    post, plan = new_post(), new_plan("ann", limit)
    await sales.claim(post, [plan], answer)
    yesterday = window(Period.DAY, "America/Chicago", datetime.now(UTC) - timedelta(days=1))
    await database.run(
        lambda connection: connection.execute(
            "update attempts set created_at = $1", yesterday.starts_at + timedelta(hours=1)
        )
    )
    await database.run(
        lambda connection: connection.execute("update caps set starts_at = $1, ends_at = $2", *yesterday)
    )
    await sales.claim(new_post(), [new_plan("ann", limit)], answer)
    await sound(database)
    await sales.conclude(post, plan, Rejected(Reason.REJECTED_BY_BUYER), [], answer)
    rows = await database.run(lambda connection: connection.fetch("select leads from caps order by starts_at"))
    assert [row["leads"] for row in rows] == [0, 1]
    await sound(database)


async def test_a_cap_that_comes_later_counts_what_was_sold_before(database: Database) -> None:
    sales = Sales(database)
    first, plan = new_post(), new_plan("ann")
    await sales.claim(first, [plan], answer)
    assert await counted(database) == {}
    caps = cap("order", "ann", 3), cap("order", "ann", 3, None, Period.TOTAL)
    seller = (cap("seller", "acme", 9), cap("campaign", "auto-us", 9))
    for prepared in (True, True, False):
        step = await sales.claim(new_post(caps=seller), [new_plan("ann", *caps)], answer)
        assert isinstance(step, Prepared) is prepared
    assert {leads for leads, _ in (await counted(database)).values()} == {3}
    await sales.conclude(first, plan, NotSent(), [], answer)
    assert {leads for leads, _ in (await counted(database)).values()} == {2}
    await sound(database)


async def test_windows_that_are_opened_while_sales_are_under_way_miss_none(database: Database) -> None:
    sales, luck = Sales(database), random.Random(11)  # noqa: S311

    async def one(number: int) -> None:
        caps = [cap("order", "ann", 1000, None, period) for period in list(Period)[: number // 12]]
        seller = tuple(cap("seller", "acme", 1000, None, period) for period in list(Period)[: number // 20])
        plans = [new_plan("ann", *caps), new_plan("bob", ordinal=2)]
        await asyncio.sleep(number / 1000)
        await run_post(sales, new_post(caps=seller), plans, luck)

    await asyncio.gather(*(one(number) for number in range(72)))
    assert len(await counted(database)) > 5
    await sound(database)


# --- people -------------------------------------------------------------------------------------------------------


async def test_two_posts_of_one_person_at_the_same_time_are_sold_once(database: Database) -> None:
    sales = Sales(database)
    for number in range(20):
        people = [(person(f"phone {number}"), person(f"mail {number}")), (person(f"phone {number}"),)]
        posts = [new_post(people=found, duplicate_days=30) for found in people * 3]
        steps = await asyncio.gather(*(sales.claim(post, [new_plan("ann")], answer) for post in posts))
        assert sum(isinstance(step, Prepared) for step in steps) == 1
        assert [step.result.reason for step in steps if isinstance(step, Ended)] == [Reason.DUPLICATE] * 5
    await sound(database)


async def test_people_who_share_one_of_two_marks_do_not_block_one_another_for_ever(database: Database) -> None:
    sales, luck = Sales(database), random.Random(3)  # noqa: S311
    marks = [person(str(number)) for number in range(6)]

    async def one() -> int:
        post = new_post(people=tuple(luck.sample(marks, 2)), duplicate_days=30)
        plans = [
            new_plan(name, ordinal=index, buyer_days=7) for index, name in enumerate(luck.sample(["ann", "bob"], 2), 1)
        ]
        return len(await run_post(sales, post, plans, luck))

    await asyncio.gather(*(one() for _ in range(200)))
    held = await database.run(
        lambda connection: connection.fetch(
            "select fingerprint from fingerprints where scope = 'campaign' and fingerprint = any ($1)", marks
        )
    )
    assert len(held) <= len(marks)
    await sound(database)


@pytest.mark.parametrize(
    ("outcome", "again"),
    [(Accepted(), False), (Unknown(), False), (Rejected(Reason.DUPLICATE_AT_BUYER), True), (NotSent(), True)],
)
async def test_a_person_is_free_again_after_a_clear_no_only(database: Database, outcome: Delivery, again: bool) -> None:
    sales = Sales(database)
    post, plan = new_post(people=(person("x"),), duplicate_days=30), new_plan("ann", buyer_days=30)
    await sales.claim(post, [plan], answer)
    await sales.conclude(post, plan, outcome, [], answer)
    other = new_post(people=(person("x"), person("y")), duplicate_days=30)
    assert isinstance(await sales.claim(other, [new_plan("ann", buyer_days=30)], answer), Prepared) is again
    await sound(database)


async def test_a_person_may_be_sold_again_when_the_window_has_passed(database: Database) -> None:
    sales = Sales(database)

    async def claim() -> bool:
        post = new_post(people=(person("x"),), duplicate_days=30)
        return isinstance(await sales.claim(post, [new_plan("ann")], answer), Prepared)

    async def age(days: float) -> None:
        await database.run(
            lambda connection: connection.execute(
                "update fingerprints set taken_at = taken_at - make_interval(secs => $1)", days * 86_400
            )
        )

    assert await claim()
    await age(29.99)
    assert not await claim()
    await age(0.02)
    assert await claim()
    assert not await claim()


async def test_a_buyer_who_had_a_person_is_skipped_and_others_are_not(database: Database) -> None:
    sales = Sales(database)
    for expected in ("ann", "bob"):
        plans = [new_plan("ann-east", buyer_days=90), new_plan("bob", ordinal=2, buyer_days=None)]
        step = await sales.claim(new_post(people=(person("x"),)), plans, answer)
        assert isinstance(step, Prepared)
        assert step.plan.buyer == expected
    other = await sales.claim(new_post(people=(person("x"),)), [new_plan("ann-west", buyer_days=90)], answer)
    assert isinstance(other, Ended)
    assert other.result.reason is Reason.OFFER_WITHDRAWN


async def test_a_test_counts_against_nothing(database: Database) -> None:
    sales = Sales(database)
    for _ in range(3):
        post = new_post(test=True, people=(person("x"),), duplicate_days=30, caps=(cap("seller", "acme", 1),))
        assert isinstance(await sales.claim(post, [new_plan("ann", cap("order", "ann", 1))], answer), Prepared)
    assert await counted(database) == {}
    assert isinstance(
        await sales.claim(new_post(people=(person("x"),), duplicate_days=30), [new_plan("ann")], answer), Prepared
    )
    await sound(database)


async def test_the_check_sees_a_count_that_is_wrong(database: Database) -> None:
    await Sales(database).claim(
        new_post(people=(person("x"),), duplicate_days=3), [new_plan("ann", cap("order", "ann", 5))], answer
    )
    await sound(database)

    async def broken(statement: str) -> list[str]:
        async def work(connection: Connection) -> list[str]:
            await connection.execute(statement)
            return [name for name, query in counts.INVARIANTS.items() if await connection.fetch(query)]

        return await database.run(work)

    assert len(await broken("update caps set leads = leads + 1")) == 1
    assert len(await broken("update caps set leads = leads - 1, amount_micros = 0")) == 1
    assert len(await broken("update caps set amount_micros = 10000000; update attempts set state = 'rejected'")) == 2


# --- afterthoughts ------------------------------------------------------------------------------------------------


async def judge(database: Database, plan: Plan, state: AttemptState, reason: Reason) -> None:
    how = How.PRESUMPTION if state.startswith("presumed") else How.OPERATOR
    verdict = Verdict(state, reason, how, "")
    assert isinstance(await resolve(database, plan.attempt_id, verdict, epoch=None), Resolved)


YES = AttemptState.ACCEPTED, Reason.ACCEPTED
NO = AttemptState.REJECTED, Reason.REJECTED_BY_BUYER
PRESUMED_YES = AttemptState.PRESUMED_ACCEPTED, Reason.PRESUMED_ACCEPTED
PRESUMED_NO = AttemptState.PRESUMED_REJECTED, Reason.PRESUMED_REJECTED


@pytest.mark.parametrize(
    ("steps", "counted_after", "is_free"),
    [
        ([YES], 1, False),
        ([NO], 0, True),
        ([PRESUMED_NO], 0, False),
        ([PRESUMED_NO, YES], 1, False),
        ([PRESUMED_YES], 1, False),
        ([PRESUMED_YES, NO], 0, True),
    ],
)
async def test_what_becomes_of_an_unknown_attempt_is_counted(
    database: Database, steps: list[tuple[AttemptState, Reason]], counted_after: int, is_free: bool
) -> None:
    sales, limit = Sales(database), cap("order", "ann", 1)
    post, plan = new_post(people=(person("x"),), duplicate_days=30), new_plan("ann", limit)
    await sales.claim(post, [plan], answer)
    await sales.conclude(post, plan, Unknown(), [], answer)
    for state, reason in steps:
        await judge(database, plan, state, reason)
        await sound(database)
    assert (await counted(database))["order", "ann", "day"][0] == counted_after
    other = new_post(people=(person("x"),), duplicate_days=30)
    assert isinstance(await sales.claim(other, [new_plan("bob")], answer), Prepared) is is_free
    await sound(database)
