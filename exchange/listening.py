"""The socket that gateways listen on, made by whoever starts them, and as many descriptors as there may be."""

import resource
import socket
from contextlib import suppress

BACKLOG = 4096


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that child processes may share. Raises OSError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio looks for it to set TCP_NODELAY
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def raise_descriptor_limit() -> None:
    """As many sockets as the system lets us have: every buyer connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems cap lower than they say; then the old limit holds
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
