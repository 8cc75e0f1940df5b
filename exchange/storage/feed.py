"""The live feed: what just happened, through Valkey to whoever watches. Losing it loses nothing but the view."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from exchange.background import stop
from exchange.observe import metrics

CHANNEL = "exchange:feed"
PAUSE_S = 0.1
WAITING_MAX = 1_000
LOOK_S = 0.25
"""How often it is looked whether anybody watches, while nobody does."""
TIMEOUT_S = 1.0

Item = dict[str, Any]

log = structlog.get_logger(__name__)


def connect(url: str) -> "Redis":
    """A client that never re-sends a command by itself, and never waits long."""
    retry = Retry(NoBackoff(), 0)
    return Redis.from_url(url, retry=retry, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)


def listener(url: str) -> "Redis":
    """A client that waits for messages as long as it takes."""
    return Redis.from_url(url, socket_connect_timeout=TIMEOUT_S)


class Feed:
    """Publishes items in batches, ten times a second at most; while Valkey is away the oldest are dropped.

    `watched` is whether anybody has been watching lately: if not, items need not even be made.
    """

    def __init__(self, url: str) -> None:
        self.watched = True
        self._client = connect(url)
        self._waiting: deque[Item] = deque(maxlen=WAITING_MAX)
        self._arrived = asyncio.Event()
        self._publisher = asyncio.create_task(self._publish_all(), name="feed")

    def push(self, item: Item) -> None:
        """Shows an item to whoever watches. It must hold nothing that a log line may not."""
        self._waiting.append(item)
        self._arrived.set()

    async def close(self) -> None:
        await stop([self._publisher])
        await self._client.aclose()

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
                self.watched = await self._client.publish(CHANNEL, orjson.dumps(batch)) > 0
            except (RedisError, OSError) as error:
                if batch:
                    metrics.FEED_ITEMS_LOST.add(amount=len(batch))
                    log.warning("feed_lost", count=len(batch), error=type(error).__name__)


async def watch(url: str) -> AsyncIterator[Item]:
    """What happens from now on, item by item. Raises RedisError where Valkey cannot be reached."""
    client = listener(url)
    async with client, client.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        async for message in subscription.listen():
            if message["type"] == "message":
                for item in orjson.loads(message["data"]):
                    yield item
