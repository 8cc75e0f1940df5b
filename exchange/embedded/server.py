"""What Postgres and Valkey have in common: launched, awaited, watched, started again after a crash, stopped."""

import os
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from exchange.embedded.account import Account
from exchange.embedded.places import Places, log_size, log_tail, open_log
from exchange.embedded.processes import POLL_S, StopSteps, read_pid, stop, stop_leftover
from exchange.errors import EmbeddedServiceError

RESTART_PAUSE_S_MAX = 30.0
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}  # nothing of the caller's leaks into a server

# A program records its own id before it is itself, so that none is unknown to the next keeper if this one is killed.
_RECORDED = ("/bin/sh", "-c", 'echo $$; exec "$@" >&2', "sh")


def log(text: str) -> None:
    """A line in the keeper's log."""
    with suppress(OSError):  # a full disk must not stop what the log is about
        sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")
        sys.stderr.flush()


class Server(ABC):
    """One server of a data directory. `ensure_running` and `stop` may be called from any thread."""

    title: ClassVar[str]
    setting: ClassVar[str]  # what names a server of the caller's own instead
    stop_steps: ClassVar[StopSteps]

    def __init__(self, places: Places, sockets: Path, account: Account, stopping: threading.Event) -> None:
        self.places = places
        self.sockets = sockets
        self.account = account
        self._stopping = stopping
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    @abstractmethod
    def log_file(self) -> Path: ...

    @property
    @abstractmethod
    def marks(self) -> list[str]:
        """What the command lines of our programs hold, and no other's: the data directory."""

    @property
    def pid_file(self) -> Path:
        """The last program that was started, for the next keeper if this one is killed."""
        return self.log_file.with_suffix(".pid")

    @abstractmethod
    def prepare(self) -> list[str]:
        """Makes the server's directories and opens the way to them and to its programs: a notice for each opened one.

        Called once, before there are threads.
        """

    @abstractmethod
    def _start(self) -> None:
        """Launches the server and returns when it answers."""

    def ensure_running(self) -> None:
        """Starts the server unless it runs. Raises EmbeddedServiceError with the last lines of its log."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            began = time.monotonic()
            self._log_start = log_size(self.log_file)
            try:
                self._start()
            except OSError as error:
                raise self.failure(str(error)) from error
            log(f"{self.title} answers after {time.monotonic() - began:.2f} s")
            threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def stop(self) -> None:
        """Stops the server, with ever stronger signals. The caller has set `stopping` before."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return
            began = time.monotonic()
            stopped = self._end(self._process)
            how = "stopped" if stopped else "could not be stopped"
            log(f"{self.title} {how}, {time.monotonic() - began:.2f} s")

    def failure(self, why: str) -> EmbeddedServiceError:
        tail = log_tail(self.log_file, self._log_start)
        said = f"\nThe last lines of {self.log_file}:\n{tail}" if tail else f"\nIts log is {self.log_file}."
        return EmbeddedServiceError(
            f"{self.title} could not be started in {self.places.data_dir}: {why}.{said}\n"
            f"Set {self.setting} to use a server of your own instead."
        )

    def _stop_leftover(self, pid_file: Path) -> None:
        """Stops what an earlier keeper, killed before its time, has left running."""
        pid = read_pid(pid_file)
        stopped = None if pid is None else stop_leftover(pid, self.marks, self.stop_steps)
        if stopped is False:
            raise self.failure(f"process {pid}, left behind by an earlier run, cannot be stopped")
        if stopped:
            log(f"stopped process {pid} of {self.title}, left behind by an earlier run")

    def _launch(
        self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        self._process = self._spawn(command, environment)
        return self._process

    def _spawn(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        output = open_log(self.log_file)
        record = os.open(self.pid_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603  # our own programs; the shell's text is constant
                [*_RECORDED, *command],
                stdin=stdin,
                stdout=record,
                stderr=output,
                cwd="/",
                env={**_ENVIRONMENT, **(environment or {})},
                umask=0o077,
                **self.account.credentials(),
            )
        finally:
            os.close(output)
            os.close(record)

    def _run(self, command: Sequence[str | Path], text: bytes = b"") -> None:
        """Runs a tool to its end, its output in the log. Raises EmbeddedServiceError if it fails."""
        source, pipe = os.pipe()
        os.write(pipe, text)  # a line at most: far less than a pipe takes
        os.close(pipe)
        try:
            process = self._spawn(command, stdin=source)
        finally:
            os.close(source)
        while process.poll() is None:
            time.sleep(POLL_S)
            self._heed_stopping(process)
        if process.returncode != 0:
            raise self.failure(f"{Path(command[0]).name} ended with status {process.returncode}")

    def _await(
        self, process: subprocess.Popen[bytes], ready: Callable[[], bool], patience_s: float = float("inf")
    ) -> None:
        """Returns when the launched server is `ready`. Raises EmbeddedServiceError if it ends before."""
        until = time.monotonic() + patience_s
        while not ready():
            if process.poll() is not None:
                raise self.failure(f"it ended with status {process.returncode}")
            if time.monotonic() > until:
                self._end(process)
                raise self.failure(f"no answer within {patience_s:g} s")
            time.sleep(POLL_S)
            self._heed_stopping(process)

    def _heed_stopping(self, process: subprocess.Popen[bytes]) -> None:
        if self._stopping.is_set():
            self._end(process)
            raise self.failure("it was told to stop while it started")

    def _end(self, process: subprocess.Popen[bytes]) -> bool:
        return stop(lambda: process.poll() is None, process.send_signal, self.stop_steps)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Starts the server again when it ends without having been told to, less and less often if that fails."""
        status = process.wait()
        pause_s = 1.0
        while not self._stopping.is_set():
            log(f"{self.title} ended by itself with status {status}: starting it again in {pause_s:g} s")
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, RESTART_PAUSE_S_MAX)
            try:
                if not self._stopping.is_set():
                    self.ensure_running()
            except EmbeddedServiceError as error:
                log(str(error))
            else:
                return
