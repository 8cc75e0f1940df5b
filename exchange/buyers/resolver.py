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
        self._found: tuple[Address, ...] | Refusal | None = None
        self._fresh_until_s = 0.0
        self._lookup: asyncio.Task[None] | None = None
        literal = _literal(host, port)
        if literal is not None:
            self._found = self._checked((literal,))
            self._fresh_until_s = float("inf")

    async def addresses(self) -> tuple[Address, ...] | Refusal:
        """The addresses to connect to, in order, or why there are none."""
        if self._found is not None and time.monotonic() < self._fresh_until_s:
            return self._found
        if self._lookup is None:
            self._lookup = asyncio.get_running_loop().create_task(self._look_up())
        if isinstance(self._found, tuple):
            return self._found
        await asyncio.wait([self._lookup], timeout=self._limits.name_wait_s)
        return NAME_NOT_IN_TIME if self._found is None else self._found

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
            found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._found = self._checked(tuple(Address(item[0], item[4]) for item in found))
            self._fresh_until_s = time.monotonic() + self._limits.name_fresh_s
        except (OSError, ValueError):  # ValueError: a name that DNS cannot hold
            self._found = self._found if isinstance(self._found, tuple) else NAME_NOT_FOUND
            self._fresh_until_s = time.monotonic() + self._limits.name_retry_s
        finally:
            self._lookup = None

    def _checked(self, found: tuple[Address, ...]) -> tuple[Address, ...] | Refusal:
        if self._allow_private or all(is_public(str(address.at[0])) for address in found):
            return found or NAME_NOT_FOUND
        return NOT_PUBLIC


def _literal(host: str, port: int) -> Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    if ip.version == 4:
        return Address(socket.AF_INET, (host, port))
    return Address(socket.AF_INET6, (host, port, 0, 0))
