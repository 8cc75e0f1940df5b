"""Hints: what gateways tell one another about caps through Valkey, and what each reads again from Postgres.

A gateway looks at what its own sales have counted as soon as they are committed, and passes it on. Whatever is lost on
the way is seen at the next full look, a second later. Nothing here decides: a wrong hint costs an offer or two.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import structlog

from exchange.background import stop
from exchange.errors import StorageUnavailable
from exchange.pauses import Steps
from exchange.rules.caps import AnyCap, Scope
from exchange.rules.estimates import Open, Row
from exchange.rules.passed import Key
from exchange.rules.room import Room
from exchange.storage import caps, valkey
from exchange.storage.database import Database
from exchange.storage.gathering import Gathering
from exchange.storage.posts import NewPost, Plan
from exchange.storage.valkey import Valkey

CHANNEL = "exchange:caps"
REFRESH_EVERY_S = 1.0
REFRESH_SHARE = 20
"""A full look takes at most one part in so many of the time."""

TELL_EVERY_S = 1.0
"""How often offers that matter are told again, for gateways that have missed them."""

Name = tuple[str, str]
Message = dict[str, Any]

log = structlog.get_logger(__name__)


class Hints:
    """Keeps a gateway's `room` up to date."""

    def __init__(self, database: Database, url: str) -> None:
        self._news = asyncio.Event()
        self.room = Room(self._news.set)
        self._database = database
        self._url = url
        self._valkey = Valkey(url)
        self._name = os.urandom(6).hex()
        self._to_look: set[Name] = set()
        self._posted: set[UUID] = set()
        self._limits_changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._gathering = Gathering()
        self._storing: asyncio.Future[None] | None = None

    async def limit(self, limits: Sequence[AnyCap], zones: dict[str, str]) -> None:
        """Sets the limits in force, and the campaigns' zones, in small steps."""
        await Steps().through(self.room.limiting(limits, zones, datetime.now(UTC)))
        self._limits_changed.set()

    async def start(self) -> None:
        """Looks at everything once, then keeps following it. Raises StorageUnavailable where it cannot be read."""
        await self._look_at_all()
        work = (self._refresh, self._tell, self._hear)
        self._tasks = [asyncio.create_task(item(), name=f"hints{item.__name__}") for item in work]

    async def close(self) -> None:
        await stop(self._tasks)
        await self._store_passed()
        await self._valkey.close()

    def counted(self, post: NewPost, plans: Iterable[Plan]) -> None:
        """These attempts have changed what is counted, or were refused for it: it is looked at again, and told."""
        names = {("seller", post.seller), ("campaign", post.campaign)}
        for plan in plans:
            names |= {("order", plan.order), *(cap.scope[:2] for cap in plan.caps)}
        if not post.test and (found := names & self.room.limited):
            self._to_look |= found
            self._posted.add(post.ping_id)
            self._news.set()

    async def _refresh(self) -> None:
        while True:
            began_s = time.monotonic()
            try:
                await self._store_passed()
                await self._look_at_all()
            except StorageUnavailable as error:
                log.warning("caps_not_compared", error=str(error))
            except Exception:
                log.exception("caps_not_followed")  # whatever it was, the next look must be made
            took_s = time.monotonic() - began_s
            with suppress(TimeoutError):
                async with asyncio.timeout(max(REFRESH_EVERY_S, REFRESH_SHARE * took_s)):
                    await self._limits_changed.wait()  # what a new market limits is to hold within two seconds
            self._limits_changed.clear()

    async def _store_passed(self) -> None:
        """What filters have let through goes to Postgres. Where that fails it is lost: it must not count twice."""
        if self._storing is not None:
            await asyncio.wait({self._storing})
        if passed := self.room.passed.take():
            self._storing = asyncio.ensure_future(self._add_passed(passed))
            await asyncio.shield(self._storing)  # who stops this gateway lets it end

    async def _add_passed(self, passed: Mapping[Key, int]) -> None:
        try:
            await caps.add_passed(self._database, passed)
        except StorageUnavailable as error:
            log.warning("let_through_lost", count=sum(passed.values()), error=str(error))

    async def _look_at_all(self) -> None:
        self.room.tick(datetime.now(UTC), time.monotonic())
        rows: list[Row] = []
        while self.room.limited and (rows := await caps.page(self._database, rows[-1] if rows else None)):
            self.room.count(rows, datetime.now(UTC))
            if len(rows) < caps.CHUNK_ROWS:
                return

    async def _tell(self) -> None:
        """Looks at what has changed and passes it on."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TELL_EVERY_S):
                    await self._news.wait()
            self._news.clear()
            count = len(self._posted)
            try:
                await self._tell_news()
            except (StorageUnavailable, *valkey.TROUBLE) as error:
                log.warning("hints_lost", error=type(error).__name__)
            except Exception:
                log.exception("hints_not_told")  # whatever it was, the next news must go out
            await asyncio.sleep(self._gathering.pause_s(count))

    async def _tell_news(self) -> None:
        names, self._to_look = self._to_look, set()
        posted, self._posted = self._posted, set()
        rows = await caps.of_subjects(self._database, names) if names else []
        self.room.count(rows, datetime.now(UTC))
        for ping_id in posted:
            self.room.posted(ping_id)
        changed, self.room.changed = {*self.room.changed, *self.room.near()}, set()
        said = [(scope, self.room.tell(scope)) for scope in changed]
        open_offers = [(*scope, *found) for scope, found in said if found is not None]
        if rows or posted or open_offers:
            message = {"from": self._name, "rows": list(map(tuple, rows)), "posted": posted, "open": open_offers}
            await self._valkey.publish(CHANNEL, orjson.dumps(message, default=list))

    async def _hear(self) -> None:
        """Listens to the other gateways, and again when Valkey was away."""
        while True:
            try:
                async with valkey.listening(self._url, CHANNEL) as next_message:
                    while True:
                        self._take(orjson.loads(await next_message()))
            except valkey.TROUBLE:
                await asyncio.sleep(REFRESH_EVERY_S)
            except Exception:
                log.exception("hints_not_understood")
                await asyncio.sleep(REFRESH_EVERY_S)

    def _take(self, message: Message) -> None:
        if message["from"] == self._name:
            return
        now_s = time.monotonic()
        self.room.count([Row(*found) for found in message["rows"]], datetime.now(UTC))
        for item in message["posted"]:
            self.room.posted(UUID(item))
        for *scope, offers, micros in message["open"]:
            self.room.hear(message["from"], Scope(*scope), Open(offers, micros), now_s)
