"""Sub-caps, spacing, pace and share at the claim, under real concurrency: never over, released as they were taken."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.market import market

from exchange.embedded.lease import Services
from exchange.errors import RefusedByDatabase
from exchange.marketfile.reader import read
from exchange.rules.attempts import AttemptState
from exchange.rules.caps import ALWAYS, AnyCap, Cap, Limit, Pace, Proportion, Scope, Spacing, window
from exchange.rules.pacing import allowance
from exchange.storage import caps as counted_caps
from exchange.storage import catalogue, counts, invariants, steps
from exchange.storage.database import Database
from exchange.storage.posts import Ended, NewPost, Plan, Prepared, PreparedLegs, Result
from exchange.storage.sales import Sales
from exchange.storage.vault import Sealed
from exchange.storage.verdicts import How, Resolved, Verdict, resolve
from exchange.storage.withdrawal import Withdrawn, withdraw
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.ids import uuid7
from exchange.values.market import Period
from exchange.values.reason import Reason

UNIT = 1_000_000
ZONE = "America/Chicago"
NO = Rejected(Reason.REJECTED_BY_BUYER)
OUTCOMES: list[Delivery] = [Accepted(), Accepted(), Unknown(), NO, NotSent()]


@pytest.fixture
async def database(services: Services) -> AsyncIterator[Database]:
    opened = await Database.connect(services.postgres_url, connections_max=8, timeout_s=60)
    document = market(dict.fromkeys(("ann", "bob", "cid"), "http://127.0.0.1:9"))
    await catalogue.apply(opened, document, read(document), "test")
    yield opened
    await opened.close()


def new_post(*legs: int, **more: object) -> NewPost:
    post = NewPost(
        post_id=uuid7(),
        ping_id=uuid7(),
        seller="acme",
        campaign="auto-us",
        market_version=1,
        test=False,
        currency="USD",
        payout_micros=sum(legs) * UNIT or 8 * UNIT,
        fingerprint=b"f" * 32,
        sealed=Sealed(b"", b""),
        key=None,
        legs=tuple(micros * UNIT for micros in legs),
    )
    return replace(post, **more)  # type: ignore[arg-type]


def new_plan(order: str, *caps: AnyCap, ordinal: int = 1, leg: int = 0) -> Plan:
    return Plan(
        attempt_id=uuid7(),
        ordinal=ordinal,
        order=order,
        buyer=order,
        gross_micros=10 * UNIT,
        bid_id=None,
        lease_s=60,
        caps=caps,
        leg=leg,
    )


def scope(subject: str = "ann") -> Scope:
    return Scope("order", subject, ZONE)


def cap(subject: str, leads: int | None, micros: int | None = None, period: Period = Period.DAY) -> Cap:
    return Cap(scope(subject), Limit(period, leads, micros))


COUNTED_FOR_EVER = cap("ann", None, None, Period.TOTAL)
SPACED: tuple[AnyCap, ...] = COUNTED_FOR_EVER, Spacing(scope(), 600)


def answer(_: Result) -> bytes:
    return b"{}"


async def sound(database: Database) -> None:
    assert [item for item in await invariants.check(database) if item.broken] == []
    for name, query in counts.INVARIANTS.items():
        rows = await database.run(lambda connection, query=query: connection.fetch(query))  # type: ignore[misc]
        assert rows == [], name


async def do(database: Database, statement: str, *arguments: object) -> None:
    await database.run(lambda connection: connection.execute(statement, *arguments))


async def value(database: Database, query: str, *arguments: object) -> object:
    return await database.run(lambda connection: connection.fetchval(query, *arguments))


async def sells(database: Database, *caps: AnyCap) -> bool:
    """Whether the order `ann` can have another lead; if so, it buys it."""
    post, plan = new_post(), new_plan("ann", *caps)
    step = await Sales(database).claim(post, [plan], answer)
    if isinstance(step, Prepared):
        await Sales(database).conclude(post, plan, Accepted(), [], answer)
    return isinstance(step, Prepared)


async def aged(database: Database, seconds: float) -> None:
    """Makes all that was done so much older."""
    for table, column in (("attempts", "created_at"), ("caps", "last_at")):
        await do(database, f"update {table} set {column} = {column} - make_interval(secs => $1)", seconds)  # noqa: S608


# --- sub-caps -----------------------------------------------------------------------------------------------------


async def test_a_sub_cap_counts_the_leads_that_it_is_for_and_no_others(database: Database) -> None:
    order, part = cap("ann", 5), cap("ann/ca", 2, None, Period.MONTH)
    assert [await sells(database, order, part) for _ in range(3)] == [True, True, False]
    assert [await sells(database, order) for _ in range(4)] == [True, True, True, False]
    rows = await value(database, "select array_agg((subject, leads)::text order by subject) from caps")
    assert rows == ["(ann,5)", "(ann/ca,2)"]
    await sound(database)


async def test_a_sub_budget_counts_the_money_of_its_leads(database: Database) -> None:
    part = cap("ann/ca", None, 29 * UNIT)
    assert [await sells(database, part) for _ in range(3)] == [True, True, False]
    assert await sells(database)
    await sound(database)


async def test_a_lead_counts_in_each_of_its_sub_caps_or_is_not_sold(database: Database) -> None:
    ca, good = cap("ann/ca", 2), cap("ann/good", 1)
    assert [await sells(database, ca, good) for _ in range(2)] == [True, False]
    assert [await sells(database, ca) for _ in range(2)] == [True, False]
    assert not await sells(database, good)
    await sound(database)


async def test_a_sub_cap_of_another_order_of_a_like_name_is_another(database: Database) -> None:
    assert [await sells(database, cap("ann/ca", 1)) for _ in range(2)] == [True, False]
    step = await Sales(database).claim(new_post(), [new_plan("bob", cap("bob/ca", 1))], answer)
    assert isinstance(step, Prepared)
    await sound(database)


async def test_down_the_ladder_a_sub_cap_is_given_back_and_the_next_ones_is_taken(database: Database) -> None:
    sales, part, other = Sales(database), cap("ann/ca", 1), cap("bob/ca", 1)
    for expected in ("bob", None):
        post, first, second = new_post(), new_plan("ann", part), new_plan("bob", other, ordinal=2)
        await sales.claim(post, [first, second], answer)
        step = await sales.conclude(post, first, NO, [second], answer)
        assert (step.plan.order if isinstance(step, Prepared) else None) == expected
        await sound(database)
    assert await sells(database, part)


async def test_a_withdrawn_claim_leaves_no_trace_in_a_sub_cap(database: Database) -> None:
    sales, part = Sales(database), cap("ann/ca", 1)
    post, plan = new_post(), new_plan("ann", part)
    await sales.claim(post, [plan], answer)
    assert await withdraw(database, post.post_id) is Withdrawn.TAKEN_BACK
    assert await value(database, "select count(*) from counted_parts") == 0
    await sound(database)
    assert await sells(database, part)


@pytest.mark.parametrize("limits", [(cap("ann/ca", 1),), SPACED], ids=["sub-cap", "spacing"])
async def test_what_an_unknown_attempt_comes_to_counts(database: Database, limits: tuple[AnyCap, ...]) -> None:
    sales = Sales(database)
    post, plan = new_post(), new_plan("ann", *limits)
    await sales.claim(post, [plan], answer)
    await sales.conclude(post, plan, Unknown(), [], answer)
    assert not await sells(database, *limits)
    judged = [
        (AttemptState.PRESUMED_REJECTED, Reason.PRESUMED_REJECTED, How.PRESUMPTION),
        (AttemptState.ACCEPTED, Reason.ACCEPTED, How.OPERATOR),
    ]
    for state, reason, how in judged:
        resolved = await resolve(database, plan.attempt_id, Verdict(state, reason, how, ""), epoch=None)
        assert isinstance(resolved, Resolved)
        await sound(database)
    assert not await sells(database, *limits)


# --- spacing ------------------------------------------------------------------------------------------------------


async def test_two_attempts_are_as_far_apart_as_the_spacing_says(database: Database) -> None:
    assert await sells(database, *SPACED)
    assert not await sells(database, *SPACED)
    await aged(database, 590)
    assert not await sells(database, *SPACED)
    await aged(database, 11)
    assert await sells(database, *SPACED)
    await sound(database)


async def test_a_spacing_that_comes_later_knows_the_last_sale(database: Database) -> None:
    assert await sells(database)
    assert not await sells(database, *SPACED)
    await sound(database)


async def test_a_clear_no_gives_the_slot_back_to_the_sale_before(database: Database) -> None:
    sales = Sales(database)
    assert await sells(database, *SPACED)
    await aged(database, 601)
    post, plan = new_post(), new_plan("ann", *SPACED)
    assert isinstance(await sales.claim(post, [plan], answer), Prepared)
    assert not await sells(database, *SPACED)
    await sales.conclude(post, plan, NO, [], answer)
    await sound(database)
    assert await sells(database, *SPACED)


async def test_of_many_claims_at_the_same_moment_one_has_the_slot(database: Database) -> None:
    for _ in range(5):
        found = await asyncio.gather(*(sells(database, *SPACED) for _ in range(20)))
        assert sum(found) == 1
        await aged(database, 601)
    await sound(database)


# --- pace ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leads", "micros"), [(40, None), (None, 400 * UNIT), (40, 200 * UNIT)])
async def test_a_pace_lets_through_what_the_day_has_come_to(
    database: Database, leads: int | None, micros: int | None
) -> None:
    pace = Pace(scope(), ALWAYS, leads, micros, 200_000)
    before = allowance(pace, datetime.now(UTC) - timedelta(minutes=1))
    found = [await sells(database, cap("ann", leads, micros), pace) for _ in range(45)]
    after = allowance(pace, datetime.now(UTC))

    def most(leads_max: int | None, micros_max: int | None) -> int:
        return max(
            1, min(45 if leads_max is None else leads_max, 45 if micros_max is None else micros_max // 10 // UNIT)
        )

    assert found == sorted(found, reverse=True)
    if before.starts_at < after.starts_at:  # not over midnight
        assert most(*before[2:]) <= sum(found) <= most(*after[2:])
    await sound(database)


async def test_a_pace_never_keeps_back_the_first_lead_of_a_day(database: Database) -> None:
    pace = Pace(scope(), ALWAYS, 1, 11 * UNIT, 0)
    day = cap("ann", 1, 11 * UNIT)
    assert [await sells(database, day, pace) for _ in range(2)] == [True, False]


# --- share --------------------------------------------------------------------------------------------------------


async def test_a_share_is_of_what_the_filter_has_let_through(database: Database) -> None:
    limits = cap("ann", None), Proportion(scope(), Period.DAY, 250_000)
    day = window(Period.DAY, ZONE, datetime.now(UTC))
    assert [await sells(database, *limits) for _ in range(2)] == [True, False]
    for passed, found in [(7, [False]), (1, [True, False]), (8, [True, True, False])]:
        await counted_caps.add_passed(database, {("ann", day): passed, ("bob", day): 99})
        assert [await sells(database, *limits) for _ in found] == found
    rows = await counted_caps.of_subjects(database, [("order", "ann"), ("order", "bob")])
    assert [(row.leads, row.passed) for row in rows] == [(4, 16)]
    await sound(database)


# --- all of them --------------------------------------------------------------------------------------------------


async def test_an_order_with_every_kind_of_limit_is_claimed_in_one_call(database: Database) -> None:
    limits: list[AnyCap] = [cap("ann", 100), COUNTED_FOR_EVER, cap("ann/ca", 100), Spacing(scope(), 10)]
    limits += [Pace(scope(), ALWAYS, 100, None, 1_000_000), Proportion(scope(), Period.DAY, 1_000_000)]
    await counted_caps.add_passed(database, {("ann", window(Period.DAY, ZONE, datetime.now(UTC))): 5})
    assert await sells(database, *limits)
    with pytest.raises(RefusedByDatabase):
        await steps.claim(database, new_post(), new_plan("ann", *limits))
    await aged(database, 11)
    await steps.claim(database, new_post(), new_plan("ann", *limits))
    assert await value(database, "select leads from caps where subject = 'ann/ca'") == 2
    assert await value(database, "select count(*) from counted_parts") == 2


async def test_a_test_counts_in_none_of_them(database: Database) -> None:
    limits: list[AnyCap] = [*SPACED, cap("ann/ca", 1)]
    for _ in range(2):
        post = new_post(test=True)
        assert isinstance(await Sales(database).claim(post, [new_plan("ann", *limits)], answer), Prepared)
    assert await value(database, "select count(*) from caps") == 0
    assert await sells(database, *limits)
    await sound(database)


async def test_many_posts_exclusive_and_shared_never_exceed_any_of_them(database: Database) -> None:
    sales, luck = Sales(database), random.Random(5)  # noqa: S311  # luck need not be secret
    limits: dict[str, list[AnyCap]] = {
        "ann": [cap("ann", 14), cap("ann/ca", 4), cap("ann/good", 6, 50 * UNIT, Period.HOUR)],
        "bob": [cap("bob/ca", 3, None, Period.MONTH)],
        "cid": [cap("cid", None, None, Period.TOTAL), Spacing(scope("cid"), 3600)],
    }

    def plans(legs: int) -> list[Plan]:
        names = luck.sample(sorted(limits), 3)
        parts = {f"/{part}" for part in ("ca", "good") if luck.random() < 0.6}
        return [
            new_plan(
                name,
                *(item for item in limits[name] if "/" not in item.scope.subject or item.scope.subject[3:] in parts),
                ordinal=place,
                leg=place if place <= legs else 0,
            )
            for place, name in enumerate(names, 1)
        ]

    async def one(number: int) -> None:
        legs = 2 if number % 3 == 0 else 0
        post, found = new_post(*[4] * legs), plans(legs)
        await asyncio.sleep(number / 500)
        step = await sales.claim(post, found, answer)
        if isinstance(step, PreparedLegs):
            reserve = [plan for plan in found if not plan.leg]
            for leg in step.legs:
                plan: Plan | None = leg.plan
                while plan is not None:
                    done = await sales.conclude_leg(post, plan, luck.choice(OUTCOMES), reserve, answer)
                    plan = done.plan if isinstance(done, Prepared) else None
            return
        while isinstance(step, Prepared):
            rest = found[step.plan.ordinal :]
            step = await sales.conclude(post, step.plan, luck.choice(OUTCOMES), rest, answer)  # type: ignore[assignment]
        assert isinstance(step, Ended)

    await asyncio.gather(*(one(number) for number in range(150)))
    await sound(database)
    live = "select count(*) from attempts a {} where is_live(state) and {}"
    assert int(str(await value(database, live.format("", "order_key = 'ann'")))) <= 14
    assert await value(database, live.format("", "order_key = 'cid'")) == 1
    for subject, most in (("ann/ca", 4), ("ann/good", 5), ("bob/ca", 3)):
        joined = live.format("join counted_parts using (attempt_id)", f"subject = '{subject}'")
        assert 1 <= int(str(await value(database, joined))) <= most
