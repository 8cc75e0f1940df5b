"""A lead as a file on an SSH server whose key is known."""

import asyncio
import socket
from typing import Any

import asyncssh

from exchange.carriers.departure import Departure
from exchange.carriers.file import STEP_TIMEOUT_S, THERE_ALREADY, File, Login
from exchange.carriers.outcome import Arrival, Failed, Outcome, Sent
from exchange.values.deliveries import Files

SESSION_TIMEOUT_S = 90.0

_LOST = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)
_REFUSED = (
    asyncssh.SFTPPermissionDenied,
    asyncssh.SFTPNoSuchFile,
    asyncssh.SFTPNoSuchPath,
    asyncssh.SFTPWriteProtect,
    asyncssh.SFTPQuotaExceeded,
    asyncssh.SFTPNoSpaceOnFilesystem,
)
"""What a server says that will not have a file, before any of it is sent."""


async def put_by_sftp(connected: socket.socket, files: Files, login: Login, file: File, leaving: Departure) -> Outcome:
    """Puts a file down over a connection."""
    try:
        async with (
            asyncio.timeout(SESSION_TIMEOUT_S),
            _ssh(connected, files, login) as session,
            session.start_sftp_client() as client,
        ):
            return await _write(client, files.folder, file, leaving)
    except asyncssh.HostKeyNotVerifiable:
        return Failed("the server has another host key", arrival=Arrival.NOT_SENT)
    except asyncssh.PermissionDenied:
        return Failed("the server refused the login", arrival=Arrival.NOT_SENT)
    except asyncssh.SFTPError as error:
        return Failed(_named(error), arrival=_arrival(error, leaving))
    except (asyncssh.Error, OSError, ValueError) as error:  # ValueError: a key that is none
        return Failed(type(error).__name__, arrival=Arrival.UNKNOWN if leaving.has_left else Arrival.NOT_SENT)


def _named(error: asyncssh.SFTPError) -> str:
    """What a server's word is called; a number that has no meaning in SFTP is the server's own, and not told."""
    name = type(error).__name__
    return name if type(error) is asyncssh.SFTPError else f"{name} {error.code}"


def _arrival(error: asyncssh.SFTPError, leaving: Departure) -> Arrival:
    """What a server's word on a file says of it: until the file has its name, any clear one is a no."""
    if isinstance(error, _LOST):
        return Arrival.UNKNOWN if leaving.has_left else Arrival.NOT_SENT
    return Arrival.REFUSED if leaving.has_left or isinstance(error, _REFUSED) else Arrival.NOT_SENT


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


async def _write(client: asyncssh.SFTPClient, folder: str, file: File, leaving: Departure) -> Outcome:
    name, draft = file.paths(folder)
    if file.again and await client.exists(name) and await client.getsize(name) == len(file.content):
        return THERE_ALREADY
    async with client.open(draft, "wb") as opened:
        leaving.leave()
        await opened.write(file.content)
    try:
        await client.posix_rename(draft, name)
    except asyncssh.SFTPOpUnsupported:
        if await client.exists(name):
            await client.remove(name)
        await client.rename(draft, name)
    return Sent()
