"""`exchange simulate chaos`: a market under fire on this machine, and the verdict of three witnesses."""

import asyncio
import logging
import secrets
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from rich.console import Console

from exchange.commands.session import say
from exchange.embedded.lease import hold
from exchange.errors import CommandError
from exchange.observe import logs
from exchange.simulation.chaos.checker import report
from exchange.simulation.chaos.run import Outcome, run
from exchange.simulation.chaos.stage import Wish


def simulate(console: Console, *, seconds: float, seed: int | None, gateways: int, folder: Path | None) -> bool:
    """Runs in a folder of its own, a temporary one unless one is given; True where no rule was broken."""
    logs.configure("error")
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="exchange-chaos-")))
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CommandError(f"{folder} is not empty: a run needs a folder of its own")
        lease = stack.enter_context(hold(folder / "data"))
        logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # its connections are cut on purpose
        wish = Wish(folder.resolve(), seconds, secrets.randbelow(2**31) if seed is None else seed, gateways)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(run(wish, lease.services, say))
    show(outcome, console)
    return not outcome.violations


def show(outcome: Outcome, console: Console) -> None:
    """The figures, then whatever was broken."""
    posts = ", ".join(f"{number} {state}" for state, number in sorted(outcome.posts.items()))
    faults = ", ".join(f"{number} x {name}" for name, number in sorted(outcome.faults.items()))
    for line in (
        f"seed {outcome.seed}: {outcome.seconds:.0f} s, of which {outcome.settled_s:.0f} s to settle",
        f"{outcome.leads} leads, {outcome.offers} offers, {outcome.waited} waited, posts: {posts}",
        f"{outcome.requests} requests, {outcome.unanswered} without an answer; {outcome.snapshots} snapshots",
        f"{sum(outcome.faults.values())} faults: {faults}",
        f"{len(outcome.violations)} violations",
    ):
        console.print(line, highlight=False, soft_wrap=True)
    if outcome.violations:
        console.print(report(outcome.violations), highlight=False, soft_wrap=True, markup=False)
