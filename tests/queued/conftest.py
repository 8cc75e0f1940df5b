"""A whole exchange with a queue, and a worker's part that offers what waits there."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.queue import offering
from support.world import World

from exchange.waiting import WaitingLeads


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def offerer(keyed_world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WaitingLeads]:
    async with offering(keyed_world, tmp_path_factory.mktemp("worker")) as waiting:
        yield waiting


@pytest_asyncio.fixture(loop_scope="module")
async def world(tidy_world: World) -> World:
    """The exchange of this file, with an empty queue too, and no person sold before."""
    await tidy_world.rows("delete from queued_leads")
    await tidy_world.rows("delete from fingerprints")
    return tidy_world
