"""What a simulated buyer writes down of every call, and how it is read again. No lead data is in it, by type."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from exchange.simulation.conduct import Decision, PingMove, PostMove
from exchange.values.money import format_amount, parse_amount


class Answered(StrEnum):
    """What left for a post in the end."""

    REPLY = "reply"
    ERROR = "error"  # a 500 after the lead was taken
    DROPPED = "dropped"  # the connection was closed instead
    GONE = "gone"  # the exchange had hung up before


@dataclass(frozen=True, slots=True)
class PingSeen:
    """A ping that reached the buyer, and what he made of it; the bid where he made a proper one."""

    ping_id: str
    order: str
    move: PingMove
    bid_micros: int | None = None
    bid_id: str | None = None


@dataclass(frozen=True, slots=True)
class PostSeen:
    """A post that reached the buyer, once for each attempt, and what he decided."""

    attempt_id: str
    ping_id: str
    order: str
    price_micros: int
    bid_id: str | None
    test: bool
    move: PostMove
    decision: Decision


@dataclass(frozen=True, slots=True)
class PostAnswered:
    """How a post was answered; more than one for an attempt that was delivered more than once."""

    attempt_id: str
    how: Answered


@dataclass(frozen=True, slots=True)
class Violation:
    """A call that breaks the buyer's wire. `detail` names fields, never values."""

    what: str
    subject: str
    detail: str = ""


Entry = PingSeen | PostSeen | PostAnswered | Violation


@dataclass(frozen=True, slots=True)
class BuyerLog:
    """One buyer's book of a run."""

    buyer: str
    entries: tuple[Entry, ...]


class LogWriter:
    """Appends entries to a buyer's file; each is with the operating system before `write` returns.

    Without a path nothing is kept. One writer per file.
    """

    def __init__(self, path: Path | None) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._descriptor = None if path is None else os.open(path, flags, 0o644)

    def write(self, entry: Entry) -> None:
        """Raises OSError where the line could not be written whole: a witness with gaps is none."""
        if self._descriptor is None:
            return
        line = orjson.dumps(_document(entry), option=orjson.OPT_APPEND_NEWLINE)
        if os.write(self._descriptor, line) != len(line):
            raise OSError("the buyer's log could not be written whole")

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_log(path: Path) -> BuyerLog:
    """A buyer's file, named `BUYER.jsonl`; a last line without its end is one that is still being written."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return BuyerLog(path.stem, tuple(parse_entries(whole.splitlines())))


def read_logs(directory: Path) -> tuple[BuyerLog, ...]:
    """The files of all buyers of a farm."""
    return tuple(read_log(path) for path in sorted(directory.glob("*.jsonl")))


def without_pings(logs: Iterable[BuyerLog], ping_ids: Collection[str]) -> tuple[BuyerLog, ...]:
    """The logs less everything that belongs to some pings: those that are nobody's to reconcile."""
    return tuple(BuyerLog(log.buyer, tuple(_others(log.entries, ping_ids))) for log in logs)


def _others(entries: Iterable[Entry], ping_ids: Collection[str]) -> Iterable[Entry]:
    attempts = set()
    for entry in entries:
        match entry:
            case PingSeen(ping_id=ping_id) if ping_id in ping_ids:
                pass
            case PostSeen(ping_id=ping_id, attempt_id=attempt_id) if ping_id in ping_ids:
                attempts.add(attempt_id)
            case PostAnswered(attempt_id=attempt_id) if attempt_id in attempts:
                pass
            case _:
                yield entry


def parse_entries(lines: Iterable[bytes]) -> Iterable[Entry]:
    """Raises ValueError or KeyError for a line that no writer wrote."""
    for line in lines:
        yield _entry(orjson.loads(line))


def _document(entry: Entry) -> Mapping[str, Any]:
    match entry:
        case PingSeen():
            bid = None if entry.bid_micros is None else format_amount(entry.bid_micros)
            return {
                "saw": "ping",
                "ping_id": entry.ping_id,
                "order": entry.order,
                "move": entry.move,
                "bid": bid,
                "bid_id": entry.bid_id,
            }
        case PostSeen():
            return {
                "saw": "post",
                "attempt_id": entry.attempt_id,
                "ping_id": entry.ping_id,
                "order": entry.order,
                "price": format_amount(entry.price_micros),
                "bid_id": entry.bid_id,
                "test": entry.test,
                "move": entry.move,
                "decision": entry.decision,
            }
        case PostAnswered():
            return {"saw": "answered", "attempt_id": entry.attempt_id, "how": entry.how}
        case Violation():
            return {"saw": "violation", "what": entry.what, "subject": entry.subject, "detail": entry.detail}


def _entry(document: Mapping[str, Any]) -> Entry:
    match document["saw"]:
        case "ping":
            bid = document["bid"]
            return PingSeen(
                ping_id=document["ping_id"],
                order=document["order"],
                move=PingMove(document["move"]),
                bid_micros=None if bid is None else _micros(bid),
                bid_id=document["bid_id"],
            )
        case "post":
            return PostSeen(
                attempt_id=document["attempt_id"],
                ping_id=document["ping_id"],
                order=document["order"],
                price_micros=_micros(document["price"]),
                bid_id=document["bid_id"],
                test=document["test"],
                move=PostMove(document["move"]),
                decision=Decision(document["decision"]),
            )
        case "answered":
            return PostAnswered(document["attempt_id"], Answered(document["how"]))
        case "violation":
            return Violation(document["what"], document["subject"], document["detail"])
        case other:
            raise ValueError(f"a log line about {other!r}")


def _micros(text: str) -> int:
    micros = parse_amount(text)
    if micros is None:
        raise ValueError(f"{text!r} is not an amount")
    return micros
