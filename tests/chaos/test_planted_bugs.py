"""Eleven bugs, each planted into a running exchange: the checker catches every one, and finds nothing without it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest
from support.frozen import unwritten

from chaos.arena import SHUT, Arena, Role, assert_clean, is_clear
from exchange.simulation.chaos.conduct import Move
from exchange.simulation.chaos.evidence import Violation
from exchange.simulation.chaos.link import FAIR
from exchange.simulation.chaos.rules_books import CAP, MONEY, SNAPSHOT
from exchange.simulation.chaos.rules_buyers import ONE_SALE_A_PERSON, ONE_TAKER, SENT_ONCE
from exchange.simulation.chaos.rules_told import ACKNOWLEDGED, REPLAYED

Story = Callable[[Arena, Sequence[str]], Awaitable[list[Violation]]]
TAKES_AND_DROPS = Role(moves=(Move.DROP, Move.ANSWER))
SECOND = Role(price="18.00")


async def one_sale(arena: Arena, plants: Sequence[str], first: Role = TAKES_AND_DROPS) -> list[Violation]:
    """A lead with a second buyer waiting, and a first one who takes it without a word."""
    await arena.open_market({"alpha": first, "beta": SECOND})
    gateway = await arena.gateway(*plants)
    await arena.post(gateway, await arena.ping(gateway))
    return await arena.verdict()


async def without_the_index(arena: Arena, plants: Sequence[str]) -> list[Violation]:
    """The code goes on after an unknown in either case; the index is what stands between it and a second sale."""
    if plants:
        await arena.execute("drop index attempts_one_live")
    await arena.open_market({"alpha": TAKES_AND_DROPS, "beta": SECOND})
    gateway = await arena.gateway("goes_on_after_unknown")
    await arena.post(gateway, await arena.ping(gateway))
    await arena.expire()
    await arena.worker()
    await arena.until(lambda found: not any(item.state == "prepared" for item in found))
    return await arena.verdict()


async def plain_sale(arena: Arena, plants: Sequence[str]) -> list[Violation]:
    return await one_sale(arena, plants, Role())


async def killed_when_told(arena: Arena, plants: Sequence[str]) -> list[Violation]:
    """The seller has his answer, and the gateway dies that instant."""
    await arena.open_market({"alpha": Role(), "beta": SECOND})
    gateway = await arena.gateway(*plants)
    told = await arena.post(gateway, await arena.ping(gateway))
    gateway.send(signal.SIGKILL)
    assert told.document["status"] == "accepted"
    await gateway.gone()
    await arena.expire()
    await arena.worker()
    await arena.until(lambda found: not any(item.state == "prepared" for item in found))
    return await arena.verdict()


async def postgres_crashed_when_told(arena: Arena, plants: Sequence[str]) -> list[Violation]:
    """The seller has his answer, and Postgres loses that instant what nobody has waited for."""
    await arena.open_market({"alpha": Role(), "beta": SECOND})
    gateway = await arena.gateway(*plants)
    ping_id = await arena.ping(gateway)
    async with unwritten(arena.database) as server:
        told = await arena.post(gateway, ping_id)
        await server.crash(arena.database)
    assert told.document["status"] == "accepted"
    return await arena.verdict()


async def a_repeat_is_told_and_postgres_crashes(arena: Arena, plants: Sequence[str]) -> list[Violation]:
    """A gateway commits a sale and comes no further; another one reads it, and answers the seller."""
    await arena.open_market({"alpha": Role(), "beta": SECOND})
    gateway, other = await arena.gateway("stopped_before_a_sale_is_durable"), await arena.gateway(*plants)
    ping_id = await arena.ping(gateway)
    async with unwritten(arena.database) as server:
        posting = asyncio.create_task(arena.post(gateway, ping_id))
        await arena.until(lambda found: any(item.state == "accepted" for item in found))
        told = await arena.post(other, ping_id)
        await server.crash(arena.database)
    assert told.document["status"] == "accepted"
    gateway.send(signal.SIGKILL)
    await posting
    await arena.expire()
    await arena.worker()
    await arena.until(is_clear)
    return await arena.verdict()


async def five_at_once_under_a_cap_of_two(arena: Arena, plants: Sequence[str]) -> list[Violation]:
    """The cap comes after the offers, which would be fewer otherwise."""
    await arena.open_market({"alpha": Role(think_ms=500), "beta": SECOND})
    gateway = await arena.gateway(*plants)
    pings = await asyncio.gather(*(arena.ping(gateway, number=number) for number in range(5)))
    await arena.cap("alpha-auto", {"day": 2}, gateway)
    await asyncio.gather(*(arena.post(gateway, ping_id, number=number) for number, ping_id in enumerate(pings)))
    return await arena.verdict()


async def one_key_twice(arena: Arena, plants: Sequence[str]) -> list[Violation]:
    await arena.open_market({"alpha": Role()})
    gateway = await arena.gateway(*plants)
    for _ in range(2):
        await arena.whole(gateway, "the-key")
    return await arena.verdict()


async def one_person_twice(arena: Arena, plants: Sequence[str]) -> list[Violation]:
    """Two sellers have offers for one person before either posts."""
    await arena.open_market({"alpha": Role(), "beta": SECOND}, {"auto": {"duplicates": {"window_days": 30}}})
    gateway = await arena.gateway(*plants)
    pings = [(seller, await arena.ping(gateway, seller=seller)) for seller in ("acme", "bolt")]
    await asyncio.gather(*(arena.post(gateway, ping_id, seller=seller) for seller, ping_id in pings))
    return await arena.verdict()


async def thawed_too_late(arena: Arena, plants: Sequence[str]) -> list[Violation]:
    """A gateway freezes before it sends; a worker delivers for it; then it thaws and finds the buyer's door shut."""
    await arena.open_market({"alpha": Role(moves=(Move.DROP,), idempotent=True), "beta": SECOND})
    gateway = await arena.gateway("frozen_before_it_sends", *plants)
    ping_id = await arena.ping(gateway)
    posting = asyncio.create_task(arena.post(gateway, ping_id))
    await arena.until(bool)
    await arena.expire()
    worker = await arena.worker()
    async with asyncio.timeout(20):
        while not arena.deliveries("alpha"):
            await asyncio.sleep(0.02)
    await worker.stop()
    await arena.links["alpha"].change(SHUT)
    gateway.send(signal.SIGCONT)
    await posting
    await gateway.stop()
    arena.puppets["alpha"].calm = True
    await arena.links["alpha"].change(FAIR)
    await arena.expire()
    await arena.worker()
    await arena.until(is_clear, within_s=3 if plants else 20)
    return await arena.verdict()


