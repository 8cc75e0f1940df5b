"""The addresses behind a buyer's host name: looked up in the background, checked, and kept while they may be used."""

import asyncio
import ipaddress
import socket
import time
from dataclasses import dataclass
from typing import Any

from exchange.buyers.guard import is_public
from exchange.buyers.limits import Limits
from exchange.values.bid import Refusal
from exchange.values.reason import Reason

NAME_NOT_FOUND = Refusal(Reason.DNS_FAILED)
NAME_NOT_IN_TIME = Refusal(Reason.DNS_FAILED, "no answer in time")
NOT_PUBLIC = Refusal(Reason.ADDRESS_REFUSED)


@dataclass(frozen=True, slots=True)
class Address:
    """What a socket is connected to: the very address that has been checked."""

    family: socket.AddressFamily
    at: tuple[Any, ...]


class Resolver:
    """One host and port. The last good addresses stay in use while looking them up again fails."""

    def __init__(self, host: str, port: int, *, allow_private: bool, limits: Limits) -> None:
        self._host = host
        self._port = port
        self._allow_private = allow_private
        self._limits = limits
        self._addresses: tuple[Address, ...] = ()
        self._refusal = NAME_NOT_IN_TIME
        self._fresh_until_s = 0.0
        self._lookup: asyncio.Task[None] | None = None
        literal = _literal(host, port)
        if literal is not None:
            self._take((literal,))
            self._fresh_until_s = float("inf")

    async def addresses(self) -> tuple[Address, ...] | Refusal:
        """The addresses to connect to, in order, or why there are none."""
        if time.monotonic() >= self._fresh_until_s:
            if self._lookup is None:
                self._lookup = asyncio.get_running_loop().create_task(self._look_up())
            if not self._addresses:
                await asyncio.wait([self._lookup], timeout=self._limits.name_wait_s)
        return self._addresses or self._refusal

    @property
    def resting(self) -> bool:
        """Whether no lookup is under way."""
        return self._lookup is None

    async def close(self) -> None:
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.wait([self._lookup])

    async def _look_up(self) -> None:
        try:
            self._take(await resolve(self._host, self._port))
            self._fresh_until_s = time.monotonic() + self._limits.name_fresh_s
        except (OSError, ValueError):  # ValueError: a name that DNS cannot hold
            self._refusal = NAME_NOT_FOUND
            self._fresh_until_s = time.monotonic() + self._limits.name_retry_s
        finally:
            self._lookup = None

    def _take(self, found: tuple[Address, ...]) -> None:
        """Takes the answer, unless one of the addresses is one that buyers must not have."""
        allowed = self._allow_private or all(is_public(str(address.at[0])) for address in found)
        self._addresses = found if allowed else ()
        self._refusal = NAME_NOT_FOUND if allowed else NOT_PUBLIC


async def resolve(host: str, port: int) -> tuple[Address, ...]:
    """Asks the system, which asks DNS. Raises OSError or ValueError where there is no answer."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(Address(item[0], item[4]) for item in found)


def _literal(host: str, port: int) -> Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    if ip.version == 4:
        return Address(socket.AF_INET, (host, port))
    return Address(socket.AF_INET6, (host, port, 0, 0))
