"""SIGKILL at every point that matters, whatever the buyer did and whether or not the seller asks again."""

import asyncio
from dataclasses import dataclass
from itertools import product

import pytest

from chaos.arena import HOLE, SHUT, Arena, Forked, Role, assert_clean, is_clear
from chaos.killed_gateway import MARKER
from exchange.simulation.chaos.books import Attempt, Post, read_books
from exchange.simulation.chaos.conduct import ACCEPTED, REJECTED, Move
from exchange.simulation.chaos.diary import Asked
from exchange.simulation.chaos.link import FAIR

NEVER = "never"
BEFORE_THE_CLAIM = {"F1", "F2"}
BEFORE_THE_FIRST_BYTE = {"F1", "F2", "F3"}


@dataclass(frozen=True)
class Case:
    """One lead: what its first buyer does with it, and whether its seller asks again."""

    buyer: str
    retries: bool

    @property
    def name(self) -> str:
        return f"{self.buyer}-{'again' if self.retries else 'once'}"


CASES = tuple(Case(buyer, retries) for buyer, retries in product((ACCEPTED, REJECTED, NEVER), (True, False)))


async def open_market(arena: Arena, moves: tuple[Move, ...] = (Move.ANSWER,)) -> None:
    """A campaign for each case, with a first buyer of its own; the second buyer stands by in all of them."""
    names = [case.name for case in CASES]
    roles = {
        case.name: Role(
            decision=REJECTED if case.buyer == REJECTED else ACCEPTED,
            moves=moves,
            has_status=True,
            campaigns=(case.name,),
        )
        for case in CASES
    }
    second = Role(price="18.00", has_status=True, campaigns=names)
    await arena.open_market(roles | {"second": second}, {name: {} for name in names}, markers=True)


async def die_at(arena: Arena, point: str, case: Case, number: int) -> tuple[str, str]:
    """Posts a lead to a gateway that dies at a point; the ping's id and the key."""
    gateway = await arena.gateway(point, **{MARKER: str(arena.marker(case.name))})
    ping_id, key = await arena.ping(gateway, case.name, number=number), f"key-{number}"
    link = arena.links[case.name]
    if case.buyer == NEVER and point not in BEFORE_THE_FIRST_BYTE:
        await link.change(HOLE if point == "F4" else SHUT)
    if point == "F4" and case.buyer == NEVER:
        asyncio.get_running_loop().call_later(0.4, arena.marker(case.name).touch)
    told = await arena.post(gateway, ping_id, key, number=number)
    assert told.status is None
    await gateway.gone()
    assert "killed at the point" in gateway.said()
    return ping_id, key


@pytest.mark.parametrize("point", ["F1", "F2", "F3", "F4", "F5", "F6", "F7"])
async def test_a_gateway_is_killed(arena: Arena, point: str) -> None:
    moves = (Move.SLOW, Move.ANSWER) if point == "F4" else (Move.ANSWER,)
    await open_market(arena, moves)
    leads = await asyncio.gather(*(die_at(arena, point, case, number) for number, case in enumerate(CASES)))
    for link in arena.links.values():
        await link.close() if link.weather == HOLE else None
        await link.change(FAIR)
    gateway = await arena.gateway()
    await arena.worker()
    first = await again(arena, gateway, leads)
    await arena.until(is_clear)
    last = await again(arena, gateway, leads)
    assert_clean(await arena.verdict())
    books = await read_books(arena.database)
    for case, (ping_id, _) in zip(CASES, leads, strict=True):
        post = next((item for item in books.posts if item.ping_id == ping_id), None)
        attempts = [item for item in books.attempts if item.ping_id == ping_id]
        check_case(arena, point, case, post, attempts)
        if case.retries:
            assert last[case].status == 200
            if first[case].status == 200:
                assert first[case].answer == last[case].answer


