"""A lead as a file on an FTP server, over TLS. It blocks: it is for a thread."""

import ftplib
import re
import socket
import ssl

from exchange.carriers.departure import Departure
from exchange.carriers.file import STEP_TIMEOUT_S, THERE_ALREADY, File, Login
from exchange.carriers.outcome import Arrival, Failed, Outcome, Sent
from exchange.values.deliveries import Files

_BLOCK_BYTES = 8_192
_CODE = re.compile(r"[1-5][0-9]{2}\b", re.ASCII)
_SHUTTING_DOWN = "421"
_WILL_NOT_STORE = ("532", "550", "551", "552", "553")
"""What a server says that will not have a file, before any of it is sent (RFC 959)."""


class _Ftps(ftplib.FTP_TLS):
    """FTP over TLS on a socket that is connected, with the session of the control connection for the data."""

    def talk_on(self, connected: socket.socket, host: str) -> None:
        """Greets; `host` is the name that certificates are checked for."""
        connected.settimeout(STEP_TIMEOUT_S)
        self.host, self.sock, self.af = host, connected, connected.family
        self.file = connected.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """As its base class, but servers that want the same TLS session for the data have it."""
        opened, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321  # TLS begins three lines below
        opened.settimeout(STEP_TIMEOUT_S)
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        return self.context.wrap_socket(opened, server_hostname=self.host, session=session), size

    def store(self, name: str, content: bytes, leaving: Departure) -> None:
        """Writes a file. It leaves once the server has said that it will take it."""
        self.voidcmd("TYPE I")
        with self.transfercmd(f"STOR {name}") as data:
            leaving.leave()
            for start in range(0, len(content), _BLOCK_BYTES):
                leaving.check()
                data.sendall(content[start : start + _BLOCK_BYTES])
            if isinstance(data, ssl.SSLSocket):
                data.unwrap()
        self.voidresp()


def put_by_ftps(
    connected: socket.socket, files: Files, login: Login, file: File, tls: ssl.SSLContext, leaving: Departure
) -> Outcome:
    """Puts a file down over a connection. Raises TooLate where it must stay, or must not be made whole any more."""
    server = _Ftps(context=tls, timeout=STEP_TIMEOUT_S)
    try:
        server.talk_on(connected, files.host)
        server.login(files.user, login.password or "")
        server.prot_p()
        name, draft = file.paths(files.folder)
        if file.again and _size(server, name) == len(file.content):
            return THERE_ALREADY
        server.store(draft, file.content, leaving)
        leaving.check()
        server.rename(draft, name)
    except ssl.SSLCertVerificationError as error:
        arrival = Arrival.UNKNOWN if leaving.has_left else Arrival.NOT_SENT
        return Failed(f"tls_failed {error.verify_message}", arrival=arrival)
    except ftplib.all_errors as error:
        code = word[:3] if isinstance(error, ftplib.Error) and _CODE.match(word := str(error)) else ""
        return Failed(f"{type(error).__name__} {code}".strip(), arrival=_arrival(error, code, leaving))
    finally:
        server.close()
    return Sent()


def _arrival(error: Exception, code: str, leaving: Departure) -> Arrival:
    """What a failure says of a file: until it has its name, any clear word of the server is a no."""
    if not leaving.has_left:
        return Arrival.REFUSED if code in _WILL_NOT_STORE else Arrival.NOT_SENT
    is_word = isinstance(error, ftplib.error_perm | ftplib.error_temp) and code != _SHUTTING_DOWN
    return Arrival.REFUSED if is_word else Arrival.UNKNOWN


def _size(server: ftplib.FTP_TLS, name: str) -> int | None:
    """How large a file is; None where there is none, or the server does not say."""
    try:
        server.voidcmd("TYPE I")
        return server.size(name)
    except ftplib.error_perm:
        return None
