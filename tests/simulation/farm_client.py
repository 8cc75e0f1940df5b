"""Talks to simulated buyers over bare sockets, byte for byte, and over httpx where bytes do not matter."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.simulation.farm import Farm
from exchange.simulation.manners import Manners
from exchange.simulation.witness import Entry, read_log

PING_HEADERS = {"Exchange-Order": "order-1", "Exchange-Timeout-Ms": "250"}
CONTACT = {"first_name": "Ann", "phone": "+13125550123"}


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection to a buyer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self) -> Response:
        """One response; raises IncompleteReadError where the connection ends before it."""
        async with asyncio.timeout(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status_line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Response(int(status_line.split()[1]), headers, body)

    async def call(self, data: bytes) -> Response:
        self.send(data)
        return await self.receive()

    async def at_end(self) -> bool:
        async with asyncio.timeout(60):
            return await self.reader.read(1) == b""


def request(method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: buyer", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def ping(ping_id: str = "p-1", headers: Mapping[str, str] | None = None, **changes: Any) -> bytes:
    document = {
        "ping_id": ping_id,
        "campaign": "auto-us",
        "vertical": "auto_insurance",
        "test": False,
        "currency": "USD",
        "floor": "5.00",
        "sale": "exclusive",
        "lead": {"zip": "60601", "age": 41},
    }
    return request("POST", "/bid", json.dumps(document | changes).encode(), {**PING_HEADERS, **(headers or {})})


def post(attempt_id: str = "a-1", headers: Mapping[str, str] | None = None, **changes: Any) -> bytes:
    document = {
        "attempt_id": attempt_id,
        "ping_id": "p-1",
        "bid_id": "b-1",
        "order": "order-1",
        "campaign": "auto-us",
        "test": False,
        "price": "21.00",
        "currency": "USD",
        "sale": "exclusive",
        "lead": {"zip": "60601", **CONTACT},
    }
    body = json.dumps(document | changes).encode()
    return request("POST", "/post", body, {"Idempotency-Key": attempt_id, **(headers or {})})


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def one_buyer(log_dir: Path | None = None, *, seed: int = 1, **manners: Any) -> AsyncIterator[Wire]:
    """A farm of one buyer, and a connection to him."""
    farm = Farm([Manners("solo", **manners)], seed=seed, log_dir=log_dir)
    async with farm, connected(farm.ports["solo"]) as wire:
        yield wire


def log_of(log_dir: Path) -> list[Entry]:
    return list(read_log(log_dir / "solo.jsonl").entries)


async def first_line(log_dir: Path) -> None:
    async with asyncio.timeout(60):
        while not log_of(log_dir):  # a file tells nobody that it has grown
            await asyncio.sleep(0.01)
