"""A farm of simulated buyers in one process, one port each, some of which close their door now and then."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from exchange.ports import HOST
from exchange.simulation.buyer import Buyer
from exchange.simulation.conduct import closed_phase
from exchange.simulation.http_server import HttpConnection
from exchange.simulation.manners import Manners
from exchange.simulation.witness import LogWriter, PostSeen, read_log

ROUND_S = 20.0  # how often a buyer with closing hours closes
BACKLOG = 1024


class Farm:
    """Buyers on the ports from `base_port` on (0: any free ones), with one log each in `log_dir` (None: no logs)."""

    def __init__(
        self,
        buyers: Sequence[Manners],
        *,
        seed: int,
        base_port: int = 0,
        log_dir: Path | None = None,
        round_s: float = ROUND_S,
    ) -> None:
        self._manners = tuple(buyers)
        self._seed = seed
        self._base_port = base_port
        self._log_dir = log_dir
        self._round_s = round_s
        self._stalls: list[_Stall] = []

    @property
    def ports(self) -> Mapping[str, int]:
        """The port of each buyer, by name."""
        return {stall.name: stall.port for stall in self._stalls}

    async def start(self) -> None:
        """Opens every door. Raises OSError, with nothing left open, if a port or log cannot be had."""
        if self._log_dir is not None:
            self._log_dir.mkdir(parents=True, exist_ok=True)
        try:
            for index, manners in enumerate(self._manners):
                stall = self._build(manners, self._base_port + index if self._base_port else 0)
                self._stalls.append(stall)
                await stall.open()
        except OSError:
            await self.close()
            raise
        for stall in self._stalls:
            stall.keep_hours(self._round_s, closed_phase(stall.manners, self._seed))

    async def close(self) -> None:
        """Hangs up on everybody and closes all ports and logs."""
        for stall in self._stalls:
            await stall.close()
        self._stalls.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _build(self, manners: Manners, port: int) -> "_Stall":
        path = None if self._log_dir is None else self._log_dir / f"{manners.name}.jsonl"
        earlier = read_log(path).entries if path is not None and path.exists() else ()
        log = LogWriter(path)
        try:
            buyer = Buyer(manners, self._seed, log)
            buyer.remember(entry.attempt_id for entry in earlier if isinstance(entry, PostSeen))
            return _Stall(buyer, log, port)
        except OSError:
            log.close()
            raise


class _Stall:
    """One buyer's port. While his door is closed the port stays bound with nobody listening: calls are refused."""

    def __init__(self, buyer: Buyer, log: LogWriter, port: int) -> None:
        self.manners = buyer.manners
        self._buyer = buyer
        self._log = log
        self._socket = _bound_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._hours: asyncio.Task[None] | None = None
        self._connections: set[HttpConnection] = set()

    @property
    def name(self) -> str:
        return self.manners.name

    async def open(self) -> None:
        if self.manners.closed_pct >= 100 or self._server is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: HttpConnection(self._buyer.handle, self._connections), sock=self._socket, backlog=BACKLOG
        )

    def shut(self) -> None:
        """Nobody is let in any more; calls under way are answered, then their connections close."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._socket = _bound_socket(self.port)
        for connection in tuple(self._connections):
            connection.close_when_idle()

    def keep_hours(self, round_s: float, phase: float) -> None:
        """Opens and shuts in rounds, where the manners say so."""
        if 0 < self.manners.closed_pct < 100:
            self._hours = asyncio.create_task(self._run_hours(round_s, phase))

    async def _run_hours(self, round_s: float, phase: float) -> None:
        closed_s = round_s * self.manners.closed_pct / 100
        await asyncio.sleep(phase * (round_s - closed_s))
        while True:
            self.shut()
            await asyncio.sleep(closed_s)
            await self.open()
            await asyncio.sleep(round_s - closed_s)

    async def close(self) -> None:
        if self._hours is not None:
            self._hours.cancel()
            await asyncio.gather(self._hours, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        self._socket.close()
        for connection in tuple(self._connections):
            connection.abort()
            await connection.gone.wait()  # what it leaves unanswered is in the log by then
        self._log.close()


def _bound_socket(port: int) -> socket.socket:
    """A socket that holds its port without listening yet."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound
