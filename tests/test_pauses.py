"""Long work on the event loop stands back for what else there is, and comes to its end."""

import asyncio

import pytest

from exchange import pauses
from exchange.pauses import REST_S, TURNS, Steps

PARTS = 5


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the work has waited for, from then on; each part is a step of its own."""
    found: list[float] = []
    sleep = asyncio.sleep

    async def seen(seconds: float) -> None:
        found.append(seconds)
        await sleep(0)

    monkeypatch.setattr(pauses, "STEP_S", 0.0)
    monkeypatch.setattr(asyncio, "sleep", seen)
    return found


async def test_after_each_step_others_have_their_turns_and_where_they_work_some_time(
    rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "IDLE_TURN_S", 0.0)  # every turn is one with work in it
    monkeypatch.setattr(pauses, "RESTED_MAX", float("inf"))
    await Steps().through(range(PARTS))
    assert rests == [0, REST_S] * (PARTS + 1)  # the end is found in a step, too


async def test_who_has_rested_for_long_enough_goes_on(rests: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "IDLE_TURN_S", 0.0)
    monkeypatch.setattr(pauses, "RESTED_MAX", 0.0)
    await Steps().through(range(PARTS))
    assert rests == [0] * (TURNS * (PARTS + 1))


async def test_a_loop_with_nothing_else_to_do_goes_on(rests: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "IDLE_TURN_S", float("inf"))
    await Steps().through(range(PARTS))
    assert rests == [0] * (TURNS * (PARTS + 1))


async def test_work_comes_to_its_end_beside_others_that_never_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "STEP_S", 0.0)
    is_over, turns = asyncio.Event(), 0

    async def never_rests() -> None:
        nonlocal turns
        while not is_over.is_set():
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(never_rests())
    assert [part async for part in Steps().each(range(PARTS))] == list(range(PARTS))
    is_over.set()
    await other
    assert turns >= PARTS
