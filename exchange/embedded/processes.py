"""Processes by their id: is it still the one we mean, and how it is made to end."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

POLL_S = 0.01

StopSteps = Sequence[tuple[signal.Signals, float]]
"""Signals in the order in which they are tried, each with the seconds that it is given."""


def stop(alive: Callable[[], bool], send: Callable[[signal.Signals], None], steps: StopSteps) -> bool:
    """Sends one signal after the other until the process has ended. False if it outlived them all."""
    for number, patience_s in steps:
        if not alive():
            return True
        try:
            send(number)
        except ProcessLookupError:
            return True
        until = time.monotonic() + patience_s
        while alive() and time.monotonic() < until:
            time.sleep(POLL_S)
    return not alive()


def stop_leftover(pid: int, marks: Sequence[str], steps: StopSteps) -> bool | None:
    """Stops a process that an earlier keeper left behind, if the command line of `pid` holds one of `marks`.

    None if it holds none (the id may have passed to somebody else), False if it could not be stopped.
    """

    def alive() -> bool:
        command = f" {_command(pid)} "
        return any(mark in command for mark in marks)

    if not alive():
        return None
    return stop(alive, lambda number: os.kill(pid, number), steps)


def read_pid(file: Path) -> int | None:
    """The process id on the first line of `file`, if there is one."""
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _command(pid: int) -> str:
    """The command line of a process, its words joined by blanks; empty if there is no such process."""
    if Path("/proc/self/cmdline").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return os.fsdecode(words.rstrip(b"\0").replace(b"\0", b" "))
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    told = subprocess.run(command, capture_output=True, timeout=10, check=False)  # noqa: S603  # no shell, one number
    return os.fsdecode(told.stdout.rstrip(b"\n"))
