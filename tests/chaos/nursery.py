"""A process that has the exchange imported already and forks its commands, each with what a test plants in it.

One line of JSON asks for a child and one answers with its id. All that is left of them ends with standard input.
"""

import gc
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

import exchange.commands.records
import exchange.commands.serving
import exchange.gateway
import exchange.plans
import exchange.rules.doubt
import exchange.worker
from chaos.killed_gateway import POINTS
from chaos.planted import BUGS
from exchange.cli import main


def tend() -> None:
    """Serves requests to the end."""
    gc.collect()
    gc.freeze()  # or the collector of each child would make memory that is shared its own
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: they leave nothing behind
    children = []
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            live(request)
        children.append(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def live(request: dict[str, Any]) -> NoReturn:
    """The child: one command, to its end."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.environ.clear()
        os.environ.update(request["environment"])
        log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for number in (1, 2):
            os.dup2(log, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        margin_s = request["margin_s"]
        exchange.plans.LEASE_MARGIN_S = margin_s
        exchange.rules.doubt.UNDER_WAY_S = margin_s
        exchange.worker.RECOVER_EVERY_S = 0.2
        exchange.worker.RECONCILE_EVERY_S = 0.2
        for name in request["plants"]:
            {**POINTS, **BUGS}[name]()
        sys.argv = ["exchange", *request["words"]]
        main()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(status)
    raise AssertionError


if __name__ == "__main__":
    tend()
