"""A TCP link that misbehaves by seed: latency, cuts after some bytes, resets, half-closed ends, holes, a shut door.

Bytes that a black hole has swallowed arrive when it ends, as they do after a partition, unless that takes too long.
"""

import asyncio
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random

from exchange.ports import HOST

CHUNK_BYTES = 64 * 1024
CUT_BYTES_MAX = 600
"""A cut comes within the first of so many bytes: in the middle of a message."""
_NO_LINGER = struct.pack("ii", 1, 0)

Target = tuple[str, int] | Path
"""Where a link leads: a host and port, or a Unix socket."""


class Fate(StrEnum):
    """What becomes of one connection."""

    PASS = "pass"  # noqa: S105  # no password
    CUT = "cut"  # reset after some bytes in either direction
    RESET = "reset"  # at once
    HALF = "half"  # the answer never comes: its end of the stream does
    HOLE = "hole"  # nothing passes until it ends


@dataclass(frozen=True, slots=True)
class Weather:
    """How a link is at the moment: what share of its connections has which fate. `shut`: nobody listens."""

    latency_ms: float = 0.0
    cut_pct: float = 0.0
    reset_pct: float = 0.0
    half_pct: float = 0.0
    hole_pct: float = 0.0
    shut: bool = False

    def fate(self, chance: float) -> Fate:
        """The fate that a chance from 0 to 1 falls on."""
        for share, fate in (
            (self.cut_pct, Fate.CUT),
            (self.reset_pct, Fate.RESET),
            (self.half_pct, Fate.HALF),
            (self.hole_pct, Fate.HOLE),
        ):
            chance -= share / 100
            if chance < 0:
                return fate
        return Fate.PASS


FAIR = Weather()


class Link:
    """Listens on a port of its own and passes on what comes, as the weather lets it."""

    def __init__(self, name: str, target: Target, random: Random, *, held_s_max: float = 20.0) -> None:
        self.name = name
        self.target = target
        self.port = 0
        self.weather = FAIR
        self._random = random
        self._held_s_max = held_s_max
        self._server: asyncio.Server | None = None
        self._lines: set[_Line] = set()

    async def open(self) -> None:
        await self._listen()

    async def close(self) -> None:
        """Hangs up on everybody."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for line in list(self._lines):
            line.end(reset=False)
        await asyncio.gather(*(line.ended.wait() for line in list(self._lines)))
        await asyncio.sleep(0)  # the transports take leave of the loop

    async def change(self, weather: Weather) -> None:
        """New weather, for connections that are there as well."""
        self.weather = weather
        if weather.shut and self._server is not None:
            self._server.close()
            self._server = None
        elif not weather.shut and self._server is None:
            await self._listen()
        for line in list(self._lines):
            line.meet(self._draw())

    def _draw(self) -> tuple[Fate, int, float]:
        fate = self.weather.fate(self._random.random())
        return fate, self._random.randrange(CUT_BYTES_MAX), self.weather.latency_ms / 1000

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self._held_s_max)
        line.writers.append(writer)
        self._lines.add(line)
        line.meet(self._draw())
        try:
            await self._join(line, reader, writer)
        finally:
            self._lines.discard(line)
            line.ended.set()

    async def _join(self, line: "_Line", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(self.target, Path):
                far = await asyncio.open_unix_connection(str(self.target))
            else:
                far = await asyncio.open_connection(*self.target)
        except OSError:
            line.end(reset=True)
            return
        line.writers.append(far[1])
        try:
            await asyncio.gather(line.pump(reader, far[1], up=True), line.pump(far[0], writer, up=False))
        finally:
            line.end(reset=False)


class _Line:
    """One connection, both ways."""

    def __init__(self, held_s_max: float) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.ended = asyncio.Event()
        self._held_s_max = held_s_max
        self._fate = Fate.PASS
        self._bytes_left = 0
        self._latency_s = 0.0
        self._clear = asyncio.Event()
        self._clear.set()

    def meet(self, fate: tuple[Fate, int, float]) -> None:
        """What becomes of the connection from now on."""
        self._fate, self._bytes_left, self._latency_s = fate
        if self._fate is Fate.HOLE:
            self._clear.clear()
        else:
            self._clear.set()
        if self._fate is Fate.RESET:
            self.end(reset=True)

    def end(self, *, reset: bool) -> None:
        """Hangs up at both ends."""
        self._clear.set()
        for writer in self.writers:
            if reset and not writer.transport.is_closing():
                with suppress(OSError):  # the other side was faster
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            writer.transport.abort()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        """Passes bytes one way until the end of the stream, or of the connection."""
        try:
            while data := await reader.read(CHUNK_BYTES):
                if not await self._pass(data, writer, up=up):
                    return
            if not writer.transport.is_closing():
                writer.write_eof()
        except OSError:
            self.end(reset=True)  # one side has gone, and the other finds out

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter, *, up: bool) -> bool:
        """Whether the connection goes on after these bytes."""
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        held_at_s = time.monotonic()
        await self._clear.wait()
        if time.monotonic() - held_at_s > self._held_s_max:
            self.end(reset=True)
        if writer.transport.is_closing():
            return False
        if self._fate is Fate.HALF and not up:
            writer.write_eof()
            return False
        if self._fate is Fate.CUT:
            data, rest = data[: self._bytes_left], data[self._bytes_left :]
            self._bytes_left -= len(data)
            if rest:
                writer.write(data)
                await asyncio.sleep(0)
                self.end(reset=True)
                return False
        writer.write(data)
        await writer.drain()
        return True
