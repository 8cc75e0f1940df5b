"""People who were sold, by keyed fingerprints: looked up for pings, and forgotten when their time is over.

Postgres knows; Valkey says of most people that they were never sold, which spares Postgres the question. It is believed
only while it says that it has all of them: after a loss it is filled again, and meanwhile Postgres is asked. It says so
for each of 64 parts, which lie in one place each: a node of a cluster that is lost takes its parts' word with it.
"""

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import structlog

from exchange.background import stop
from exchange.errors import StorageUnavailable
from exchange.storage.database import Connection, Database
from exchange.storage.gathering import Gathering
from exchange.storage.posts import NewPost, Plan
from exchange.storage.valkey import Valkey
from exchange.values.deadline import Deadline

LOOK_MS = 100
"""The most of a ping's time that a look may take: without an answer nobody is taken for a duplicate."""

BATCH_MAX = 500
PAGE_ROWS = 5_000
PARTS = 64
"""A person's part is said by the first bits of his fingerprint."""

FILLING_S = 60

_END_FILLING = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], 1)
return redis.call('DEL', KEYS[1])
"""
"""A Valkey that was lost in between does not know any more who was filling it."""

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mark:
    """A person was sold in a campaign, or to a buyer."""

    scope: str
    subject: str
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one person."""

    marks: tuple[Mark, ...] = ()

    def within(self, scope: str, subject: str, days: int) -> bool:
        """Whether the person was sold there in the last `days`."""
        since = datetime.now(UTC) - timedelta(days=days)
        return any((mark.scope, mark.subject) == (scope, subject) and mark.taken_at > since for mark in self.marks)


class People:
    """Looks people up. Looks that come while one is under way share the next one."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._valkey = Valkey(url)
        self._waiting: list[tuple[Sequence[bytes], asyncio.Future[Seen]]] = []
        self._arrived = asyncio.Event()
        self._marked: dict[bytes, int] = {}
        self._telling: dict[bytes, int] = {}
        self._marks_arrived = asyncio.Event()
        self._incomplete = asyncio.Event()
        self._untold: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._gathering = Gathering()

    def start(self) -> None:
        work = (self._look, self._mark, self._fill)
        self._tasks = [asyncio.create_task(item(), name=f"people{item.__name__}") for item in work]

    async def close(self) -> None:
        await stop(self._tasks)
        await self._valkey.close()

    async def seen(self, fingerprints: Sequence[bytes], deadline: Deadline) -> Seen:
        """Where this person was sold, as far as can be said in time."""
        found: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._waiting.append((fingerprints, found))
        self._arrived.set()
        done, _ = await asyncio.wait({found}, timeout=min(LOOK_MS, deadline.remaining_ms() / 4) / 1000)
        return found.result() if done else Seen()

    def sold(self, post: NewPost, plans: Iterable[Plan]) -> None:
        """A post may have been sold: its person is one to ask Postgres about from now on."""
        days = max([post.duplicate_days or 0, *(plan.duplicate_days or 0 for plan in plans)])
        if post.people and days and not post.test:
            self._marked |= dict.fromkeys(post.people, days)
            self._marks_arrived.set()

    async def _look(self) -> None:
        while True:
            await self._arrived.wait()
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            if not self._waiting:
                self._arrived.clear()
            try:
                marks = await self._find(sorted({item for asked, _ in batch for item in asked}))
            except StorageUnavailable:
                marks = {}
            except Exception:
                log.exception("people_not_looked_up")
                marks = {}
            for asked, found in batch:
                if not found.done():
                    found.set_result(Seen(tuple(mark for item in asked for mark in marks.get(item, ()))))

    async def _find(self, fingerprints: Sequence[bytes]) -> dict[bytes, list[Mark]]:
        suspects = await self._suspects(fingerprints)
        return await find(self._database, suspects) if suspects else {}

    async def _suspects(self, fingerprints: Sequence[bytes]) -> Sequence[bytes]:
        """Those that Valkey has heard of; of a part of which it cannot say so everybody."""
        parts: dict[int, list[bytes]] = {}
        for item in fingerprints:
            parts.setdefault(part_of(item), []).append(item)
        answers = await self._valkey.find([[whole(part), *map(_key, items)] for part, items in parts.items()])
        suspects: list[bytes] = []
        for items, answer in zip(parts.values(), answers, strict=True):
            if answer is None or answer[0] is None:
                suspects += items
                if answer is not None:
                    self._incomplete.set()
                continue
            untold = self._marked.keys() | self._telling.keys()
            known = zip(items, answer[1:], strict=True)
            suspects += [item for item, found in known if found is not None or item in untold]
        return suspects

    async def _mark(self) -> None:
        while True:
            await self._marks_arrived.wait()
            self._marks_arrived.clear()
            self._telling, self._marked = self._marked, {}
            if untold := await self._write([(item, timedelta(days=days)) for item, days in self._telling.items()]):
                self._untold |= untold
                self._incomplete.set()
            count, self._telling = len(self._telling), {}
            await asyncio.sleep(self._gathering.pause_s(count))

    async def _fill(self) -> None:
        """Fills the parts that Valkey has lost, or missed something of; one gateway at a time does so."""
        while True:
            await self._incomplete.wait()
            self._incomplete.clear()
            try:
                await self._fill_all()
            except StorageUnavailable as error:
                log.warning("people_not_filled", error=type(error).__name__)
            except Exception:
                log.exception("people_not_filled")
            await asyncio.sleep(1)

    async def _fill_all(self) -> None:
        await self._forget_untold()
        said = await self._valkey.find([[whole(part)] for part in range(PARTS)])
        missing = [part for part, answer in enumerate(said) if answer is not None and answer[0] is None]
        if len(missing) + len(self._untold) and None in said:
            log.warning("people_not_filled", error="Valkey is away")
        name = os.urandom(8).hex()
        taken = await self._valkey.send([("SET", _filling(part), name, "NX", "EX", FILLING_S) for part in missing])
        mine = [part for part, answer in zip(missing, taken, strict=True) if answer and not _failed(answer)]
        counts = [await self._fill_parts(parts, name) for parts in runs(mine)]
        if mine:
            log.info("people_filled", count=sum(counts))

    async def _forget_untold(self) -> None:
        """A part that missed somebody is no longer whole; where it cannot be told so, it is told later."""
        parts = sorted(self._untold)
        done = await self._valkey.send([("DEL", whole(part)) for part in parts])
        self._untold -= {part for part, answer in zip(parts, done, strict=True) if not _failed(answer)}
        if self._untold:
            self._incomplete.set()

    async def _fill_parts(self, parts: range, name: str) -> int:
        """Fills parts that lie side by side. One that was lost once more meanwhile is not whole."""
        last, end, count = bytes([parts.start * 256 // PARTS]), _end(parts), 0
        lost: set[int] = set()
        while rows := await _page(self._database, last, end):
            now = datetime.now(UTC)
            lost |= await self._write([(item, max(until - now, timedelta(seconds=1))) for item, until in rows])
            last, count = rows[-1][0], count + len(rows)
        done = [part for part in parts if part not in lost]
        await self._valkey.send([("EVAL", _END_FILLING, 2, _filling(part), whole(part), name) for part in done])
        return count

    async def _write(self, people: Sequence[tuple[bytes, timedelta]]) -> set[int]:
        """The parts that could not be written to."""
        seconds = [(item, max(1, int(kept.total_seconds()))) for item, kept in people]
        done = await self._valkey.send([("SET", _key(item), 1, "EX", kept) for item, kept in seconds])
        return {part_of(item) for (item, _), answer in zip(people, done, strict=True) if _failed(answer)}


async def find(database: Database, fingerprints: Sequence[bytes]) -> dict[bytes, list[Mark]]:
    """Where these were sold."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select fingerprint, scope, subject, taken_at from fingerprints where fingerprint = any ($1)", fingerprints
        )
    )
    found: dict[bytes, list[Mark]] = {}
    for row in rows:
        found.setdefault(row["fingerprint"], []).append(Mark(row["scope"], row["subject"], row["taken_at"]))
    return found


