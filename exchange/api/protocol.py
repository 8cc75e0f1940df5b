"""The server's side of a connection: uvicorn's protocol, with a clock that starts at a request's first byte.

An ASGI application sees a request when its head is whole; by then a slow client may have used up the seller's time, or
hold a connection for ever. Here the first byte is noted for the deadline, and whoever does not finish is cut off.
"""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exchange.api.door import ARRIVED_S

HEAD_BYTES_MAX = 32_768


class DoorProtocol(HttpToolsProtocol):
    """A connection on which a request must be received within `receive_timeout_s`, its head within 32 KiB."""

    receive_timeout_s = 5.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._receiving = False
        self._head_is_whole = False
        self._head_bytes = 0
        self._cut: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._cut = self.loop.call_later(self.timeout_keep_alive, self._cut_off)  # for a first request to begin

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._head_is_whole:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._receiving:
            return
        if not self._head_is_whole and self._head_bytes > HEAD_BYTES_MAX:
            self._cut_off()
        elif self._cut is None:  # most requests come whole, and need no clock
            self._cut = self.loop.call_later(self.receive_timeout_s, self._cut_off)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stop_clock()
        self._receiving, self._head_is_whole = True, False
        self.scope[ARRIVED_S] = time.monotonic()  # type: ignore[literal-required]  # an extension of ours

    def on_headers_complete(self) -> None:
        self._head_is_whole, self._head_bytes = True, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._receiving = self._head_is_whole = False
        self._stop_clock()
        super().on_message_complete()

    def _stop_clock(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def _cut_off(self) -> None:
        """Hangs up. What the application had begun for this request sees that its client is gone."""
        self._cut = None
        if not self.transport.is_closing():
            self.transport.abort()


def door_protocol(receive_timeout_s: float) -> type[DoorProtocol]:
    """The protocol with another time to receive a request in; uvicorn makes the instances, so it is a class."""
    return type("DoorProtocol", (DoorProtocol,), {"receive_timeout_s": receive_timeout_s})
