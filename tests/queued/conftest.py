"""A whole exchange with a queue, and a worker's part that offers what waits there."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.queue import MASTER_KEY, offering
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.waiting import WaitingLeads


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(shared_services: Services, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(shared_services, tmp_path_factory.mktemp("queue"), master_key=MASTER_KEY) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def offerer(opened: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WaitingLeads]:
    async with offering(opened, tmp_path_factory.mktemp("worker")) as waiting:
        yield waiting


@pytest_asyncio.fixture(loop_scope="module")
async def world(opened: World) -> World:
    """The exchange of this file, with an empty queue and outbox, and no person sold before."""
    await opened.rows("delete from queued_leads")
    await opened.rows("delete from outbox")
    await opened.rows("delete from fingerprints")
    return opened
