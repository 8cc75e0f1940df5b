"""What a tree of processes has used, read from /proc: CPU time and peak memory."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
SERVICES = {"postgres", "valkey-server", "redis-server"}  # counted apart from the gateway that started them


def tree(roots: Iterable[int], mark: str = "") -> set[int]:
    """The processes `roots`, those with `mark` in their environment (daemons that left), and the children of all."""
    children: dict[int, list[int]] = {}
    everyone = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208  # thousands of names, no paths needed
    for pid in everyone:
        with suppress(OSError):
            children.setdefault(int(stat(pid)[1]), []).append(pid)
    found: set[int] = set()
    waiting = [*roots, *(pid for pid in everyone if mark and marked(pid, mark))]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def marked(pid: int, mark: str) -> bool:
    with suppress(OSError):
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: 0 state, 1 parent, 11-14 CPU ticks, 19 start time."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def cpu_ns(pids: Iterable[int]) -> int:
    """CPU time, user and system, of these processes and of the children they have already waited for.

    schedstat counts nanoseconds but loses threads that have ended; stat keeps them but counts ticks: the larger holds.
    """
    total = 0
    for pid in pids:
        with suppress(OSError):
            user, system, children_user, children_system = map(int, stat(pid)[11:15])
            threads = sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
            total += max((user + system) * TICK_NS, threads) + (children_user + children_system) * TICK_NS
    return total


def waited_ns(pids: Iterable[int]) -> int:
    """How long these processes were ready to run and something else had their CPU, all threads together."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += sum(int(path.read_text().split()[1]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return total


def peak_rss_mb(pids: Iterable[int]) -> float:
    """The sum of each process's own peak (VmHWM); pages they share are counted in each."""
    total_kb = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total_kb += int(line.split()[1])
    return total_kb / 1024


def end(pids: Iterable[int], patience_s: float = 5) -> None:
    """Ends these processes if they have not ended by themselves: asked first, then killed."""
    born = {}
    for pid in pids:
        with suppress(OSError):
            born[pid] = stat(pid)[19]
    for sign in (None, signal.SIGTERM, signal.SIGKILL):
        for pid in alive(born):
            if sign is not None:
                with suppress(OSError):
                    os.kill(pid, sign)
        deadline = time.monotonic() + patience_s
        while alive(born) and time.monotonic() < deadline:
            time.sleep(0.02)


def alive(born: dict[int, str]) -> list[int]:
    """Those still running: the same pid with the same start time, and not a zombie."""
    found = []
    for pid, start in born.items():
        with suppress(OSError):
            fields = stat(pid)
            if fields[19] == start and fields[0] != "Z":
                found.append(pid)
    return found
