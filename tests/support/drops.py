"""Where files are put down: a server of either protocol, and how a market file names it."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from support.certificates import serving_with
from support.file_servers import PASSWORD, USER, FileServer, sftp_server
from support.ftps_server import ftps_server
from support.market import Document


def file_server(protocol: str, folder: Path, certificate: Path) -> AbstractAsyncContextManager[FileServer]:
    """A server of `sftp` or `ftps` with a new folder."""
    return sftp_server(folder) if protocol == "sftp" else ftps_server(folder, serving_with(certificate))


def drop_at(protocol: str, server: FileServer, **changes: Any) -> Document:
    """The delivery to it."""
    return by_sftp(server, **changes) if protocol == "sftp" else by_ftps(server, **changes)


def by_sftp(server: FileServer, **changes: Any) -> Document:
    access = {"host": "127.0.0.1", "port": server.port, "user": USER, "password": PASSWORD}
    return {"sftp": access | {"host_key": server.host_key} | changes}


def by_ftps(server: FileServer, **changes: Any) -> Document:
    access = {"host": "localhost", "port": server.port, "user": USER, "password": PASSWORD}
    return {"ftps": access | changes}
