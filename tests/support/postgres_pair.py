"""Two Postgres on loopback: a primary and the standby that confirms its commits, to be killed, frozen and promoted."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals
from tempfile import TemporaryDirectory
from typing import BinaryIO

import asyncpg
import psutil

from exchange.embedded import wheels
from exchange.embedded.account import Account, server_account
from exchange.embedded.places import own_directory
from exchange.ports import HOST, free_port
from support.waiting import until

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",  # no test takes the machine's power away
    "shared_buffers": "32MB",
    "max_connections": "100",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "200ms",
    "hot_standby": "on",
}


@dataclass
class Server:
    """One Postgres, with a cluster of its own."""

    name: str
    folder: Path
    port: int
    account: Account
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{HOST}:{self.port}/postgres?sslmode=disable"

    def run(self, program: str, *words: str) -> None:
        """One of Postgres's own programs."""
        command = [str(wheels.postgres_home() / "bin" / program), *words]
        done = subprocess.run(command, capture_output=True, check=False, cwd="/", **self.account.credentials())
        assert done.returncode == 0, (program, done.stderr)

    async def start(self) -> None:
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(self.port)}.items()]
        command = [str(wheels.postgres_home() / "bin" / "postgres"), "-D", str(self.folder), *settings]
        with self.folder.with_suffix(".log").open("ab") as log:
            self._launch(command, log)
        await until(self.answers, bool)

    def _launch(self, command: list[str], log: BinaryIO) -> None:
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self.account.credentials())

    async def answers(self) -> bool:
        with suppress(OSError, asyncpg.PostgresError):
            await self.ask("select 1")
            return True
        return False

    async def ask(self, query: str, *arguments: object) -> object:
        """The value of a statement on this very server, in whatever part it plays."""
        connection = await asyncpg.connect(self.url, timeout=10)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    def kill(self) -> None:
        """As when the power goes: all its processes at once."""
        self._send(SIGKILL)
        if self.process is not None:
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        self._send(SIGSTOP)

    def thaw(self) -> None:
        self._send(SIGCONT)

    def _send(self, number: Signals) -> None:
        if self.process is None:
            return
        parent = psutil.Process(self.process.pid)
        for found in (parent, *parent.children()):
            with suppress(ProcessLookupError):
                os.kill(found.pid, number)


@dataclass
class Pair:
    """The primary, and the standby, which is synchronous."""

    primary: Server
    standby: Server

    @property
    def url(self) -> str:
        """What the exchange is given."""
        hosts = ",".join(f"{HOST}:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://postgres@{hosts}/postgres?sslmode=disable"

    async def promote(self) -> None:
        """The standby is the primary from now on, and waits for nobody: it has no standby."""
        await self.standby.ask("alter system set synchronous_standby_names = ''")
        await self.standby.ask("select pg_promote()")
        await self.standby.ask("select pg_reload_conf()")

    async def follow(self) -> None:
        """The standby is synchronous and has caught up."""

        async def state() -> object:
            return await self.primary.ask("select sync_state from pg_stat_replication")

        await until(state, lambda found: found == "sync")


@asynccontextmanager
async def postgres_pair() -> AsyncIterator[Pair]:
    """Not below pytest's own folder: as root Postgres is another user, who may not pass through it."""
    account = server_account()
    with TemporaryDirectory(prefix="exchange-pair-") as name:
        folder = Path(name)
        own_directory(folder, 0o700, account.uid, account.gid)
        pair = Pair(*(Server(part, folder / part, free_port(), account) for part in ("primary", "standby")))
        try:
            await _make(pair)
            yield pair
        finally:
            for server in (pair.standby, pair.primary):
                server.kill()


async def _make(pair: Pair) -> None:
    primary, standby = pair.primary, pair.standby
    primary.run("initdb", "-D", str(primary.folder), "--username=postgres", "--auth=trust", "--locale=C", "--no-sync")
    await primary.start()
    source = f"host={HOST} port={primary.port} user=postgres application_name=standby"
    primary.run(
        "pg_basebackup", "-D", str(standby.folder), "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync"
    )
    await standby.start()
    await primary.ask("alter system set synchronous_standby_names = 'standby'")
    await primary.ask("select pg_reload_conf()")
    await pair.follow()
