"""Leads as files on a buyer's server, by SFTP or FTPS: under another name first, so that nobody reads half of one."""

import asyncio
import ftplib
import io
import posixpath
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from exchange.buyers.delivery import LIMITS
from exchange.buyers.dialling import Dialler, Origin
from exchange.outbox.outcome import Failed, Outcome, Sent
from exchange.values.bid import Refusal
from exchange.values.deliveries import Files, Protocol

STEP_TIMEOUT_S = 15.0
"""For each step of a conversation."""

SESSION_TIMEOUT_S = 90.0
THERE_ALREADY = "it was there from an earlier try"


@dataclass(frozen=True, slots=True)
class Login:
    """The secrets of a files' delivery, resolved."""

    password: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class File:
    """What is to be put down, under a name that is the same with every try. `again`: this is not the first."""

    name: str
    content: bytes
    again: bool


async def put(files: Files, login: Login, file: File, tls: ssl.SSLContext, *, allow_private: bool) -> Outcome:
    """Puts a file on the server; it has arrived when it has its name there."""
    dialler = Dialler(Origin(False, files.host, files.port), LIMITS, tls, allow_private=allow_private)
    try:
        connected = await dialler.connect()
        if isinstance(connected, Refusal):
            return Failed(f"{connected.reason.wire_name} {connected.detail}".strip())
        try:
            if files.protocol is Protocol.SFTP:
                return await _put_by_sftp(connected, files, login, file)
            return await asyncio.to_thread(_put_by_ftps, connected, files, login, file, tls)
        finally:
            connected.close()
    finally:
        await dialler.close()


async def _put_by_sftp(connected: socket.socket, files: Files, login: Login, file: File) -> Outcome:
    try:
        async with (
            asyncio.timeout(SESSION_TIMEOUT_S),
            _ssh(connected, files, login) as session,
            session.start_sftp_client() as client,
        ):
            return await _write(client, files.folder, file)
    except asyncssh.HostKeyNotVerifiable:
        return Failed("the server has another host key")
    except asyncssh.PermissionDenied:
        return Failed("the server refused the login")
    except asyncssh.SFTPError as error:
        return Failed(f"{type(error).__name__} {error.code}")
    except (asyncssh.Error, OSError, ValueError) as error:  # ValueError: a key that is none
        return Failed(type(error).__name__)


def _ssh(connected: socket.socket, files: Files, login: Login) -> Any:
    """A session with the one server that has the agreed key; nothing of this machine's own configuration counts."""
    host_key = asyncssh.import_public_key(files.host_key or "")
    keys = None if login.key is None else [asyncssh.import_private_key(login.key)]
    return asyncssh.connect(
        sock=connected,
        username=files.user,
        password=login.password,
        client_keys=keys,
        known_hosts=([host_key], [], []),
        config=None,
        agent_path=None,
        login_timeout=STEP_TIMEOUT_S,
    )


async def _write(client: asyncssh.SFTPClient, folder: str, file: File) -> Outcome:
    name, draft = posixpath.join(folder, file.name), posixpath.join(folder, f".{file.name}.part")
    if file.again and await client.exists(name) and await client.getsize(name) == len(file.content):
        return Sent(THERE_ALREADY)
    async with client.open(draft, "wb") as opened:
        await opened.write(file.content)
    try:
        await client.posix_rename(draft, name)
    except asyncssh.SFTPOpUnsupported:
        if await client.exists(name):
            await client.remove(name)
        await client.rename(draft, name)
    return Sent()


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


def _put_by_ftps(connected: socket.socket, files: Files, login: Login, file: File, tls: ssl.SSLContext) -> Outcome:
    server = _Ftps(context=tls, timeout=STEP_TIMEOUT_S)
    try:
        server.talk_on(connected, files.host)
        server.login(files.user, login.password or "")
        server.prot_p()
        name, draft = posixpath.join(files.folder, file.name), posixpath.join(files.folder, f".{file.name}.part")
        if file.again and _size(server, name) == len(file.content):
            return Sent(THERE_ALREADY)
        server.storbinary(f"STOR {draft}", io.BytesIO(file.content))
        server.rename(draft, name)
    except ssl.SSLCertVerificationError as error:
        return Failed(f"tls_failed {error.verify_message}")
    except ftplib.all_errors as error:
        code = str(error)[:3] if isinstance(error, ftplib.Error) else ""
        return Failed(f"{type(error).__name__} {code}".strip())
    finally:
        server.close()
    return Sent()


def _size(server: ftplib.FTP_TLS, name: str) -> int | None:
    """How large a file is; None where there is none, or the server does not say."""
    try:
        server.voidcmd("TYPE I")
        return server.size(name)
    except ftplib.error_perm:
        return None