async def erase_fingerprints(connection: Connection, post_id: UUID) -> int:
    """Forgets the person of a post, who may be sold again from then on; returns how many rows that were."""
    done = await connection.execute("delete from fingerprints where post_id = $1", post_id)
    return int(done.rpartition(" ")[2])


async def forget_expired(database: Database) -> int:
    """Forgets people whose windows have passed; returns how many rows that were."""
    done = await database.run(
        lambda connection: connection.execute("delete from fingerprints where expires_at < now()")
    )
    return int(done.rpartition(" ")[2])


async def _page(database: Database, after: bytes, end: bytes | None) -> list[tuple[bytes, datetime]]:
    rows = await database.run(
        lambda connection: connection.fetch(
            "select fingerprint, max(expires_at) as expires_at from fingerprints where fingerprint > $1 "
            "and ($2::bytea is null or fingerprint < $2) and expires_at > now() group by 1 order by 1 limit $3",
            after,
            end,
            PAGE_ROWS,
        )
    )
    return [(row["fingerprint"], row["expires_at"]) for row in rows]


def part_of(fingerprint: bytes) -> int:
    """The part that a person is in."""
    return fingerprint[0] * PARTS // 256


def whole(part: int) -> str:
    """The key that is there while Valkey has everybody of a part."""
    return f"exchange:people:{{p{part}}}:whole"


def _filling(part: int) -> str:
    return f"exchange:people:{{p{part}}}:filling"


def _key(fingerprint: bytes) -> str:
    return f"exchange:person:{{p{part_of(fingerprint)}}}:{fingerprint.hex()}"


def _end(parts: range) -> bytes | None:
    return None if parts.stop == PARTS else bytes([parts.stop * 256 // PARTS])


def runs(parts: Sequence[int]) -> list[range]:
    """Ascending numbers as ranges without gaps."""
    found: list[range] = []
    for part in parts:
        if found and found[-1].stop == part:
            found[-1] = range(found[-1].start, part + 1)
        else:
            found.append(range(part, part + 1))
    return found


def _failed(answer: object) -> bool:
    return isinstance(answer, Exception)
