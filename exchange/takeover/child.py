"""The process that reads markets for a gateway, so that its pings need not share an interpreter with that.

It is started as `python -m exchange.takeover.child` with a socket as standard input. For each request, a Postgres URL
and whether there is a mail server, it reads the newest market and answers with its pieces. It ends with its gateway,
when the socket closes. Where CPUs are short it comes last: pings must not wait for one because of it.
"""

import asyncio
import ctypes
import gc
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, Self

import orjson
import structlog

from exchange.errors import MarketFileError, StorageUnavailable
from exchange.marketfile.again import Rereader
from exchange.observe import logs
from exchange.settings import secret_environment
from exchange.storage import catalogue
from exchange.storage.catalogue import MarketText
from exchange.storage.database import Database
from exchange.takeover.frames import framed, read_frame
from exchange.takeover.packing import Packing
from exchange.takeover.taking import Answer, Kept, Ours, Taken, Unavailable, Unreadable, entries_of, taken_up
from exchange.values.market import Market

POSTGRES_TIMEOUT_S: Final = 10.0

NICE: Final = 5
"""How far it stands back: enough for who wakes up not to wait for its turn to end.

Beside another process that is never idle it still has a quarter of a CPU, and all of one that is.
"""

AUTOGROUP: Final = Path("/proc/self/autogroup")
"""Where Linux groups processes by session, niceness counts only within a group: then that of the group matters."""

TRIES: Final = 5

_END: Final = b""
"""After the last piece."""

log = structlog.get_logger(__name__)


def main() -> None:
    logs.configure()
    stand_back()
    gc.collect()
    gc.freeze()
    with closing(socket.socket(fileno=os.dup(0))) as line:
        requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(line, requests), daemon=True).start()
        reading = _Reading()
        try:
            while True:
                reading.answer(line, *orjson.loads(requests.get()))
                give_back()
        except Exception:
            log.exception("market_not_read")  # without its text, which may quote a secret; the gateway sees the end
            sys.exit(1)


def stand_back(by: int = NICE) -> None:
    """Lets all other processes have a CPU first that they and this one want, which has a session of its own."""
    os.nice(by)
    for _ in range(TRIES):
        try:
            AUTOGROUP.write_text(str(by))
        except BlockingIOError:  # Linux grants one such wish of all processes in a tenth of a second
            time.sleep(0.1)
        except OSError:  # no such file: niceness counts
            return
        else:
            return


def give_back() -> None:
    """Gives the memory that is free by now back to the system, where the C library does that when asked: 20 MiB."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _listen(line: socket.socket, requests: "queue.SimpleQueue[bytes]") -> None:
    """Takes requests, and ends the process with its gateway, whatever it is doing then."""
    with line.makefile("rb") as file:
        while (request := read_frame(file)) is not None:
            requests.put(request)
    os._exit(0)


class _Reading:
    """Reads one market after another, and remembers what it made of the last one."""

    def __init__(self) -> None:
        self._rereader = Rereader()
        self._kept = Kept()
        self._known: list[object] = []

    def answer(self, line: socket.socket, url: str, can_mail: bool) -> None:
        gc.disable()  # what is made here has no cycles, and all of it would be walked again and again
        try:
            with _Sender(line) as sender:
                packing = Packing(self._known)
                found = self._found(url, can_mail, lambda market: sender.send(packing.ahead(market)))
                sender.send(packing.whole(found))
            if isinstance(found, Taken):
                self._kept, self._known = Kept.of(found), entries_of(found)
        finally:
            gc.enable()

    def _found(self, url: str, can_mail: bool, was_read: Callable[[Market], None]) -> Answer:
        try:
            found = asyncio.run(_newest(url))
            if found is None:
                return None
            market = self._rereader.read(orjson.loads(found.text))
        except StorageUnavailable as error:
            return Unavailable(str(error))
        except MarketFileError as error:
            return Unreadable(error.problems)
        was_read(market)
        return taken_up(found, market, Ours(secret_environment(), can_mail), self._kept)


class _Sender:
    """Sends pieces in a thread: work goes on while the gateway takes its time with them."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pieces.put(_END)
        self._thread.join()

    def send(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._pieces.put(framed(piece))

    def _work(self) -> None:
        """Sends all that there is at once: for each call it has to wait for its turn."""
        is_over = False
        while not is_over:
            found = [self._pieces.get()]
            with suppress(queue.Empty):
                while True:
                    found.append(self._pieces.get_nowait())
            is_over = found[-1] is _END
            with suppress(OSError):  # the gateway has gone, and with it this process
                self._line.sendall(b"".join(found))


async def _newest(url: str) -> MarketText | None:
    database = await Database.connect(url, connections_max=1, timeout_s=POSTGRES_TIMEOUT_S, name="exchange market")
    try:
        return await catalogue.newest_text(database)
    finally:
        await database.close()


if __name__ == "__main__":
    main()
