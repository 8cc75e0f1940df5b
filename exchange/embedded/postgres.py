"""PostgreSQL in a data directory: its cluster made whole or not at all, on a Unix socket only, every commit synced."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT
from typing import ClassVar

from exchange.embedded import wheels
from exchange.embedded.account import open_way
from exchange.embedded.places import own_directory, postgres_socket_dir
from exchange.embedded.processes import StopSteps, read_pid
from exchange.embedded.server import Server, log

WAL_FILE_MB, SPARE_WAL_FILES = 16, 6
"""A file of the log that is new is filled with zeros and synced in the middle of a commit, and all others wait for it.
So a new cluster has some ready, and each checkpoint leaves that many of those that are not needed any more."""

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # part of the socket's name
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "min_wal_size": f"{WAL_FILE_MB * (SPARE_WAL_FILES + 1)}MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",  # the log is the file that the keeper gives it
    "cluster_name": "exchange",
}
_ALL_AT_ONCE = ["--sync-method=syncfs"] if sys.platform == "linux" else []  # not a thousand files one by one

_FIRST_STATEMENTS = b"CREATE DATABASE exchange\n" + SPARE_WAL_FILES * (
    b"SELECT pg_logical_emit_message(true, 'exchange', '')\nSELECT pg_switch_wal()\n"
)
"""Each file has to hold something, or there is no next one; ending, the server makes those behind it ready for use."""


class Postgres(Server):
    """The Postgres of a data directory."""

    title = "Postgres"
    setting = "EXCHANGE_POSTGRES_URL"
    stop_steps: ClassVar[StopSteps] = ((SIGINT, 20.0), (SIGQUIT, 5.0), (SIGKILL, 5.0))

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/exchange?host={self._socket_dir}&port=5432"

    @property
    def log_file(self) -> Path:
        return self.places.data_dir / "postgres.log"

    @property
    def _socket_dir(self) -> Path:
        return postgres_socket_dir(self.sockets)

    @property
    def _cluster(self) -> Path:
        return self.places.data_dir / "postgres"

    @property
    def marks(self) -> list[str]:
        return [f" -D {self._cluster} ", f" -D {self._cluster}.new-"]

    @property
    def _own_pid_file(self) -> Path:
        return self._cluster / "postmaster.pid"

    def prepare(self) -> list[str]:
        self._bin = wheels.postgres_home() / "bin"
        for directory in (self._cluster, self._socket_dir):
            own_directory(directory, 0o700, self.account.uid, self.account.gid)
        if not self.account.switch:
            return []
        trees = wheels.postgres_trees()
        return wheels.make_readable(trees) + [
            notice for way in (*trees, self._cluster, self._socket_dir) for notice in open_way(way, self.account)
        ]

    def _start(self) -> None:
        for pid_file in (self.pid_file, self._own_pid_file):
            self._stop_leftover(pid_file)
        self._make_cluster()
        self._check_version()
        stale_pid = read_pid(self._own_pid_file)
        for stale in self._socket_dir.glob(".s.PGSQL.*"):
            stale.unlink()
        settings = {**SETTINGS, "unix_socket_directories": str(self._socket_dir)}
        process = self._launch(
            [self._bin / "postgres", "-D", self._cluster, *(f"--{name}={value}" for name, value in settings.items())],
            # The id that a crashed server left in its pid file may belong to somebody else by now, whom Postgres would
            # take for a server. This says that it is none; Postgres's check for memory still in use stays.
            {"PG_GRANDPARENT_PID": str(stale_pid)} if stale_pid else {},
        )
        # As long as it takes: it may have a crash to recover from.
        self._await(process, lambda: self._answers(process.pid))

    def _make_cluster(self) -> None:
        """Makes the cluster aside and moves it into place when it is complete and on disk."""
        for unfinished in self.places.data_dir.glob("postgres.new-*"):
            shutil.rmtree(unfinished, ignore_errors=True)  # its name is not used again; the next start tries once more
        if any(self._cluster.iterdir()):
            return
        log("making a new Postgres cluster")
        aside = self.places.data_dir / f"postgres.new-{os.getpid()}"
        own_directory(aside, 0o700, self.account.uid, self.account.gid)
        initdb = (self._bin / "initdb", "-D", aside)
        wishes = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        self._run([*initdb, *wishes, "--no-sync"])
        single = (self._bin / "postgres", "--single", "-D", aside, "-c", f"min_wal_size={SETTINGS['min_wal_size']}")
        self._run([*single, "-F", "-c", "exit_on_error=on", "template1"], _FIRST_STATEMENTS)
        self._run([*initdb, "--sync-only", *_ALL_AT_ONCE])
        aside.rename(self._cluster)
        directory = os.open(self.places.data_dir, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _check_version(self) -> None:
        try:
            theirs = (self._cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise self.failure(f"{self._cluster} holds something else than a Postgres cluster") from None
        program = [str(self._bin / "postgres"), "--version"]
        told = subprocess.run(program, capture_output=True, text=True, check=False, **self.account.credentials())  # noqa: S603  # no shell
        if told.returncode != 0:
            raise self.failure(f"its program does not run: {told.stderr.strip()}")
        ours = told.stdout.split()[-1]
        if ours.split(".")[0] != theirs:
            raise self.failure(
                f"its data was made by PostgreSQL {theirs} and this is PostgreSQL {ours}; "
                f"move it with pg_dump and a PostgreSQL {theirs}, or start with an empty directory"
            )

    def _answers(self, pid: int) -> bool:
        """Whether the server says so in its pid file, as `pg_ctl` reads it."""
        try:
            lines = self._own_pid_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
