"""Where the sockets of a data directory are when its path does not suit a Unix socket, and listening there."""

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from exchange.embedded.account import Account
from exchange.embedded.places import Places, keeper_socket, own_directory, postgres_socket_dir
from exchange.errors import EmbeddedServiceError

SOCKET_PATH_BYTES_MAX = 100  # Linux takes 107, macOS 103
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./~-]+")  # what needs no escaping in a URL or a server's settings


def listen(places: Places, account: Account) -> tuple[socket.socket, Path]:
    """Listens in the first directory that can hold sockets, and says which one it is."""
    refused = []
    for home in _homes(places):
        listener = socket.socket(socket.AF_UNIX)
        try:
            _settle(places, home)
            own_directory(home, account.outer_mode)
            keeper_socket(home).unlink(missing_ok=True)
            listener.bind(str(keeper_socket(home)))
        except OSError as error:  # a shared folder, for one, takes no sockets
            listener.close()
            refused.append(f"{home}: {error}")
            continue
        listener.listen(128)
        listener.setblocking(False)
        return listener, home
    raise EmbeddedServiceError(
        "; ".join(refused)
        or f"{places.run} does not suit a Unix socket, nor does {tempfile.gettempdir()}: set TMPDIR to a short path"
    )


def clear_sockets(places: Places, home: Path) -> None:
    """Removes a stand-in, so that nothing is left lying about outside the data directory."""
    if home != places.run:
        places.run.unlink(missing_ok=True)
        shutil.rmtree(home, ignore_errors=True)  # what stays is verified before it is used again


def _homes(places: Places) -> Iterator[Path]:
    """Directories that the sockets could be in, best first: in use already, in the data directory, short ones."""
    if (known := places.sockets()) is not None and known != places.run:
        yield known
    short = {tempfile.gettempdir(): None, "/tmp": None}  # noqa: S108  # the directory in it is verified to be ours
    for home in (places.run, *(Path(base) / places.stand_in_name for base in short)):
        longest = postgres_socket_dir(home) / ".s.PGSQL.5432"
        if len(os.fsencode(longest)) <= SOCKET_PATH_BYTES_MAX and _PLAIN_PATH.fullmatch(str(longest)):
            yield home


def _settle(places: Places, home: Path) -> None:
    """Makes `run` lead to `home`, which may be `run` itself."""
    if places.run.is_symlink():
        if home != places.run and places.run.readlink() == home:
            return
        places.run.unlink()
    elif home != places.run and places.run.exists():
        shutil.rmtree(places.run)  # sockets of a time when the path was shorter
    if home != places.run:
        places.run.symlink_to(home)
