"""Tasks that go on for ever are stopped, also where somebody between swallows a cancellation."""

import asyncio
from contextlib import suppress

from exchange import background
from exchange.background import stop


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
