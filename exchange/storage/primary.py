"""Finds the Postgres that takes writes, among one or several of which one is the primary at a time.

Hosts are tried one beside the other: a host that is gone without a word must not take the time of the next.
"""

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from asyncpg.exceptions import TargetServerAttributeNotMatched

from exchange.storage.session import TROUBLE, Session

STAGGER_S = 0.1
"""How long a host is waited for before the next one is tried as well."""

WRITES = SessionAttribute.read_write
WHICH_SERVER = "select pg_postmaster_start_time()::text"

Address = tuple[str, int | None] | None
"""A host and its port; None stands for all that the URL says."""


class Primary:
    """Where Postgres is. The host that took the last connection is tried first, until somebody distrusts it."""

    def __init__(self, url: str, **settings: str) -> None:
        self._url = url
        self._settings = settings
        self._order: list[Address] = addresses(url)

    def with_settings(self, **settings: str) -> "Primary":
        """The same hosts in the same order, now and later, for connections with other settings."""
        other = Primary(self._url, **self._settings | settings)
        other._order = self._order  # it is one of us
        return other

    async def connect(self) -> Session:
        """A connection to a server that takes writes. Raises what asyncpg raises, or an OSError for all hosts."""
        waiting, tried, errors = list(self._order), dict[asyncio.Task[Session], Address](), list[Exception]()
        try:
            while waiting or tried:
                if waiting:
                    address = waiting.pop(0)
                    tried[asyncio.ensure_future(self._open(address))] = address
                until = asyncio.FIRST_COMPLETED
                done, _ = await asyncio.wait(tried, timeout=STAGGER_S if waiting else None, return_when=until)
                for task in done:
                    address = tried.pop(task)
                    try:
                        session = task.result()
                    except (*TROUBLE, asyncpg.PostgresError) as error:
                        errors.append(error)
                    else:
                        self._prefer(address)
                        return session
        finally:
            for task in tried:
                task.cancel()
                task.add_done_callback(_drop)
        raise _all_failed(errors)

    def distrust(self, session: Session) -> None:
        """The other hosts are tried first from now on: this one may have been the primary and be so no more."""
        if session.address == self._order[0]:
            self._order.append(self._order.pop(0))

    def _prefer(self, address: Address) -> None:
        self._order.remove(address)
        self._order.insert(0, address)

    async def _open(self, address: Address) -> Session:
        host, port = address or (None, None)
        session: Session = await asyncpg.connect(
            self._url,
            host=host,
            port=port,
            connection_class=Session,
            target_session_attrs=WRITES,
            command_timeout=None,  # asyncpg's own does not bound a frozen server; whoever uses the connection does
            server_settings=self._settings,
        )
        try:
            session.address, session.opened_s = address, time.monotonic()
            session.server = await session.fetchval(WHICH_SERVER)
        except BaseException:
            session.terminate()
            raise
        return session


async def connect(url: str) -> Session:
    """One connection to the primary, with the server's own settings. Raises as `Primary.connect` does."""
    return await Primary(url).connect()


def addresses(url: str) -> list[Address]:
    """The hosts of a URL, if there are several; what there is only one of is left to asyncpg."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    if not hosts:
        query = parse_qs(parts.query)
        names, ports = (query.get(key, [""])[0].split(",") for key in ("host", "port"))
        hosts = ",".join(f"{name}:{ports[min(at, len(ports) - 1)]}" for at, name in enumerate(names))
    found = hosts.split(",")
    return [None] if len(found) == 1 else list(map(_address, found))


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text.strip("[]"), None
    return host.strip("[]"), int(port) if port else None


def _all_failed(errors: Sequence[Exception]) -> Exception:
    """One error for all: that of the only host, else one that is not about being away, else what each has said."""
    if len(errors) == 1:
        return errors[0]
    for error in errors:
        if not isinstance(error, TROUBLE):
            return error
    if all(isinstance(error, TargetServerAttributeNotMatched) for error in errors):
        return errors[0]
    said = "; ".join(dict.fromkeys(str(error) or type(error).__name__ for error in errors))
    return ConnectionError(f"no host takes writes: {said}")


def _drop(task: "asyncio.Task[Session]") -> None:
    """A connection that came too late is cut."""
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()
