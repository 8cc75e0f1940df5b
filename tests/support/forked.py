"""A process that has imported what commands need, and forks each command that comes to an end by itself.

A command is a process all the same, run as `python -m exchange.cli` runs it; only the second that an interpreter takes
to import everything is spent once. Started as a program, it serves the socket that it is given.
"""

import asyncio
import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn

REQUEST_BYTES_MAX = 200_000
PRELOADED = (
    *("typer", "rich.console", "rich.table", "exchange.commands.session"),
    *(f"exchange.commands.{name}" for name in ("backtest", "breakers", "buyers", "cases", "doctor", "explain")),
    *(f"exchange.commands.{name}" for name in ("market", "outbox", "queue", "records", "versions")),
)
"""Not `exchange.cli` itself: its consoles look at the environment when it is imported."""


class Forks:
    """The tests' side: asks for commands."""

    def __init__(self) -> None:
        self._asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # out of reach of the terminal's Ctrl-C
            )

    def close(self) -> None:
        self._asking.close()
        self._process.wait(30)

    async def run(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path, said: str | None, within_s: float
    ) -> tuple[int, str, str]:
        """A command's exit status and what it wrote on both streams; `said` is what it reads."""
        ours, theirs = socket.socketpair()
        with ours, TemporaryFile() as read, TemporaryFile() as out, TemporaryFile() as err:
            read.write((said or "").encode())
            read.seek(0)
            with theirs:
                request = {"words": words, "environment": dict(environment), "folder": str(folder)}
                streams = [item.fileno() for item in (read, out, err, theirs)]
                socket.send_fds(self._asking, [json.dumps(request).encode()], streams)
            ours.setblocking(False)
            pid = 0
            try:
                async with asyncio.timeout(within_s):
                    pid = await _number(ours)
                    status = await _number(ours)
            except TimeoutError:
                if pid:
                    os.killpg(pid, signal.SIGKILL)
                raise
            return status, _text(out), _text(err)


@cache
def forks() -> Forks:
    """The one of this run."""
    return Forks()


def close_forks() -> None:
    """Ends it, if there is one."""
    if forks.cache_info().currsize:
        forks().close()
        forks.cache_clear()


async def _number(connection: socket.socket) -> int:
    """The next number said, in eight bytes."""
    said = b""
    while len(said) < 8:
        more = await asyncio.get_running_loop().sock_recv(connection, 8 - len(said))
        assert more, "the process that forks commands has ended"
        said += more
    return int.from_bytes(said, "big", signed=True)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


def tend(asked: socket.socket) -> None:
    """Serves requests. Returns in each command's own process, which is all set to run it, and never here."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or the collector of each command would make memory that is shared its own
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever awaits a command leaves nothing behind
    while True:
        request, descriptors, *_ = socket.recv_fds(asked, REQUEST_BYTES_MAX, 4)
        if not request:
            os._exit(0)  # nobody asks any more
        *streams, reply = descriptors
        if os.fork() == 0:
            asked.close()
            _await_one(json.loads(request), streams, socket.socket(fileno=reply))
            return
        for descriptor in (*streams, reply):
            os.close(descriptor)


def _await_one(request: Mapping[str, Any], streams: Sequence[int], reply: socket.socket) -> None:
    """Forks a command and says its id and its exit status. Returns in the command's process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    command = os.fork()
    if command:
        reply.send(command.to_bytes(8, "big"))
        status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        with suppress(BrokenPipeError):  # nobody waits for it any more
            reply.send(status.to_bytes(8, "big", signed=True))
        os._exit(0)
    reply.close()
    os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[1:] = request["words"]


def live() -> NoReturn:
    """The command, to its end. Its memory is left as it is: to take apart what was shared costs more than all else."""
    status = 1
    try:
        runpy.run_module("exchange.cli", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Exception:  # noqa: BLE001  # as an interpreter ends
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    raise AssertionError


if __name__ == "__main__":
    tend(socket.socket(fileno=int(sys.argv[1])))
    live()
