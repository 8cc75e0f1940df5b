"""Which addresses a buyer may have: public ones, unless the operator allows private networks (demo, tests)."""

import asyncio
import ipaddress
import socket
import time
from dataclasses import dataclass

from exchange.values.reason import Reason

RESOLVED_FOR_S = 30.0

_EMBEDDING_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10")
)
"""Prefixes that carry an IPv4 address inside, or are site-local: `is_global` lets some of them through."""


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the internet could mean, in whatever spelling."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _EMBEDDING_NETWORKS):
            return False
    return ip.is_global and not ip.is_multicast


@dataclass(frozen=True, slots=True)
class _Verdict:
    reason: Reason | None
    until_s: float


class AddressGuard:
    """Says whether a host may be connected to; a host name is resolved, and the verdict kept for half a minute."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._verdicts: dict[str, _Verdict] = {}

    async def refusal(self, host: str, port: int) -> Reason | None:
        """`ADDRESS_REFUSED`, `DNS_FAILED`, or None where connecting is allowed."""
        if self._allow_private:
            return None
        known = self._verdicts.get(host)
        if known is None or known.until_s < time.monotonic():
            known = _Verdict(await self._judge(host, port), time.monotonic() + RESOLVED_FOR_S)
            self._verdicts[host] = known
        return known.reason

    async def _judge(self, host: str, port: int) -> Reason | None:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return Reason.DNS_FAILED
        return None if found and all(is_public(str(item[4][0])) for item in found) else Reason.ADDRESS_REFUSED
