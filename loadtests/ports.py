"""Ports of 127.0.0.1 for the buyers and gateways of load tests, such that two runs at once do not want the same."""

import os

from exchange.commands.demo import is_free

FIRST, END = 10_000, 32_000  # below those that systems give away by themselves
STRIDE = 127


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports that nobody listens on; where it looks first is this process's own."""
    places = (END - FIRST - count) // STRIDE
    for number in range(places):
        first = FIRST + (os.getpid() + number) % places * STRIDE
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise OSError(f"there are no {count} free ports in a row")
