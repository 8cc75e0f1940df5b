"""Which addresses a buyer may have: public ones, unless the operator allows private networks (demo, tests)."""

import ipaddress

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
