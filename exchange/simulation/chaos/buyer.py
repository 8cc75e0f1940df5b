"""One buyer of a run on a socket of his own: he writes down what he was sent and decided, then answers as he is."""

import asyncio
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from exchange.ports import HOST
from exchange.simulation.chaos.conduct import (
    DUPLICATE,
    REJECTED,
    Move,
    Temper,
    bid_cents,
    decision_of,
    ping_move,
    post_move,
    wait_ms,
)
from exchange.simulation.chaos.diary import ANSWERED, PING, POST, STATUS, Diary, Seen

BODY_BYTES_MAX = 64 * 1024
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_NO_LINGER = struct.pack("ii", 1, 0)  # closing such a socket sends a reset


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """What he will say about what he wrote down."""

    document: dict[str, Any]
    move: Move
    attempt_id: str = ""


class Buyer:
    """Serves one buyer's port. While `calm` his answers all arrive."""

    def __init__(self, temper: Temper, seed: int, diary: Diary) -> None:
        self.temper = temper
        self.calm = False
        self._seed = seed
        self._diary = diary
        self._decisions: dict[str, str] = {}
        self._deliveries: dict[str, int] = {}
        self._queries: dict[str, int] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self, port: int = 0) -> int:
        """Listens; returns the port."""
        self._server = await asyncio.start_server(self._accept, HOST, port, backlog=512)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Hangs up on everybody."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # the transports take leave of the loop

    def remember(self, entries: list[Seen]) -> None:
        """What he decided in an earlier life."""
        for entry in entries:
            if entry.what == POST:
                self._decisions[entry.attempt_id] = entry.decision
                self._deliveries[entry.attempt_id] = entry.repeat + 1

    def decide(self, attempt_id: str) -> str:
        """What he makes of a delivery."""
        return decision_of(self.temper, self._seed, attempt_id)

    def move(self, attempt_id: str, what: str, time: int) -> Move:
        """How an answer leaves that he gives for the first time (0) or again."""
        return Move.ANSWER if self.calm else post_move(self.temper, self._seed, attempt_id, what, time)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (call := await self._read(reader)) is not None:
                said = self._write_down(call)
                if said is None or not await self._answer(writer, said):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return  # the other side has gone, or talks nonsense: both are the wire's doing
        finally:
            writer.close()
            if not writer.transport.get_write_buffer_size():
                self._writers.discard(writer)

    async def _read(self, reader: asyncio.StreamReader) -> Call | None:
        """The next request, or None where the connection was idle for too long or is over."""
        try:
            async with asyncio.timeout(self.temper.idle_s):
                head = await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.IncompleteReadError):
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
        size = int(headers.get("content-length", "0"))
        if size > BODY_BYTES_MAX:
            return None
        target = urlsplit(first.split()[1])
        return Call(target.path, parse_qs(target.query), headers, await reader.readexactly(size))

    def _write_down(self, call: Call) -> Said | None:
        """Writes down what he was sent and what he makes of it."""
        match call.path:
            case "/bid":
                return self._bid(call)
            case "/post":
                return self._post(call)
            case "/status" if self.temper.has_status:
                return self._status(call)
        return None

    def _bid(self, call: Call) -> Said:
        ping, order = orjson.loads(call.body), call.headers["exchange-order"]
        ping_id = str(ping["ping_id"])
        cents = bid_cents(self.temper, self._seed, ping_id, order)
        move = Move.ANSWER if self.calm else ping_move(self.temper, self._seed, ping_id, order)
        price = "" if cents is None else f"{cents // 100}.{cents % 100:02d}"
        body = call.body.decode("utf-8", "backslashreplace")
        self._write(Seen(time.time(), self.temper.name, PING, ping_id, "", order, price, "", move, 0, body))
        return Said({"bid": price, "bid_id": f"b-{ping_id[-6:]}"} if price else {"bid": None}, move)

    def _post(self, call: Call) -> Said:
        post = orjson.loads(call.body)
        attempt_id = str(post["attempt_id"])
        time_before = self._deliveries.get(attempt_id, 0)
        decision = self.decide(attempt_id)
        move = self.move(attempt_id, POST, time_before)
        self._deliveries[attempt_id] = time_before + 1
        self._decisions[attempt_id] = decision
        body = call.body.decode("utf-8", "backslashreplace")
        self._write(
            Seen(
                at=time.time(),
                buyer=self.temper.name,
                what=POST,
                ping_id=str(post["ping_id"]),
                attempt_id=attempt_id,
                order=str(post["order"]),
                price=str(post["price"]),
                decision=decision,
                move=move,
                repeat=time_before,
                body=body,
            )
        )
        document = {"status": decision}
        if decision == REJECTED:
            document["reason"] = "not wanted"
        elif decision != DUPLICATE:
            document["reference"] = f"crm-{attempt_id[-8:]}"
        return Said(document, move, attempt_id)

    def _status(self, call: Call) -> Said:
        attempt_id = call.query.get("attempt_id", [""])[0]
        asked_before = self._queries.get(attempt_id, 0)
        self._queries[attempt_id] = asked_before + 1
        decision = self._decisions.get(attempt_id, "not_found")
        status = REJECTED if decision == DUPLICATE else decision
        move = self.move(attempt_id, STATUS, asked_before)
        self._write(Seen(time.time(), self.temper.name, STATUS, attempt_id=attempt_id, decision=status, move=move))
        return Said({"status": status}, move, attempt_id)

    async def _answer(self, writer: asyncio.StreamWriter, said: Said) -> bool:
        """Whether the connection goes on."""
        await asyncio.sleep(wait_ms(self.temper, said.move) / 1000)
        body = orjson.dumps(said.document)
        content = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )
        match said.move:
            case Move.DROP:
                content = b""
            case Move.RESET:
                _reset(writer)
                return False
            case Move.ERROR:
                content = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
            case Move.GARBAGE:
                content = content.replace(body, b"\xff" * len(body))
            case Move.HALF:
                content = content[: len(content) - len(body) // 2 - 1]
        if said.attempt_id:
            here = not writer.is_closing()
            decision = "" if here else "gone"
            self._write(
                Seen(time.time(), self.temper.name, ANSWERED, "", said.attempt_id, decision=decision, move=said.move)
            )
        writer.write(content)
        await writer.drain()
        return said.move not in {Move.DROP, Move.HALF}

    def _write(self, entry: Seen) -> None:
        self._diary.write(entry)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with a reset, as a crashed machine or an impatient firewall would."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()
