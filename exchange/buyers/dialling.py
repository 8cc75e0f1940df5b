"""Dialling: from a host name to an open connection, each step with its own time and its own reason when it fails."""

import asyncio
import errno
import os
import socket
import ssl
import sys
from dataclasses import dataclass

from exchange.buyers.limits import Limits
from exchange.buyers.resolver import Address, Resolver
from exchange.values.bid import Refusal
from exchange.values.reason import Reason

ADDRESSES_TRIED_MAX = 2
ROUND_TRIP_GAIN = 1 / 8
"""How much of a slower connection is believed at a time: a busy moment is no distance."""

_RTT_OFFSET = 68
"""Where Linux's `struct tcp_info` has `tcpi_rtt`, four bytes of microseconds."""

NOT_IN_TIME = Refusal(Reason.CONNECT_FAILED, "no answer in time")
NO_SOCKET = Refusal(Reason.INTERNAL_ERROR, "no socket could be opened")


@dataclass(frozen=True, slots=True)
class Origin:
    """What connections are made to; calls to the same origin share them. `host` is also the name that TLS checks."""

    secure: bool
    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class Dialler:
    """Makes connections to one origin."""

    def __init__(self, origin: Origin, limits: Limits, tls: ssl.SSLContext, *, allow_private: bool) -> None:
        self._origin = origin
        self._limits = limits
        self._tls = tls
        self._resolver = Resolver(origin.host, origin.port, allow_private=allow_private, limits=limits)
        self._turn = 0
        self.round_trip_s = 0.0
        """How long the network takes there and back, as connecting has shown; 0 while that is not known."""

    async def dial(self, protocol: asyncio.Protocol) -> Refusal | None:
        """Opens one connection and hands it to a protocol; says why where it cannot."""
        connected = await self.connect()
        if isinstance(connected, Refusal):
            return connected
        return await self._start(connected, protocol)

    async def connect(self) -> socket.socket | Refusal:
        """Opens a connection that is the caller's, without TLS; says why where it cannot."""
        addresses = await self._resolver.addresses()
        return addresses if isinstance(addresses, Refusal) else await self._connect(addresses)

    @property
    def resting(self) -> bool:
        """Whether nothing goes on in the background."""
        return self._resolver.resting

    async def close(self) -> None:
        await self._resolver.close()

    async def _connect(self, addresses: tuple[Address, ...]) -> socket.socket | Refusal:
        """Tries a few addresses; one that failed comes last the next time."""
        count = min(len(addresses), ADDRESSES_TRIED_MAX)
        outcome: socket.socket | Refusal = NOT_IN_TIME
        for _ in range(count):
            outcome = await _connect(addresses[self._turn % len(addresses)], self._limits.connect_s / count)
            if not isinstance(outcome, Refusal):
                self.round_trip_s = round_trip(self.round_trip_s, _measured_s(outcome))
                break
            self._turn += 1
        return outcome

    async def _start(self, connected: socket.socket, protocol: asyncio.Protocol) -> Refusal | None:
        secure = self._origin.secure
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: protocol,
                sock=connected,
                ssl=self._tls if secure else None,
                server_hostname=self._origin.host.rstrip(".") if secure else None,
                ssl_handshake_timeout=self._limits.handshake_s if secure else None,
            )
        except OSError as error:  # ssl.SSLError is one, and what a handshake that takes too long raises
            return Refusal(Reason.TLS_FAILED if secure else Reason.CONNECT_FAILED, _said(error))
        return None


def round_trip(known_s: float, measured_s: float) -> float:
    """What to believe of the network's time after one more measurement: less at once, more only slowly."""
    if not known_s or measured_s <= known_s:
        return measured_s
    return known_s + (measured_s - known_s) * ROUND_TRIP_GAIN


async def _connect(address: Address, timeout_s: float) -> socket.socket | Refusal:
    try:
        opened = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError:
        return NO_SOCKET
    try:
        opened.setblocking(False)
        async with asyncio.timeout(timeout_s):
            await _established(opened, address)
    except OSError as error:
        opened.close()
        return NOT_IN_TIME if isinstance(error, TimeoutError) else Refusal(Reason.CONNECT_FAILED, _said(error))
    except BaseException:
        opened.close()
        raise
    return opened


async def _established(opened: socket.socket, address: Address) -> None:
    """Connects a socket that does not block. Raises OSError as `connect` does.

    The loop's own `sock_connect` would have a thread look the address up first, which is one already.
    """
    try:
        opened.connect(address.at)
    except BlockingIOError:
        loop = asyncio.get_running_loop()
        writable: asyncio.Future[None] = loop.create_future()
        loop.add_writer(opened, _wake, writable)
        try:
            await writable
        finally:
            loop.remove_writer(opened)
        if error := opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error)) from None


def _wake(writable: "asyncio.Future[None]") -> None:
    if not writable.done():
        writable.set_result(None)


def _measured_s(connected: socket.socket) -> float:
    """How long the first packet and its answer took, by the kernel's own clock; 0 where it does not say."""
    if not hasattr(socket, "TCP_INFO"):
        return 0.0
    found = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT_OFFSET + 4)
    return float(int.from_bytes(found[_RTT_OFFSET : _RTT_OFFSET + 4], sys.byteorder)) / 1_000_000


def _said(error: OSError) -> str:
    """What an operator needs of an error: "certificate has expired", "ECONNREFUSED"."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    if isinstance(error, ConnectionAbortedError) and error.errno is None:
        return "no handshake in time"  # how both event loops say it
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
