"""How a process comes by a local Postgres and Valkey: it holds a lease on them, and they run while anybody does."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from exchange.embedded.asking import Grant, acquire
from exchange.embedded.keeper import STOPPING
from exchange.embedded.places import Places
from exchange.errors import EmbeddedServiceError

STOP_S_MAX = 40.0
RENEW_PAUSE_S_MAX = 30.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """Where the two servers are: what `asyncpg.connect` and `redis.asyncio.from_url` take."""

    postgres_url: str
    valkey_url: str


def hold(
    data_dir: Path, *, postgres_url: str | None = None, valkey_url: str | None = None, wait_s: float = 60
) -> "Lease":
    """Blocks until the servers of `data_dir` answer, for `wait_s` seconds at most, and holds them until closed.

    A server whose URL is given is not started; with both given nothing is, and `data_dir` is not touched.
    Raises EmbeddedServiceError, which names the log and what to set instead.
    """
    if postgres_url is not None and valkey_url is not None:
        return Lease(Services(postgres_url, valkey_url))
    places = Places.of(data_dir)
    wanted = [name for name, url in (("postgres", postgres_url), ("valkey", valkey_url)) if url is None]

    def grant() -> Grant:
        return acquire(places, wanted, wait_s)

    granted = grant()
    urls = granted.urls
    services = Services(postgres_url or urls["postgres"], valkey_url or urls["valkey"])
    return Lease(services, granted, grant)


class Lease:
    """The right to use the servers, until `close`, the end of the `with` block, or the end of the process.

    A keeper that is killed is replaced: the servers start again under the same URLs, and a connection pool recovers.
    `notices` says what had to be changed on this machine, for the person who started it.
    """

    def __init__(
        self, services: Services, granted: Grant | None = None, renew: Callable[[], Grant] | None = None
    ) -> None:
        self.services = services
        self.notices = granted.notices if granted else ()
        self._granted = granted
        self._renew = renew
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name="embedded-lease", daemon=True)
        if granted is not None:
            self._watcher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the servers back. If this was the last lease, returns when they have stopped. May be repeated."""
        with self._lock:
            first = not self._closing.is_set()
            self._closing.set()
            granted = self._granted
        if granted is None:
            return
        if first:
            granted.say_bye()
        self._watcher.join(STOP_S_MAX)
        if self._watcher.is_alive():
            _logger.error("the embedded servers have not stopped within %s s; see keeper.log", STOP_S_MAX)

    def _watch(self) -> None:
        """Reads until the keeper hangs up, and finds another one unless that was meant."""
        while (granted := self._granted) is not None:
            meant = self._read_out(granted)
            granted.hang_up()
            renewed = None if meant else self._find_another()
            if renewed is None:
                return
            with self._lock:
                self._granted = renewed
                if self._closing.is_set():
                    renewed.say_bye()

    def _read_out(self, granted: Grant) -> bool:
        """Returns when the keeper has hung up: whether we asked for it or it said so before."""
        announced = False
        try:
            for line in granted.lines:
                announced = announced or line == STOPPING
        except OSError as error:
            _logger.debug("the connection to the keeper ended with %r", error)
        if announced and not self._closing.is_set():
            _logger.warning("the embedded servers were told to stop")
        return announced or self._closing.is_set()

    def _find_another(self) -> Grant | None:
        pause_s = 1.0
        while self._renew is not None and not self._closing.is_set():
            _logger.warning("the keeper of the embedded servers was killed: starting another one")
            try:
                return self._renew()
            except EmbeddedServiceError:
                _logger.exception("the embedded servers could not be started again; next attempt in %g s", pause_s)
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, RENEW_PAUSE_S_MAX)
        return None
