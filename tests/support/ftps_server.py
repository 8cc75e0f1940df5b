"""An FTP server on loopback that speaks over TLS only, as far as putting files down needs it (RFC 959, 2428, 4217)."""

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from support.file_servers import PASSWORD, USER, FileServer

_PATIENCE_S = 60


class _Session:
    """One client: a word and what follows it a line, answered with a number and a text a line."""

    def __init__(self, connected: socket.socket, server: FileServer, tls: ssl.SSLContext) -> None:
        self._server = server
        self._tls = tls
        self._control: socket.socket = connected
        self._lines = connected.makefile("rb")
        self._passive: socket.socket | None = None
        self._is_private = self._is_known = False
        self._user = self._from = ""

    def run(self) -> None:
        self._say("220 ready")
        while line := self._lines.readline():
            word, _, rest = line.decode().strip().partition(" ")
            if word.upper() == "QUIT":
                self._say("221 bye")
                break
            self._say(self._answer(word.upper(), rest))

    def close(self) -> None:
        """Whatever ended it, what it has opened is closed."""
        self._lines.close()
        self._control.close()
        if self._passive is not None:
            self._passive.close()

    def _come_to(self, step: str) -> None:
        if self._server.waits_at == step:
            self._server.may_go_on.wait(_PATIENCE_S)
        if self._server.dies_at == step:
            raise ConnectionResetError

    def _answer(self, word: str, rest: str) -> str:
        at_first: dict[str, Callable[[str], str]] = {"AUTH": self._auth, "USER": self._named, "PASS": self._password}
        later: dict[str, Callable[[str], str]] = {
            "PBSZ": lambda _: "200 none",
            "PROT": self._protect,
            "TYPE": lambda _: "200 binary",
            "EPSV": self._listen,
            "PASV": self._listen_as_before,
            "STOR": self._store,
            "SIZE": self._size,
            "RNFR": self._rename_from,
            "RNTO": self._rename_to,
        }
        if word in at_first:
            return at_first[word](rest)
        if word not in later:
            return "502 not here"
        return later[word](rest) if self._is_known else "530 log in first"

    def _auth(self, _: str) -> str:
        self._say("234 begin")
        self._lines.close()
        self._control = self._tls.wrap_socket(self._control, server_side=True)
        self._lines = self._control.makefile("rb")
        return ""

    def _named(self, name: str) -> str:
        if not isinstance(self._control, ssl.SSLSocket):
            return "550 over TLS only"
        self._user = name
        return "331 and the password"

    def _password(self, password: str) -> str:
        self._come_to("login")
        self._is_known = (self._user, password) == (USER, PASSWORD)
        return "230 welcome" if self._is_known else "530 no"

    def _protect(self, level: str) -> str:
        self._is_private = level == "P"
        return "200 done"

    def _listen(self, _: str) -> str:
        self._passive = socket.create_server(("127.0.0.1", 0))
        return f"229 come in (|||{self._passive.getsockname()[1]}|)"

    def _listen_as_before(self, _: str) -> str:
        self._passive = socket.create_server(("127.0.0.1", 0))
        high, low = divmod(self._passive.getsockname()[1], 256)
        return f"227 come in (10,9,8,7,{high},{low})"  # an address that nobody should believe

    def _store(self, name: str) -> str:
        if self._passive is None or not self._is_private:
            return "521 over TLS only"
        self._come_to("open")
        if not self._path(name).parent.is_dir():
            return "550 no such folder"
        self._say("150 go on")
        self._passive.settimeout(_PATIENCE_S)
        plain, _ = self._passive.accept()
        content = b""
        with self._passive, self._tls.wrap_socket(plain, server_side=True) as data:
            while part := data.recv(65_536):
                content += part
            data.unwrap()  # says that it has seen the end
        if self._server.dies_in:
            self._server.dies_in -= 1
            self._path(name).write_bytes(content[: len(content) // 2])
            self._control.shutdown(socket.SHUT_RDWR)
            return ""
        if self._server.is_full:
            return "552 full"
        self._path(name).write_bytes(content)
        self._server.log.append(("received", name))
        return "226 have it"

    def _size(self, name: str) -> str:
        path = self._path(name)
        return f"213 {path.stat().st_size}" if path.is_file() else "550 no such file"

    def _rename_from(self, name: str) -> str:
        self._from = name
        return "350 to what" if self._path(name).is_file() else "550 no such file"

    def _rename_to(self, name: str) -> str:
        self._come_to("rename")
        self._path(self._from).rename(self._path(name))
        self._come_to("renamed")
        return "250 done"

    def _path(self, name: str) -> Path:
        return self._server.folder / name.lstrip("/")

    def _say(self, line: str) -> None:
        if line:
            self._control.sendall(f"{line}\r\n".encode())


@asynccontextmanager
async def ftps_server(folder: Path, tls: ssl.SSLContext) -> AsyncIterator[FileServer]:
    """Listens on a free port; each client has a thread."""
    found, listener = FileServer.at(folder), socket.create_server(("127.0.0.1", 0))
    found.port = listener.getsockname()[1]

    def serve(connected: socket.socket) -> None:
        connected.settimeout(_PATIENCE_S)
        session = _Session(connected, found, tls)
        with suppress(OSError):  # a client who hangs up, or does not trust us
            session.run()
        with suppress(OSError):  # TLS may want to say something to a client who is gone
            session.close()
        connected.close()

    def accept() -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield found
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
