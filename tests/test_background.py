"""Tasks that go on for ever are stopped, also where somebody between swallows a cancellation."""

import asyncio
from contextlib import suppress

from exchange import background
from exchange.background import AtOnce, stop


async def for_ever() -> None:
    await asyncio.Event().wait()


async def swallows(times: int) -> None:
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await for_ever()


async def test_tasks_are_stopped_also_after_a_swallowed_cancellation() -> None:
    tasks = [asyncio.create_task(work) for work in (for_ever(), swallows(2))]
    await asyncio.sleep(0)
    await stop(tasks)
    assert all(task.cancelled() for task in tasks)


async def test_one_that_never_stops_is_not_waited_for() -> None:
    task = asyncio.create_task(swallows(50))
    await asyncio.sleep(0)
    before, background.STOP_S = background.STOP_S, 0.5
    try:
        await stop([task])
    finally:
        background.STOP_S = before
    assert not task.done()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)


async def test_nothing_to_stop_is_fine() -> None:
    await stop([])


async def test_so_much_is_under_way_at_once_and_no_more() -> None:
    running, go_on, begun = AtOnce(2), asyncio.Event(), iter([2, 0, 1, 0])

    async def waits() -> None:
        await go_on.wait()

    async def begin() -> int:
        if running.room == 0:
            go_on.set()
            return 0
        count = next(begun)
        for number in range(count):
            running.start(waits(), f"no. {number}")
        return count

    await running.work_off(begin, asyncio.Event())
    await running.rest()
    assert (running.room, running.names, list(begun)) == (2, set(), [1, 0])


async def test_what_is_under_way_has_a_name_and_a_while_to_end() -> None:
    running, stopped = AtOnce(3), []

    async def ends_soon() -> None:
        await asyncio.sleep(0)

    async def never_ends() -> None:
        try:
            await for_ever()
        finally:
            stopped.append("never")

    running.start(ends_soon(), "soon")
    running.start(never_ends(), "never")
    assert (running.room, running.names) == (1, {"soon", "never"})
    await running.close(0.01)
    assert stopped == ["never"]
    await asyncio.sleep(0)
    assert running.names == set()
