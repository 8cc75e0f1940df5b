"""More than one of everything: each part is killed in its turn under load, and the three witnesses agree."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chaos.hosts import under_fire, wish_for
from exchange.embedded.lease import Services
from exchange.simulation.chaos.checker import report

SEED = 20261128

needs_haproxy = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed: Debian has it")


@needs_haproxy
@pytest.mark.timeout(300)
async def test_every_part_may_be_killed_and_nothing_told_is_lost(servers: Services) -> None:  # noqa: ARG001  # programs
    with TemporaryDirectory(prefix="exchange-hosts-") as name:
        verdict = await under_fire(wish_for(Path(name), SEED))
    assert not verdict.violations, report(verdict.violations)
    sold = [post for post in verdict.witnesses.books.posts if post.state == "accepted"]
    assert len(sold) > 20
    assert verdict.snapshots > 5
    assert len({item.what for item in verdict.struck} & {"the balancer is killed"}) == 1
