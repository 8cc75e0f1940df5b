"""The way to Valkey: one server, or a cluster whose nodes hold a part of the keys and channels each.

Nothing is sent again by itself, and nothing waits long: what Valkey holds are hints.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from redis._parsers import AsyncCommandsParser
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisClusterException, RedisError

TROUBLE = (RedisError, RedisClusterException, OSError)
"""What a Valkey that is away, or half away, makes the library raise."""

CLUSTER = "+cluster"
DEFAULT_PORT = 6379
TIMEOUT_S = 1.0
LOOK_EVERY_S = 1.0
QUIET_S = 15.0
"""After so much silence a server that should send messages is asked whether it is there."""

Command = Sequence[str | bytes | int]
Next = Callable[[], Awaitable[bytes]]


class Valkey:
    """A client for commands. In a cluster it learns by itself where keys are, also after they have moved."""

    def __init__(self, url: str) -> None:
        self.is_cluster = is_cluster(url)
        timeouts = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "retry": Retry(NoBackoff(), 0)}
        self.client: Any = _cluster(url, **timeouts) if self.is_cluster else _single(url, **timeouts)
        """`Redis` and `RedisCluster` are no relatives."""
        self._looked_s = -LOOK_EVERY_S

    async def close(self) -> None:
        await self.client.aclose()

    async def publish(self, channel: str, data: bytes) -> int:
        """How many have heard it. Raises one of TROUBLE."""
        publish = self.client.spublish if self.is_cluster else self.client.publish
        heard: int = await publish(channel, data)
        return heard

    async def find(self, groups: Sequence[Sequence[str]]) -> list[Sequence[bytes | None] | None]:
        """The values of keys, those of a group at one moment; None for a group that cannot be asked.

        In a cluster all keys of a group have the same part in braces, so that they lie together.
        """
        if self.is_cluster:
            answers = await self.send([("MGET", *group) for group in groups])
            return [None if isinstance(answer, Exception) else answer for answer in answers]
        try:
            found = iter(await self.client.mget([key for group in groups for key in group]))
        except TROUBLE:
            return [None] * len(groups)
        return [[next(found) for _ in group] for group in groups]

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Sends commands together, each to where its keys are; the answer of each, or what it failed with."""
        if not self.is_cluster:
            return await self._send(commands)
        answers: list[Any] = [Lost("not asked")] * len(commands)
        groups = await self._by_node(commands)
        for places, found in zip(
            groups, await asyncio.gather(*(self._send([commands[at] for at in group]) for group in groups)), strict=True
        ):
            for at, answer in zip(places, found, strict=True):
                answers[at] = answer
        if any(isinstance(answer, TROUBLE) for answer in answers):
            await self._look_again()
        return answers

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        """One node's commands: the library fails all that it sends together where it cannot connect to one node."""
        if not commands:
            return []
        try:
            async with self.client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                answers: list[Any] = await pipeline.execute(raise_on_error=False)
                return answers
        except TROUBLE as error:
            return [error] * len(commands)

    async def _by_node(self, commands: Sequence[Command]) -> list[list[int]]:
        """The places of commands that go to the same node; those that no node has are left out."""
        groups: dict[str, list[int]] = {}
        with suppress(*TROUBLE):
            await self.client.initialize()
            for at, command in enumerate(commands):
                with suppress(RedisClusterException):
                    node = self.client.get_node_from_key(_key_of(command))
                    groups.setdefault(node.name, []).append(at)
        return list(groups.values())

    async def _look_again(self) -> None:
        """Has it found out again where the keys are, when it is next used; now and then, for that costs something."""
        if time.monotonic() - self._looked_s > LOOK_EVERY_S:
            self._looked_s = time.monotonic()
            await self.client.aclose()

    async def describe(self) -> str:
        """Its version, and what there is of a cluster. Raises one of TROUBLE."""
        if not self.is_cluster:
            return f"version {(await self.client.info('server'))['valkey_version']}"
        await self.client.initialize()
        node = self.client.get_random_node()
        info = await self.client.info("server", target_nodes=node)
        cluster = await self.client.cluster_info(target_nodes=node)
        if cluster["cluster_state"] != "ok":
            raise Lost(
                f"the cluster is {cluster['cluster_state']}: {cluster['cluster_slots_ok']} of 16384 slots are well"
            )
        return f"version {info['valkey_version']}, {len(self.client.get_primaries())} primaries of a cluster"


