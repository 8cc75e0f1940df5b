"""The keeper: the one process per data directory that owns its servers, for as long as somebody holds a lease."""

import fcntl
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from exchange.embedded.account import Account, server_account
from exchange.embedded.places import Places, keeper_socket
from exchange.embedded.postgres import Postgres
from exchange.embedded.processes import POLL_S
from exchange.embedded.server import Server, log
from exchange.embedded.sockets import clear_sockets, listen
from exchange.embedded.valkey import Valkey
from exchange.errors import EmbeddedServiceError

ANOTHER_KEEPS = os.EX_TEMPFAIL
BYE, STOPPING = b"bye\n", b"stopping\n"  # what a holder, and what the keeper, says before it hangs up
FIRST_LEASE_S_MAX = 10.0
TICK_S = 2.0  # how soon it is noticed that the data directory was removed
LINE_BYTES_MAX = 4096
SERVERS: dict[str, type[Server]] = {"postgres": Postgres, "valkey": Valkey}


def main() -> int:
    """Returns in the foreground as soon as leases can be asked for, and keeps in the background.

    The status is 0, `ANOTHER_KEEPS` if the directory has its keeper already, or 1 with the reason on stderr.
    """
    places = Places.of(Path(sys.argv[1]))
    os.umask(0o077)
    os.chdir("/")
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # whatever the process that started us had blocked
    owner = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ANOTHER_KEEPS
    try:
        account = server_account()
        listener, sockets = listen(places, account)
    except (EmbeddedServiceError, OSError) as error:
        log(str(error))
        return 1
    if os.fork() == 0:
        _keep(Keeper(places, sockets, account, listener, owner))
    return 0


def _keep(keeper: "Keeper") -> NoReturn:
    try:
        keeper.run()
    except BaseException:  # noqa: BLE001  # the log is the only one who can be told
        log(traceback.format_exc())
        os._exit(1)
    os._exit(0)  # closes the connections of those who wait for it


class Keeper:
    """Starts servers when a lease asks for them, and stops them when the last lease is gone or a signal says so.

    A lease is a connection: one line of JSON asks, one answers, and its end, or `bye`, gives the lease back. A
    connection that said `bye` is closed when it is decided that others go on, or else when everything has stopped.
    All decisions are taken in the main thread; a thread per connection starts servers and waits.
    """

    def __init__(self, places: Places, sockets: Path, account: Account, listener: socket.socket, owner: int) -> None:
        self._places = places
        self._sockets = sockets
        self._account = account
        self._listener = listener
        self._owner = owner
        self._bell, self._ringer = socket.socketpair()
        self._told_by: signal.Signals | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # over the two sets and the notices
        self._leases: set[socket.socket] = set()
        self._leaving: set[socket.socket] = set()
        self._servers: dict[str, Server] = {}
        self._refusals: dict[str, str] = {}
        self._notices: list[str] = []

    def run(self) -> None:
        self._places.pid_file.write_text(f"{os.getpid()}\n")
        self._heed_signals()
        self._prepare()
        try:
            self._take_leases()
        finally:
            self._stop()

    def _heed_signals(self) -> None:
        self._ringer.setblocking(False)
        signal.set_wakeup_fd(self._ringer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._heed)

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        self._told_by = signal.Signals(number)  # no more: a handler that logs may interrupt a line of the log

    def _prepare(self) -> None:
        for name, kind in SERVERS.items():
            try:
                server = kind(self._places, self._sockets, self._account, self._stopping)
                self._notices += server.prepare()
            except (EmbeddedServiceError, OSError) as error:
                self._refusals[name] = str(error)
            else:
                self._servers[name] = server
        self._notices = list(dict.fromkeys(self._notices))
        for line in (*self._notices, *self._refusals.values()):
            log(line)

    def _take_leases(self) -> None:
        """Returns when the last lease is gone, nobody came for the first one, or a signal said stop."""
        first_lease_by = time.monotonic() + FIRST_LEASE_S_MAX
        while self._told_by is None:
            ready, _, _ = select.select([self._listener, self._bell], [], [], TICK_S)
            if self._bell in ready:
                self._bell.recv(4096)
            if self._listener in ready:
                self._admit()
            with self._lock:
                if not self._leases and (self._leaving or time.monotonic() > first_lease_by):
                    return
                left, self._leaving = self._leaving, set()
            for connection in left:
                connection.close()
            if not self._owns_directory():
                log("the data directory was removed")
                return
        log(f"told to stop by {self._told_by.name}")

    def _admit(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # gone again
        connection.setblocking(True)
        with self._lock:
            self._leases.add(connection)
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as lines:
                if request := lines.readline(LINE_BYTES_MAX):
                    answer = self._answer(json.loads(request), connection)
                    connection.sendall(json.dumps(answer).encode() + b"\n")
                    lines.readline(LINE_BYTES_MAX)  # returns at "bye", or when the holder has ended in whatever way
        except (OSError, ValueError) as error:
            log(f"a lease ended with {error!r}")
        finally:
            with self._lock:
                self._leases.discard(connection)
                self._leaving.add(connection)
            with suppress(BlockingIOError):  # it has been rung often enough
                self._ringer.send(b"\0")

    def _answer(self, request: dict[str, Any], connection: socket.socket) -> dict[str, Any]:
        """The URLs of the servers that were asked for, once they answer; or why not.

        Raises ConnectionAbortedError if whoever asked has left before: a start that nobody waits for is broken off.
        """
        names = [name for name in SERVERS if name in request["want"]]
        errors: list[str] = []
        starts = [threading.Thread(target=self._start, args=(name, errors), daemon=True) for name in names]
        for start in starts:
            start.start()
        while any(start.is_alive() for start in starts):
            for start in starts:
                start.join(POLL_S)
            if select.select([connection], [], [], 0)[0]:  # nothing is said before the answer: this is the end
                raise ConnectionAbortedError("its holder left before the servers had started")
        if errors:
            return {"error": "\n".join(errors)}
        with self._lock:
            notices, self._notices = self._notices, []
        return {"urls": {name: self._servers[name].url for name in names}, "notices": notices}

    def _start(self, name: str, errors: list[str]) -> None:
        try:
            if name in self._refusals:
                errors.append(self._refusals[name])
            else:
                self._servers[name].ensure_running()
        except EmbeddedServiceError as error:
            log(str(error))
            errors.append(str(error))
        except Exception as error:  # noqa: BLE001  # whoever asked must hear of it, and the keeper must go on
            log(traceback.format_exc())
            errors.append(f"{name}: {error!r}")

    def _stop(self) -> None:
        self._stopping.set()
        self._listener.close()
        with self._lock:
            leases = list(self._leases)
        for lease in leases:
            with suppress(OSError):  # it may have left by itself
                lease.send(STOPPING)  # so that nobody takes this for a crash
        stops = [threading.Thread(target=server.stop) for server in self._servers.values()]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()
        if self._owns_directory():
            keeper_socket(self._sockets).unlink(missing_ok=True)
            clear_sockets(self._places, self._sockets)
            self._places.pid_file.unlink(missing_ok=True)
        os.close(self._owner)  # before the last connections close, so that whoever waits for that may start anew

    def _owns_directory(self) -> bool:
        """Whether the data directory is still the one that was locked, not removed nor replaced."""
        try:
            return os.path.samestat(os.fstat(self._owner), self._places.lock.stat())
        except FileNotFoundError:
            return False


if __name__ == "__main__":
    sys.exit(main())
