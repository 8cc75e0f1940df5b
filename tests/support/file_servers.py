"""SFTP and FTPS servers on loopback, each with a folder, that can be told to die in the middle of a file."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

USER, PASSWORD = "northwind", "sesame"


@dataclass
class FileServer:
    """`dies_in` counts down: that many files are cut off in their middle. `log` is what was done, by path.

    `dies_at` is a step at which it hangs up: before it has done `login`, `open` or `rename`, or when it has `renamed`.
    FTPS servers are silent at `waits_at` until they may go on. One that `is_full` opens files and keeps none.
    """

    folder: Path
    port: int = 0
    host_key: str = ""
    dies_in: int = 0
    log: list[tuple[str, str]] = field(default_factory=list)
    posix_rename: bool = True
    dies_at: str = ""
    is_full: bool = False
    waits_at: str = ""
    may_go_on: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def at(cls, folder: Path) -> "FileServer":
        """One with a new folder."""
        folder.mkdir()
        return cls(folder)

    def files(self) -> dict[str, bytes]:
        """What a buyer finds: files with their names, not those that are being written."""
        paths = [path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


class _Logins(asyncssh.SSHServer):
    def __init__(self, server: FileServer, known: list[str]) -> None:
        self._server = server
        self._known = known

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        if self._server.dies_at == "login":
            self._connection.abort()
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.export_public_key().decode().split()[1] in self._known


class _Folder(asyncssh.SFTPServer):
    def __init__(self, channel: Any, server: FileServer) -> None:
        super().__init__(channel, chroot=str(server.folder).encode())
        self._server = server
        self._connection = channel.get_connection()

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        if self._server.dies_at == "open":
            self._connection.abort()
        return super().open(path, pflags, attrs)

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        if self._server.dies_in:
            self._server.dies_in -= 1
            super().write(file_obj, offset, data[: len(data) // 2])
            self._connection.abort()
        if self._server.is_full:
            raise asyncssh.SFTPNoSpaceOnFilesystem("full")
        return super().write(file_obj, offset, data)  # type: ignore[return-value]  # ours is not a coroutine

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        return self._named(super().rename, oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        if not self._server.posix_rename:
            raise asyncssh.SFTPOpUnsupported("not here")
        return self._named(super().posix_rename, oldpath, newpath)

    def _named(self, rename: Callable[[bytes, bytes], Any], oldpath: bytes, newpath: bytes) -> Any:
        if self._server.dies_at == "rename":
            self._connection.abort()
            raise asyncssh.SFTPFailure("too late")
        self._server.log.append(("named", newpath.decode()))
        done = rename(oldpath, newpath)
        if self._server.dies_at == "renamed":
            self._connection.abort()
        return done


@asynccontextmanager
async def sftp_server(folder: Path, known_keys: tuple[str, ...] = ()) -> AsyncIterator[FileServer]:
    """`known_keys` are the base64 parts of public keys that may log in."""
    found, key = FileServer.at(folder), asyncssh.generate_private_key("ssh-ed25519")

    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[key],
        server_factory=lambda: _Logins(found, list(known_keys)),
        sftp_factory=lambda channel: _Folder(channel, found),
    )
    found.port = acceptor.get_port()
    found.host_key = key.export_public_key().decode().strip()
    try:
        yield found
    finally:
        acceptor.close()
        await acceptor.wait_closed()
