"""A Valkey Cluster on loopback: three primaries without replicas, to be killed, frozen and moved about."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals
from tempfile import TemporaryDirectory

from redis.asyncio import Redis
from redis.exceptions import RedisError

from exchange.embedded import wheels
from exchange.ports import END, HOST, free_port, is_free
from support.waiting import until

SLOTS = 16384
BUS = 10_000
"""So much above its port a node listens for the others."""
SETTINGS = {
    "bind": HOST,
    "save": "",
    "appendonly": "no",
    "cluster-enabled": "yes",
    "cluster-config-file": "nodes.conf",
    "cluster-node-timeout": "1000",
    "cluster-require-full-coverage": "no",
    "cluster-allow-replica-migration": "no",
}


def cluster_port() -> int:
    """A free port whose cluster bus is free as well."""
    while (port := free_port()) + BUS >= END or not is_free(port + BUS):
        continue
    return port


@dataclass
class Node:
    """One primary, and the slots that it has."""

    folder: Path
    slots: range
    port: int = field(default_factory=cluster_port)
    process: "subprocess.Popen[bytes] | None" = None

    async def start(self) -> None:
        """As it was when it was killed, without what it held."""
        self.folder.mkdir(exist_ok=True)
        settings = {"dir": str(self.folder), "port": str(self.port), **SETTINGS}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        command = [str(wheels.valkey_server()), *words]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220  # it returns at once
        await until(self.answers, bool)

    async def answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"it ended: {(self.folder / 'log').read_text()[-400:]}")
        with suppress(OSError, RedisError):
            return bool(await self.ask("PING"))
        return False

    async def ask(self, *words: str | int) -> object:
        """The answer of this very node."""
        async with Redis(host=HOST, port=self.port, socket_timeout=5) as client:
            return await client.execute_command(*words)  # type: ignore[no-untyped-call]  # of a library without types

    async def name(self) -> str:
        """Its name in the cluster."""
        found = await self.ask("CLUSTER", "MYID")
        assert isinstance(found, bytes)
        return found.decode()

    def kill(self) -> None:
        self.signal(SIGKILL)
        if self.process is not None:
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        self.signal(SIGSTOP)

    def thaw(self) -> None:
        self.signal(SIGCONT)

    def signal(self, number: Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)


@dataclass(frozen=True)
class Cluster:
    """The nodes."""

    nodes: list[Node]

    @property
    def url(self) -> str:
        """What the exchange is given: two of the nodes, for it finds the third."""
        return "valkey+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes[:2])

    async def settle(self) -> None:
        """Every node says that all is well."""

        async def is_well() -> bool:
            said = [str(await node.ask("CLUSTER", "INFO")) for node in self.nodes]
            return all("cluster_state:ok" in text and "cluster_slots_ok:16384" in text for text in said)

        await until(is_well, bool, within_s=30)

    def owner(self, slot: int) -> Node:
        return next(node for node in self.nodes if slot in node.slots)


@asynccontextmanager
async def valkey_cluster() -> AsyncIterator[Cluster]:
    with TemporaryDirectory(prefix="exchange-cluster-") as name:
        bounds = [0, 5461, 10923, SLOTS]
        nodes = [Node(Path(name) / str(at), range(bounds[at], bounds[at + 1])) for at in range(3)]
        cluster = Cluster(nodes)
        try:
            for at, node in enumerate(nodes):
                await node.start()
                await node.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
                await node.ask("CLUSTER", "ADDSLOTSRANGE", node.slots.start, node.slots.stop - 1)
                await node.ask("CLUSTER", "MEET", HOST, nodes[0].port)
            await cluster.settle()
            yield cluster
        finally:
            for node in nodes:
                node.kill()
