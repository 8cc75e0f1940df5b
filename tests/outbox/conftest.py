"""A whole exchange for each file, with an empty outbox for each test."""

import pytest
from support.world import World


@pytest.fixture
def world(tidy_world: World) -> World:
    """The exchange of a file."""
    return tidy_world