async def again(arena: Arena, gateway: Forked, leads: list[tuple[str, str]]) -> dict[Case, Asked]:
    """The sellers who do so send their posts once more."""
    return {
        case: await arena.post(gateway, ping_id, key, number=number)
        for number, (case, (ping_id, key)) in enumerate(zip(CASES, leads, strict=True))
        if case.retries
    }


def check_case(arena: Arena, point: str, case: Case, post: Post | None, attempts: list[Attempt]) -> None:
    """The books say what is in the first buyer's log, and the second has the lead only where that was allowed."""
    decisions = {seen.decision for seen in arena.deliveries(case.name)}
    if point in BEFORE_THE_CLAIM and not case.retries:
        assert post is None
        assert not attempts
        assert not decisions
        return
    assert post is not None
    states = {item.buyer: item.state for item in attempts}
    if decisions == {ACCEPTED}:
        assert (post.state, states) == ("accepted", {case.name: "accepted"})
    else:
        assert states[case.name] == ("rejected" if decisions else "not_sent")
        assert post.state == {"accepted": "accepted"}.get(states.get("second", ""), "rejected")


async def test_a_worker_is_killed_in_the_middle_of_a_verdict(arena: Arena) -> None:
    await open_market(arena, (Move.DROP, Move.ANSWER))
    gateway = await arena.gateway()
    leads = []
    for number, case in enumerate(CASES):
        ping_id = await arena.ping(gateway, case.name, number=number)
        leads.append((ping_id, f"key-{number}"))
        if case.buyer == NEVER:
            await arena.links[case.name].change(HOLE)
        assert (await arena.post(gateway, ping_id, f"key-{number}", number=number)).document["status"] == "pending"
        await arena.links[case.name].close() if case.buyer == NEVER else None
        await arena.links[case.name].change(FAIR)
    for _ in range(2):
        worker = await arena.worker("F10")
        await worker.gone()
        assert "killed at the point" in worker.said()
        await arena.expire()
    await arena.worker()
    first = await again(arena, gateway, leads)
    await arena.until(is_clear)
    last = await again(arena, gateway, leads)
    assert [asked.answer for asked in first.values()] == [asked.answer for asked in last.values()]
    assert_clean(await arena.verdict())
    books = await read_books(arena.database)
    states = {item.ping_id: item.state for item in books.posts}
    for case, (ping_id, _) in zip(CASES, leads, strict=True):
        assert states[ping_id] == ("accepted" if case.buyer == ACCEPTED else "rejected")


@pytest.mark.parametrize("decision", [ACCEPTED, REJECTED])
async def test_an_outcome_that_was_not_confirmed_is_found_again(arena: Arena, decision: str) -> None:
    await arena.open_market({"alpha": Role(decision=decision), "beta": Role(price="18.00")})
    gateway = await arena.gateway("outcome_not_confirmed")
    told = await arena.post(gateway, await arena.ping(gateway))
    assert told.document["status"] == "accepted"
    assert "outcome_waits_for_postgres" in gateway.said()
    assert_clean(await arena.verdict())
    assert len(arena.deliveries("alpha")) == 1
    assert len(arena.deliveries("beta")) == int(decision == REJECTED)


@pytest.mark.parametrize("repeats", [False, True])
async def test_a_return_is_killed_in_the_middle(arena: Arena, repeats: bool) -> None:
    await arena.open_market({"alpha": Role()})
    gateway = await arena.gateway()
    told = await arena.post(gateway, await arena.ping(gateway))
    words = ["returns", "add", str(told.document["post_id"]), "--reason", "wrong_number"]
    killed = await arena.command(*words, plants=["F11"])
    await killed.gone()
    assert "killed at the point" in killed.said()
    if repeats:
        for _ in range(2):  # the second is refused
            done = await arena.command(*words)
            await done.gone()
    kinds = [item.kind for item in (await read_books(arena.database)).transfers]
    assert kinds.count("return_charge") == kinds.count("return_payout") == int(repeats)
    await arena.watcher.look()
    assert not arena.watcher.broken
