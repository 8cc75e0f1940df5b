"""People who were sold, by keyed fingerprints: looked up for pings, and forgotten when their time is over.

Postgres knows; Valkey says of most people that they were never sold, which spares Postgres the question. It is believed
only while it says that it has all of them: after a loss it is filled again, and meanwhile Postgres is asked.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from exchange.background import stop
from exchange.errors import StorageUnavailable
from exchange.storage import feed
from exchange.storage.database import Connection, Database
from exchange.storage.posts import NewPost, Plan
from exchange.values.deadline import Deadline

LOOK_MS = 100
"""The most of a ping's time that a look may take: without an answer nobody is taken for a duplicate."""

PAUSE_S = 0.05
"""The least time between two tellings of Valkey who was sold; those who are sold meanwhile are told together."""

BATCH_MAX = 500
PAGE_ROWS = 5_000
WHOLE = "exchange:people:whole"
"""Is there while Valkey has everybody."""

FILLING = "exchange:people:filling"
FILLING_S = 60

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
        self._client = feed.connect(url)
        self._waiting: list[tuple[Sequence[bytes], asyncio.Future[Seen]]] = []
        self._arrived = asyncio.Event()
        self._marked: dict[bytes, int] = {}
        self._telling: dict[bytes, int] = {}
        self._marks_arrived = asyncio.Event()
        self._incomplete = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        work = (self._look, self._mark, self._fill)
        self._tasks = [asyncio.create_task(item(), name=f"people{item.__name__}") for item in work]

    async def close(self) -> None:
        await stop(self._tasks)
        await self._client.aclose()

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
        """Those that Valkey has heard of; everybody where it cannot say so."""
        try:
            whole, *known = await self._client.mget([WHOLE, *map(_key, fingerprints)])
        except (RedisError, OSError):
            return fingerprints
        if whole is None:
            self._incomplete.set()
            return fingerprints
        untold = self._marked.keys() | self._telling.keys()
        return [item for item, found in zip(fingerprints, known, strict=True) if found is not None or item in untold]

    async def _mark(self) -> None:
        while True:
            await self._marks_arrived.wait()
            self._marks_arrived.clear()
            self._telling, self._marked = self._marked, {}
            with suppress(RedisError, OSError):  # it is filled again when it comes back without them
                await self._write([(item, timedelta(days=days)) for item, days in self._telling.items()])
            self._telling = {}
            await asyncio.sleep(PAUSE_S)

    async def _fill(self) -> None:
        """Fills a Valkey that has lost people; one gateway at a time does so."""
        while True:
            await self._incomplete.wait()
            self._incomplete.clear()
            try:
                is_whole = await self._client.exists(WHOLE)
                if not is_whole and await self._client.set(FILLING, 1, nx=True, ex=FILLING_S):
                    await self._fill_once()
            except (RedisError, OSError, StorageUnavailable) as error:
                log.warning("people_not_filled", error=type(error).__name__)
            except Exception:
                log.exception("people_not_filled")
            await asyncio.sleep(1)

    async def _fill_once(self) -> None:
        last, count = b"", 0
        while rows := await _page(self._database, last):
            now = datetime.now(UTC)
            await self._write([(item, max(expires_at - now, timedelta(seconds=1))) for item, expires_at in rows])
            last, count = rows[-1][0], count + len(rows)
        await self._client.set(WHOLE, 1)
        await self._client.delete(FILLING)
        log.info("people_filled", count=count)

    async def _write(self, people: Iterable[tuple[bytes, timedelta]]) -> None:
        async with self._client.pipeline(transaction=False) as pipeline:
            for item, kept in people:
                pipeline.set(_key(item), 1, ex=kept)
            await pipeline.execute()


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


async def _page(database: Database, after: bytes) -> list[tuple[bytes, datetime]]:
    rows = await database.run(
        lambda connection: connection.fetch(
            "select fingerprint, max(expires_at) as expires_at from fingerprints where fingerprint > $1 "
            "and expires_at > now() group by 1 order by 1 limit $2",
            after,
            PAGE_ROWS,
        )
    )
    return [(row["fingerprint"], row["expires_at"]) for row in rows]


def _key(fingerprint: bytes) -> str:
    return f"exchange:person:{fingerprint.hex()}"
