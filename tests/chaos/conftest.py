"""A nursery for the processes of a run of tests, and an arena for each test."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chaos.arena import Arena, Nursery, open_arena
from exchange.embedded.lease import Services

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
    with subprocess.Popen(
        [sys.executable, "-m", "chaos.nursery"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
        cwd=TESTS.parent,
    ) as process:
        yield Nursery(process)


@pytest.fixture
async def arena(services: Services, tmp_path: Path, nursery: Nursery) -> AsyncIterator[Arena]:
    async with open_arena(services, tmp_path, nursery) as opened:
        yield opened
