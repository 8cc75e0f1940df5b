"""The market in force: a compiled rule book that is swapped whole, and what each buyer can still spend."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import asyncpg
import structlog

from exchange.background import Background, stop
from exchange.errors import MarketFileError, StorageUnavailable
from exchange.observe import metrics
from exchange.rules.book import RuleBook
from exchange.rules.room import Room
from exchange.rules.routing import Available
from exchange.storage import accounts, catalogue
from exchange.storage.database import Database
from exchange.storage.hints import Hints
from exchange.storage.session import TROUBLE
from exchange.takeover.reader import MarketReader
from exchange.takeover.swapping import collector_at_rest, let_go
from exchange.takeover.taking import Ours, Taken

COMPARE_EVERY_S = 1.0
"""How often the newest version and the balances are looked at; a notification only makes a new market faster."""

log = structlog.get_logger(__name__)


class LiveMarket:
    """Keeps `book` and `available` up to date. `book` is None until a market has been applied and is `in_force`.

    `is_cut_off` says that Postgres did not answer when it was last looked at: nothing can be recorded, so nobody need
    be asked. It holds until the next look, a second later.
    """

    def __init__(
        self,
        database: Database,
        url: str,
        environment: Mapping[str, str],
        hints: Hints,
        put_in_force: Callable[[RuleBook], None],
        *,
        can_mail: bool = False,
    ) -> None:
        """`put_in_force` is told of each new market, before the first ping goes by it.

        `can_mail` says whether there is a mail server for what is delivered by e-mail.
        """
        self.book: RuleBook | None = None
        self.available: Available = {}
        self.is_cut_off = False
        self.in_force = asyncio.Event()
        self._database = database
        self._reader = MarketReader(database, url, Ours(environment, can_mail=can_mail))
        self._hints = hints
        self._told = put_in_force
        self._look_again = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._farewells = Background()

    @property
    def room(self) -> Room:
        """What caps and budgets leave, as far as is known."""
        return self._hints.room

    async def start(self) -> None:
        """Loads what is in force, then keeps following it. Raises StorageUnavailable where it cannot be read."""
        await self._refresh()
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._listen())]

    async def close(self) -> None:
        await stop(self._tasks)
        await self._farewells.drain(0)
        await self._reader.close()

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(COMPARE_EVERY_S):
                    await self._look_again.wait()
            self._look_again.clear()
            try:
                await self._refresh()
            except StorageUnavailable as error:
                self.is_cut_off = True
                log.warning("market_not_compared", error=str(error))
                continue
            except MarketFileError as error:
                log.error("market_not_readable", count=len(error.problems))  # noqa: TRY400  # the old one stays in force
            except Exception:
                log.exception("market_not_followed")  # whatever it was, the next market must be seen
            self.is_cut_off = False

    async def _refresh(self) -> None:
        if await catalogue.newest_number(self._database) != (self.book.version if self.book else 0):
            began_s = time.monotonic()
            taken = await self._reader.newest()
            if taken is not None:
                await self._put_in_force(taken)
                metrics.MARKET_TAKEN_UP_SECONDS.observe(time.monotonic() - began_s)
        metrics.MARKET_COMPARED.set(time.time())
        standings = await accounts.standings(self._database)
        self.available = {item.owner: item.available_micros for item in standings}

    async def _put_in_force(self, taken: Taken) -> None:
        """Limits come first: an order is never in force without its own."""
        with collector_at_rest():
            await self._hints.limit(taken.caps, taken.zones)
        metrics.ENDPOINTS_WITHOUT_SECRET.set(len(taken.lacking))
        for name in taken.lacking:
            log.error("endpoint_without_secret", endpoint=name)
        if self.book is not None:
            self._farewells.start(let_go(self.book), "let go of a market")
        self._told(taken.book)
        self.book = taken.book
        self.in_force.set()
        metrics.MARKET_VERSION.set(taken.book.version)
        metrics.MARKET_APPLIED.set(taken.applied_at.timestamp())
        log.info("market_in_force", version=taken.book.version, orders=len(taken.book.market.orders))

    async def _listen(self) -> None:
        """Waits for announcements on a connection of its own, and for a new connection when that one is lost."""
        while True:
            try:
                connection = await self._database.session()
            except (*TROUBLE, asyncpg.PostgresError):
                await asyncio.sleep(COMPARE_EVERY_S)
                continue
            lost = asyncio.Event()
            try:
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(catalogue.CHANNEL, lambda *_: self._look_again.set())
                await lost.wait()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(COMPARE_EVERY_S)
            finally:
                connection.terminate()
