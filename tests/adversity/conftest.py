"""Bad buyers are met on both event loops: the one that serves, and Python's own."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import uvloop

sys.path.append(str(Path(__file__).parents[2] / "loadtests"))  # the bad buyers are those of the load test


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both loops for the engine alone; the one that serves for whole gateways."""
    return LOOPS if "bad_buyers" in item.path.name else {"uvloop": uvloop.new_event_loop}
