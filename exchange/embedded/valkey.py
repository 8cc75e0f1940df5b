"""Valkey in a data directory: on a Unix socket only, and in memory only: all it holds can be rebuilt."""

import socket
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import ClassVar

from exchange.embedded import wheels
from exchange.embedded.account import open_way
from exchange.embedded.places import own_directory, valkey_socket
from exchange.embedded.processes import StopSteps
from exchange.embedded.server import Server

_ANSWER_S_MAX = 30.0


class Valkey(Server):
    """The Valkey of a data directory."""

    title = "Valkey"
    setting = "EXCHANGE_VALKEY_URL"
    stop_steps: ClassVar[StopSteps] = ((SIGTERM, 5.0), (SIGKILL, 5.0))

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def log_file(self) -> Path:
        return self.places.data_dir / "valkey.log"

    @property
    def marks(self) -> list[str]:
        return [f" --dir {self._home} "]

    @property
    def _socket(self) -> Path:
        return valkey_socket(self.sockets)

    @property
    def _home(self) -> Path:
        return self.places.data_dir / "valkey"

    def prepare(self) -> list[str]:
        self._program = wheels.valkey_server()
        for directory in (self._home, self._socket.parent):
            own_directory(directory, 0o700, self.account.uid, self.account.gid)
        if not self.account.switch:
            return []
        ways = (self._program.parent, self._home, self._socket.parent)
        return wheels.make_readable([self._program.parent]) + [
            notice for way in ways for notice in open_way(way, self.account)
        ]

    def _start(self) -> None:
        self._stop_leftover(self.pid_file)
        # fmt: off
        process = self._launch([
            self._program,
            "--dir", self._home,
            "--set-proc-title", "no",  # or nobody could tell whose server it is
            "--port", "0",
            "--unixsocket", self._socket,
            "--unixsocketperm", "700",
            "--save", "",
            "--appendonly", "no",
            "--maxmemory-policy", "noeviction",
            "--daemonize", "no",
        ])
        # fmt: on
        self._await(process, self._answers, _ANSWER_S_MAX)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False  # not yet
