"""Sends the outbox: each row under a lease, to where the market in force says, until it is done or dead.

A row is marked after it has been sent: a worker that is lost in between leaves it to the next one, who sends it once
more under the same id. What is sent late by a worker that was frozen is not marked by him: the epoch says so.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, assert_never

import structlog

from exchange.background import AtOnce
from exchange.carriers.outcome import Failed, Sent
from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.outbox.market import Directory
from exchange.outbox.outcome import Fate, Postponed, Skipped
from exchange.rules.backoff import pause_s
from exchange.storage import outbox
from exchange.storage.database import Database
from exchange.storage.outbox import Item

LEASE_S = 300.0
"""Longer than sending anything can take."""

UNMARKED = Failed("no worker came to say what became of its last try", is_final=True)

log = structlog.get_logger(__name__)

Outcomes = Sequence[tuple[Sequence[Item], Fate]]


class Sender(Protocol):
    """Sends rows of one scope that go together, and says what became of each."""

    async def send(self, items: Sequence[Item]) -> Outcomes: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something is tried, and how much is sent at a time, in all and to one receiver."""

    first_s: float
    longest_s: float
    tries_max: int
    at_once_max: int
    each_max: int


class Outbox:
    """Takes what is due and sends it."""

    def __init__(self, database: Database, directory: Directory, senders: Mapping[str, Sender], pace: Pace) -> None:
        """`senders` are those of the scopes `seller`, `buyer` and `order`."""
        self._database = database
        self._directory = directory
        self._senders = senders
        self._pace = pace
        self._running = AtOnce(pace.at_once_max)

    async def work_off(self, stop: asyncio.Event) -> None:
        """Sends until nothing is due that could be begun with now, or it is to stop. Raises StorageUnavailable."""
        await self._running.work_off(self.round, stop)

    async def round(self) -> int:
        """Begins with as many rows as are due and may be sent at once; returns how many. Raises StorageUnavailable."""
        room, busy = self._running.room, self._running.names
        if room <= 0:
            return 0
        taken = await outbox.take(self._database, limit=room, each_max=self._pace.each_max, busy=busy, lease_s=LEASE_S)
        if taken:  # who has nothing to send need not read a market, which takes a CPU from gateways that do just then
            await self._directory.refresh()
        for item in taken:
            self._running.start(self._see_to(item), item.target)
        return len(taken)

    async def rest(self) -> None:
        """Returns when nothing is under way."""
        await self._running.rest()

    async def close(self, grace_s: float = 0.0) -> None:
        """Stops sending, after a while for what is under way; what was not marked is sent again after its lease."""
        await self._running.close(grace_s)

    async def _see_to(self, item: Item) -> None:
        """Sees to one row, and those that go with it. Whatever fails, the lease runs out and it is taken again."""
        try:
            items = [item] if item.every_s is None else await outbox.gather(self._database, item, LEASE_S)
            if item.tries > self._pace_of(item).tries_max:
                await self._mark(items, UNMARKED)
                return
            for some, outcome in await self._senders[item.scope].send(items):
                await self._mark(some, outcome)
        except StorageUnavailable as error:
            log.warning("outbox_not_marked", name=item.target, error=str(error))
        except Exception:
            log.exception("outbox_failed", name=item.target)

    def _pace_of(self, item: Item) -> Pace:
        """How often a row is tried: as its delivery says, else as all."""
        own, usual = self._directory.retry(item), self._pace
        if own is None:
            return usual
        first_s = own.first_s or usual.first_s
        longest_s = own.longest_s or usual.longest_s
        return replace(
            usual,
            first_s=first_s,
            longest_s=max(first_s, longest_s),
            tries_max=own.tries_max or usual.tries_max,
        )

    async def _mark(self, items: Sequence[Item], outcome: Fate) -> None:
        """Records what became of rows; none of them is empty-handed: tried later, done, skipped, or dead."""
        first = items[0]
        pace = self._pace_of(first)
        match outcome:
            case Sent():
                state, marked = "sent", await outbox.done(self._database, items, outcome.detail)
            case Failed() if outcome.is_final or first.tries >= pace.tries_max:
                state, marked = "dead", await outbox.bury(self._database, items, outcome.detail)
            case Failed():
                wait_s = pause_s(first.tries, pace.first_s, pace.longest_s, random.random())  # noqa: S311
                state, marked = "failed", await outbox.put_back(self._database, items, outcome.detail, wait_s)
            case Skipped():
                state, marked = "skipped", await outbox.skip(self._database, items, outcome.detail)
            case Postponed():
                wait_s = outcome.wait_s
                state, marked = "postponed", await outbox.postpone(self._database, items, outcome.detail, wait_s)
            case _:
                assert_never(outcome)
        metrics.OUTBOX_TRIES.add((first.kind, state), len(items))
        if marked < len(items):
            log.warning("outbox_taken_over", name=first.target, count=len(items) - marked, status=state)
        if state == "dead":
            log.error("outbox_dead", name=first.target, count=len(items), detail=outcome.detail)
