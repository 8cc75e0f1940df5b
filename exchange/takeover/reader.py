"""Where a gateway has its markets read: a small one in a thread of its own, any other in a process beside it."""

import asyncio
import socket
import subprocess
import sys
from asyncio import StreamWriter
from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple, assert_never

import orjson
import structlog

from exchange.errors import MarketFileError, StorageUnavailable
from exchange.observe import metrics
from exchange.pauses import Steps
from exchange.settings import child_environment
from exchange.storage import catalogue
from exchange.storage.database import Database
from exchange.takeover import swapping
from exchange.takeover.frames import Frames, framed
from exchange.takeover.packing import Unpacker
from exchange.takeover.taking import Answer, Ours, Taken, Unavailable, Unreadable, entries_of

THREAD_BYTES_MAX: Final = 64 * 1024
"""A longer text is read in another process. A thread reads this in some 20 ms, a process takes 500 to start."""

SILENT_S: Final = 300.0
"""A process that says nothing for so long is given up. It reads 100,000 orders in 30 s, in four times that where it has
a quarter of a CPU."""

TRIES: Final = 2

COMMAND: Final = (sys.executable, "-m", "exchange.takeover.child")

log = structlog.get_logger(__name__)


class _Lost(Exception):
    """The process did not answer to the end."""


class _Child(NamedTuple):
    """The process, the line to it, and what both ends of it know of the last market."""

    process: subprocess.Popen[bytes]
    frames: Frames
    writer: StreamWriter
    known: list[object]


class MarketReader:
    """Reads the newest market when asked. The process that it starts for a large one stays, and remembers it."""

    def __init__(self, database: Database, url: str, ours: Ours) -> None:
        self._database = database
        self._url = url
        self._ours = ours
        self._child: _Child | None = None

    async def newest(self) -> Taken | None:
        """The newest market, None where there is none. Raises StorageUnavailable and MarketFileError."""
        if self._child is None and await catalogue.newest_bytes(self._database) <= THREAD_BYTES_MAX:
            return await self._in_thread()
        for _ in range(TRIES):
            try:
                answer = await self._by_child()
            except (_Lost, OSError) as error:
                metrics.MARKET_READERS_LOST.add()
                log.error("market_reader_lost", error=str(error))  # noqa: TRY400  # it has told why
                continue
            return _taken(answer)
        return await self._in_thread()

    async def close(self) -> None:
        """Ends the process, whatever it is doing."""
        child, self._child = self._child, None
        if child is not None:
            child.writer.close()
            child.process.kill()
            await asyncio.to_thread(child.process.wait)

    async def _in_thread(self) -> Taken | None:
        found = await catalogue.newest_text(self._database)
        return None if found is None else await swapping.take(found, self._ours)

    async def _by_child(self) -> Answer:
        is_complete = False
        try:
            if self._child is None:
                self._child = await _start(self._ours.environment)
            self._child.writer.write(framed(orjson.dumps([self._url, self._ours.can_mail])))
            answer = await _answer(self._child)
            is_complete = True
        finally:
            if not is_complete:  # what else it has to say answers no question any more
                await self.close()
        return answer


async def _answer(child: _Child) -> Answer:
    """What the process answers; the garbage collector rests from its first piece on."""
    steps, unpacker = Steps(), Unpacker(child.known)
    piece = await _next(child.frames)
    with swapping.collector_at_rest():
        while not unpacker.is_complete:
            await steps.do(partial(unpacker.take, piece))
            piece = b"" if unpacker.is_complete else await _next(child.frames)
        answer: Answer = unpacker.value
    if isinstance(answer, Taken):
        child.known[:] = entries_of(answer)
    await steps.through(unpacker.forget())
    return answer


async def _next(frames: Frames) -> bytes:
    if (found := frames.at_hand()) is not None:
        return found
    try:
        async with asyncio.timeout(SILENT_S):
            return await frames.next()
    except TimeoutError:
        raise _Lost(f"silent for {SILENT_S:g} s") from None
    except EOFError:
        raise _Lost("ended in the middle of its work") from None


async def _start(environment: Mapping[str, str]) -> _Child:
    """Starts the process. It has our end of the line as its leash."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.to_thread(_run, theirs, child_environment(environment))
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    return _Child(process, Frames(reader), writer, [])


def _run(line: socket.socket, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # our own program
        COMMAND,
        stdin=line.fileno(),
        env=environment,
        start_new_session=True,  # Ctrl-C at the terminal is for the gateway, whose end is its end
    )


def _taken(answer: Answer) -> Taken | None:
    match answer:
        case Unavailable():
            raise StorageUnavailable(answer.error)
        case Unreadable():
            raise MarketFileError(answer.problems)
        case Taken() | None:
            return answer
    assert_never(answer)
