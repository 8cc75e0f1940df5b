"""Processes that hold a lease, and a look at what runs for a data directory."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import asyncpg

from exchange.embedded.account import Credentials, server_account
from exchange.embedded.lease import hold

PATIENCE_S = 60.0
_HOLD = """
import signal, sys
from pathlib import Path
from exchange.embedded.lease import hold
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # whoever runs the tests may have some of them ignored
    signal.signal(number, signal.SIG_DFL)
with hold(Path(sys.argv[1])) as lease:
    print(lease.services.postgres_url, lease.services.valkey_url, flush=True)
    sys.stdin.read()
"""


@cache
def _cluster() -> Path:
    """A Postgres cluster that tests copy, which saves each the second that making one takes."""
    parent = Path(tempfile.mkdtemp(prefix="exchange-test-", dir="/tmp"))
    parent.chmod(0o755)
    atexit.register(shutil.rmtree, parent)
    hold(parent / "data").close()
    return parent / "data" / "postgres"


@contextmanager
def data_directory(name: str = "data", *, new: bool = False) -> Iterator[Path]:
    """A data directory with a cluster in it, or a `new` one, on a short path that everyone may pass through."""
    parent = Path(tempfile.mkdtemp(prefix="exchange-test-", dir="/tmp"))  # short, for the sockets
    parent.chmod(0o755)
    try:
        if not new:
            (parent / name).mkdir(parents=True)
            subprocess.run(["cp", "-a", str(_cluster()), str(parent / name)], check=True)
        yield parent / name
    finally:
        shutil.rmtree(parent)


class Holder:
    """A process that holds both servers until told to go, in a session of its own like one in another terminal."""

    def __init__(
        self,
        data_dir: Path,
        python: Sequence[str] = (sys.executable,),
        environment: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [*python, "-c", _HOLD, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env=environment,
            cwd="/",
            **(credentials or {}),
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._orders, self._says = self.process.stdin, self.process.stdout

    def urls(self) -> list[str]:
        """Waits until the servers answer. Postgres's URL and Valkey's."""
        return self._says.readline().split()

    def leave(self) -> None:
        self._orders.close()
        self.process.wait(PATIENCE_S)

    def interrupt(self) -> None:
        """What Ctrl-C in its terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._orders.close()
        self._says.close()


@contextmanager
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process under the servers' account that has nothing to do with them."""
    process = subprocess.Popen(["sleep", "60"], **server_account().credentials())
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Running:
    """A process as `ps` shows it."""

    pid: int
    parent: int
    uid: int
    command: str


def running(data_dir: Path) -> dict[str, list[Running]]:
    """The keepers, postgres and valkey that run for `data_dir`, and the children of postgres."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid=,ppid=,uid=,stat=,args="], capture_output=True, check=True)
    found: dict[str, list[Running]] = {"keeper": [], "postgres": [], "valkey": [], "children": []}
    everyone = []
    for line in os.fsdecode(listed.stdout).splitlines():
        pid, parent, uid, status, command = line.split(None, 4)
        if not status.startswith("Z"):
            everyone.append(Running(int(pid), int(parent), int(uid), command))
    marks = {
        "keeper": f"exchange.embedded.keeper {data_dir}",
        "postgres": f"/postgres -D {data_dir}/postgres ",
        "valkey": f"--dir {data_dir}/valkey ",
    }
    for name, mark in marks.items():
        found[name] = [process for process in everyone if mark in process.command]
    postmasters = {process.pid for process in found["postgres"]}
    found["children"] = [process for process in everyone if process.parent in postmasters]
    return found


def pid_of(data_dir: Path, name: str) -> int:
    (process,) = running(data_dir)[name]
    return process.pid


def eventually(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    until = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def nothing_runs(data_dir: Path) -> bool:
    return not any(running(data_dir).values())


async def write_row(postgres_url: str, number: int) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        await connection.execute("INSERT INTO kept VALUES ($1)", number)
    finally:
        await connection.close()


async def read_rows(postgres_url: str) -> list[int]:
    connection = await asyncpg.connect(postgres_url)
    try:
        return [row["number"] for row in await connection.fetch("SELECT number FROM kept ORDER BY number")]
    finally:
        await connection.close()