@asynccontextmanager
async def listening(url: str, channel: str) -> AsyncIterator[Next]:
    """Gives what waits for the next message, as long as it takes. Both raise one of TROUBLE when Valkey is lost."""
    server = await _owner(url, channel) if is_cluster(url) else _single(url, socket_connect_timeout=TIMEOUT_S)
    async with server, server.pubsub() as subscription:
        await (subscription.ssubscribe if is_cluster(url) else subscription.subscribe)(channel)

        async def next_message() -> bytes:
            asked = False
            while True:
                found = await subscription.get_message(timeout=QUIET_S)
                if found is None:
                    if asked:
                        raise Lost("Valkey is silent")
                    await subscription.ping()
                    asked = True
                elif found["type"] in {"message", "smessage"}:
                    data: bytes = found["data"]
                    return data
                elif found["type"] == "sunsubscribe":
                    raise Lost("the channel has moved to another node")
                else:
                    asked = False

        yield next_message


def _key_of(command: Command) -> str:
    return str(command[3 if command[0] == "EVAL" else 1])


class _Commands(AsyncCommandsParser):
    """Learns of any node where keys stand in commands: the library asks one alone, which may be gone."""

    def __init__(self, cluster: RedisCluster) -> None:
        super().__init__()
        self._cluster = cluster

    async def initialize(self, node: ClusterNode | None = None) -> None:
        error: Exception = Lost("no node of the cluster is known")
        for candidate in [found for found in (node, *self._cluster.get_primaries()) if found is not None]:
            try:
                await super().initialize(candidate)
            except (RedisError, OSError) as found:
                error = found
            else:
                return
        raise error


def is_cluster(url: str) -> bool:
    """Whether a URL is that of a cluster: `valkey+cluster://`."""
    return urlsplit(url).scheme.endswith(CLUSTER)


def nodes(url: str) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """The nodes that a cluster's URL names, and how to log in to any of its nodes."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    scheme = _scheme(parts.scheme.removesuffix(CLUSTER))
    options = dict(parse_url(f"{scheme}://{login}{at}node?{parts.query}"))
    options.pop("host")
    if options.pop("connection_class", None) is not None:
        options["ssl"] = True
    return [_node(host) for host in hosts.split(",")], options


def _node(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isdigit() else (text.strip("[]"), DEFAULT_PORT)


def _scheme(name: str) -> str:
    return {"valkey": "redis", "valkeys": "rediss"}.get(name, name)


def _single(url: str, **options: Any) -> "Redis":
    scheme, colon, rest = url.partition(":")
    return Redis.from_url(f"{_scheme(scheme)}{colon}{rest}", **options)


def _cluster(url: str, **options: Any) -> RedisCluster:
    """One that serves what it can, where some of its nodes are away."""
    named, login = nodes(url)
    startup = [ClusterNode(host, port) for host, port in named]
    client = RedisCluster(startup_nodes=startup, require_full_coverage=False, **login, **options)
    client.commands_parser = _Commands(client)
    return client


async def _owner(url: str, channel: str) -> "Redis":
    """The node that a channel belongs to. Raises one of TROUBLE."""
    retry = Retry(NoBackoff(), 0)
    client = _cluster(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=retry)
    async with client:
        node = client.get_node_from_key(channel)
    if node is None:
        raise Lost("no node has the channel")
    return Redis(host=node.host, port=int(node.port), socket_connect_timeout=TIMEOUT_S, **nodes(url)[1])
