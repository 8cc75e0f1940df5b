"""One whole run under fire, as `exchange simulate chaos` makes it, with leases that run out within the test."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from chaos import short_leases
from exchange.embedded.lease import hold
from exchange.simulation.chaos.checker import report
from exchange.simulation.chaos.processes import python
from exchange.simulation.chaos.run import Outcome, run
from exchange.simulation.chaos.stage import Wish

SECONDS = 60.0


def under_fire(seed: int, seconds: float = SECONDS) -> Outcome:
    """Not below pytest's own folder: as root Postgres is another user, who may not pass through it."""
    with TemporaryDirectory(prefix="exchange-chaos-") as name:
        folder = Path(name).resolve()
        program = python(str(Path(short_leases.__file__)))
        wish = Wish(folder, seconds, seed, program=program, lease_margin_s=short_leases.MARGIN_S)
        with hold(folder / "data") as lease, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sys.stdout.write(f"seed {seed}\n")
            return runner.run(run(wish, lease.services, lambda _: None))


def judge(outcome: Outcome) -> None:
    """Everything happened that should have, and nothing was broken."""
    assert not outcome.violations, f"seed {outcome.seed}\n{report(outcome.violations)}"
    assert outcome.posts["accepted"] > 20
    assert outcome.waited > 0
    assert outcome.snapshots > 5
    assert sum(outcome.faults.values()) > 3
