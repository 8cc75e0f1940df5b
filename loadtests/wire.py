"""A small HTTP client for load: kept connections, one request at a time on each, and a new one when all are busy."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

IDLE_S = 20.0
"""A connection that was idle for longer may be about to be closed: it is not used again."""
TIMEOUT_S = 15.0
"""Longer than the campaigns of the example market give themselves."""
NO_ANSWER = (OSError, EOFError, asyncio.LimitOverrunError, LookupError, ValueError)


class Answered(NamedTuple):
    """Status 0 is none, and `body` the name of what happened instead."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """Connections to one address of this machine or another, over plain HTTP."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise SystemExit(f"{url} is no http:// address")
        self._host, self._port = parts.hostname, parts.port or 80
        self._authority = parts.netloc
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.opened = 0

    async def send(self, path: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Posts a body and reads the answer; a request is never sent twice."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = self._take() or await self._open()
                try:
                    writer.write(self._request(path, headers, body))
                    answered = await _read(reader)
                except BaseException:
                    writer.close()
                    raise
        except NO_ANSWER as error:
            return Answered(0, {}, type(error).__name__.encode())
        if answered.headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append((time.monotonic(), reader, writer))
        return answered

    async def close(self) -> None:
        for _, _, writer in self._idle:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        self._idle.clear()

    def _take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The connection that was used last, if there is one that still holds."""
        while self._idle:
            used_s, reader, writer = self._idle.pop()
            if time.monotonic() - used_s < IDLE_S and not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.opened += 1
        return await asyncio.open_connection(self._host, self._port)

    def _request(self, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        lines = [f"POST {path} HTTP/1.1", f"Host: {self._authority}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def _read(reader: asyncio.StreamReader) -> Answered:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Answered(int(head[0].split(" ")[1]), headers, await reader.readexactly(int(headers["content-length"])))
