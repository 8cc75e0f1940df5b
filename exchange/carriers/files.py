"""Leads as files on a buyer's server, by SFTP or FTPS: under another name first, so that nobody reads half of one.

What speaks SFTP costs each process 150 ms of CPU and 100 modules: whoever has no such buyer goes without.
"""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module

from exchange.buyers.delivery import LIMITS
from exchange.buyers.dialling import Dialler, Origin
from exchange.carriers import documents
from exchange.carriers.departure import Departure, TooLate
from exchange.carriers.documents import Parcel
from exchange.carriers.file import File, Login
from exchange.carriers.ftps import put_by_ftps
from exchange.carriers.outcome import Arrival, Failed, Outcome
from exchange.values.bid import Refusal
from exchange.values.deliveries import FileFormat, Files, Protocol

FTPS_AT_ONCE_MAX = 32
"""Conversations by FTPS of one process: each has a thread. Further ones wait."""

TOO_LATE = Failed("it was too late to send it", arrival=Arrival.NOT_SENT)


class FileServers:
    """Puts files down on servers at public addresses."""

    def __init__(self, tls: ssl.SSLContext, *, allow_private: bool) -> None:
        """`tls` says whom to trust."""
        self._tls = tls
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(FTPS_AT_ONCE_MAX, "ftps")

    def close(self) -> None:
        """Begins nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def put(self, files: Files, login: Login, file: File, leaving: Departure) -> Outcome:
        """Puts a file on a server; it has arrived when it has its name there."""
        await prepare([files])
        dialler = Dialler(Origin(False, files.host, files.port), LIMITS, self._tls, allow_private=self._allow_private)
        try:
            connected = await dialler.connect()
            if isinstance(connected, Refusal):
                return Failed(f"{connected.reason.wire_name} {connected.detail}".strip(), arrival=Arrival.NOT_SENT)
            try:
                if files.protocol is Protocol.SFTP:
                    from exchange.carriers.sftp import put_by_sftp  # noqa: PLC0415  # as above

                    return await put_by_sftp(connected, files, login, file, leaving)
                talk = partial(put_by_ftps, connected, files, login, file, self._tls, leaving)
                return await asyncio.get_running_loop().run_in_executor(self._threads, talk)
            except TooLate:
                return Failed("silence") if leaving.has_left else TOO_LATE
            finally:
                connected.close()
        finally:
            await dialler.close()


async def prepare(means: Iterable[object]) -> None:
    """Imports what these need beside the event loop, or the first lead would wait for it."""
    if any(isinstance(item, Files) and item.protocol is Protocol.SFTP for item in means):
        await asyncio.to_thread(import_module, "exchange.carriers.sftp")


def file_of(
    way: Files, name: object, parcels: Sequence[Parcel], fields: Sequence[str], *, as_list: bool, again: bool
) -> File:
    """The file of some leads; `fields` are the columns of CSV after those of the sale."""
    if way.format is FileFormat.CSV:
        content = documents.csv_file(parcels, fields)
    else:
        content = documents.json_file(parcels, as_list=as_list)
    return File(f"{name}.{way.format.value}", content, again)
