"""The live feed: what just happened, through Valkey to whoever watches. Losing it loses nothing but the view."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import orjson
import structlog

from exchange.background import stop
from exchange.observe import metrics
from exchange.storage import valkey
from exchange.storage.valkey import Valkey

CHANNEL = "exchange:feed"
PAUSE_S = 0.1
WAITING_MAX = 1_000
LOOK_S = 0.25
"""How often it is looked whether anybody watches, while nobody does."""

Item = dict[str, Any]

log = structlog.get_logger(__name__)


class Feed:
    """Publishes items in batches, ten times a second at most; while Valkey is away the oldest are dropped.

    `watched` is whether anybody has been watching lately: if not, items need not even be made.
    """

    def __init__(self, url: str) -> None:
        self.watched = True
        self._valkey = Valkey(url)
        self._waiting: deque[Item] = deque(maxlen=WAITING_MAX)
        self._arrived = asyncio.Event()
        self._publisher = asyncio.create_task(self._publish_all(), name="feed")

    def push(self, item: Item) -> None:
        """Shows an item to whoever watches. It must hold nothing that a log line may not."""
        self._waiting.append(item)
        self._arrived.set()

    async def close(self) -> None:
        await stop([self._publisher])
        await self._valkey.close()

    async def _publish_all(self) -> None:
        while True:
            if self.watched:
                await self._arrived.wait()
                await asyncio.sleep(PAUSE_S)
            else:
                await asyncio.sleep(LOOK_S)
            self._arrived.clear()
            batch, self._waiting = list(self._waiting), deque(maxlen=WAITING_MAX)
            try:
                self.watched = await self._valkey.publish(CHANNEL, orjson.dumps(batch)) > 0
            except valkey.TROUBLE as error:
                if batch:
                    metrics.FEED_ITEMS_LOST.add(amount=len(batch))
                    log.warning("feed_lost", count=len(batch), error=type(error).__name__)


async def watch(url: str) -> AsyncIterator[Item]:
    """What happens from now on, item by item. Raises one of `valkey.TROUBLE` where Valkey cannot be reached."""
    async with valkey.listening(url, CHANNEL) as next_message:
        while True:
            for item in orjson.loads(await next_message()):
                yield item