@dataclass(frozen=True)
class Case:
    """A bug, the story in which it shows, and one of the rules that it breaks."""

    bug: str
    story: Story
    rule: str


CASES = (
    Case("live_index_dropped", without_the_index, ONE_TAKER),
    Case("hold_released_on_timeout", one_sale, SNAPSHOT),
    Case("answer_before_commit", killed_when_told, ACKNOWLEDGED),
    Case("told_before_it_is_durable", postgres_crashed_when_told, ACKNOWLEDGED),
    Case("told_before_it_is_durable", a_repeat_is_told_and_postgres_crashes, ACKNOWLEDGED),
    Case("resent_blindly", one_sale, SENT_ONCE),
    Case("unknown_is_rejected", one_sale, ONE_TAKER),
    Case("cap_counted_after_the_sale", five_at_once_under_a_cap_of_two, CAP),
    Case("charge_without_payout", plain_sale, MONEY),
    Case("key_ignored", one_key_twice, REPLAYED),
    Case("late_write_accepted", thawed_too_late, ONE_TAKER),
    Case("fingerprints_skipped", one_person_twice, ONE_SALE_A_PERSON),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.bug}-{case.story.__name__}")
async def test_a_planted_bug_is_caught(arena: Arena, case: Case) -> None:
    found = await case.story(arena, [case.bug])
    assert case.rule in {violation.rule for violation in found}
    if case.rule is not SNAPSHOT:
        assert any(violation.story for violation in found if violation.rule == case.rule)


@pytest.mark.parametrize("story", dict.fromkeys(case.story for case in CASES), ids=lambda story: story.__name__)
async def test_without_it_the_same_story_is_clean(arena: Arena, story: Story) -> None:
    assert_clean(await story(arena, []))
