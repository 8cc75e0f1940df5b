"""Who has had a CPU: what a process has worked, how long it was ready to while others did, and an equal load beside.

All of it is Linux's: `/proc/PID/schedstat` is of a process's first thread, in which a gateway has its event loop.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from exchange.takeover.child import stand_back


class Cpu(NamedTuple):
    """What a process has had of the CPUs since it was started, in milliseconds."""

    worked_ms: float
    waited_ms: float

    def since(self, before: "Cpu") -> "Cpu":
        return Cpu(self.worked_ms - before.worked_ms, self.waited_ms - before.waited_ms)


def cpu_of(pid: int) -> Cpu:
    worked_ns, waited_ns, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return Cpu(int(worked_ns) / 1e6, int(waited_ns) / 1e6)


def children_of(pid: int) -> list[int]:
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == pid]


def child_of(pid: int, said: bytes) -> int | None:
    """The child with this in its command line, None where there is none."""
    found = (child for child in children_of(pid) if said in Path(f"/proc/{child}/cmdline").read_bytes())
    return next(found, None)


def _parent(path: Path) -> int:
    try:
        return int(path.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@contextmanager
def burner(work_ms: float) -> Iterator[None]:
    """While this lasts another process takes so much of a CPU as a reader of markets does, and stands back like it."""
    command = [sys.executable, __file__, str(work_ms)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work_ms", type=float)
    options = parser.parse_args()
    stand_back()
    begun = cpu_of(os.getpid()).worked_ms
    while cpu_of(os.getpid()).worked_ms - begun < options.work_ms:
        began_s = time.thread_time()
        while time.thread_time() - began_s < 0.01:
            pass


if __name__ == "__main__":
    main()
