"""Ports of 127.0.0.1 that nobody listens on, for what is started beside an exchange."""

import secrets
import socket

HOST = "127.0.0.1"
FIRST, END = 10_000, 32_000
"""Below the ports that systems give to clients by themselves: such a port may be taken before anybody listens on it."""


def is_free(port: int) -> bool:
    """Whether a port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(wanted: int | None = None) -> int:
    """The wanted port, or any where it is taken."""
    return free_ports(1, wanted)


def free_ports(count: int, wanted: int | None = None) -> int:
    """The first of `count` neighbouring ports that nobody listens on. Raises OSError where there are none.

    `wanted` is the first of those that would do best. The others are looked for from a random place on, so that two
    programs that look at the same moment do not find the same.
    """
    if wanted is not None and _are_free(wanted, count):
        return wanted
    places = (END - FIRST) // count
    begin = secrets.randbelow(places)
    for number in range(places):
        first = FIRST + (begin + number) % places * count
        if _are_free(first, count):
            return first
    raise OSError(f"there are no {count} free ports in a row")


def _are_free(first: int, count: int) -> bool:
    return all(is_free(port) for port in range(first, first + count))
