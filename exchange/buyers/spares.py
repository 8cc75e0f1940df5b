"""Connections that posts have left open, for the next post to the same buyer, while he is sure to keep them."""

import asyncio
import time
from typing import Final

from exchange.buyers.connection import Connection

KEPT_SHARE: Final = 0.5
"""Of the time for which a buyer keeps an idle connection: his clock began before ours, and his farewell travels."""

KEPT_MAX: Final = 16
"""Idle connections to one buyer; what is more is closed."""


class Spares:
    """The idle connections to one origin."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Connection, float] = {}  # until when each may be used, the one that was left last at the end
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self) -> Connection | None:
        """An open connection that the buyer still keeps: the one that was left last."""
        now_s = time.monotonic()
        while self._idle:
            connection, until_s = self._idle.popitem()
            if now_s < until_s:
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection, keep_alive_s: float) -> None:
        """Keeps a connection that has just been answered on, of a buyer who keeps it for `keep_alive_s` seconds."""
        if len(self._idle) >= KEPT_MAX or keep_alive_s <= 0:
            connection.close()
            return
        self._idle[connection] = time.monotonic() + keep_alive_s * KEPT_SHARE
        self._sweep_later()

    def forget(self, connection: Connection) -> None:
        """It has been closed, by whomever."""
        self._idle.pop(connection, None)

    def close(self) -> None:
        """Closes all of them."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._idle):
            connection.close()

    def _sweep_later(self) -> None:
        if self._sweeper is None and self._idle:
            left_s = min(self._idle.values()) - time.monotonic()
            self._sweeper = self._loop.call_later(max(left_s, 0.0), self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now_s = time.monotonic()
        for connection in [connection for connection, until_s in self._idle.items() if until_s <= now_s]:
            connection.close()
        self._sweep_later()
