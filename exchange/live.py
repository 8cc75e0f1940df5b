"""The market in force: a compiled rule book that is swapped whole, and what each buyer can still spend."""

import asyncio
import gc
import time
from collections.abc import Mapping
from contextlib import suppress

import asyncpg
import structlog

from exchange.background import stop
from exchange.buyers.credentials import auth_headers
from exchange.errors import MarketFileError, StorageUnavailable
from exchange.marketfile.reader import read
from exchange.marketfile.secrets import resolve, signing_keys
from exchange.observe import metrics
from exchange.rules.book import RuleBook, compile_book
from exchange.rules.caps import caps_of_market
from exchange.rules.room import Room
from exchange.rules.routing import Available
from exchange.storage import accounts, catalogue
from exchange.storage.catalogue import MarketVersion
from exchange.storage.database import Database
from exchange.storage.hints import Hints
from exchange.values.market import Market

COMPARE_EVERY_S = 1.0
"""How often the newest version and the balances are looked at; a notification only makes a new market faster."""

log = structlog.get_logger(__name__)


class LiveMarket:
    """Keeps `book` and `available` up to date. `book` is None until a market has been applied.

    `is_cut_off` says that Postgres did not answer when it was last looked at: nothing can be recorded, so nobody need
    be asked. It holds until the next look, a second later.
    """

    def __init__(self, database: Database, url: str, environment: Mapping[str, str], hints: Hints) -> None:
        self.book: RuleBook | None = None
        self.available: Available = {}
        self.is_cut_off = False
        self._database = database
        self._url = url
        self._environment = environment
        self._hints = hints
        self._look_again = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

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
            found = await catalogue.newest(self._database)
            if found is not None:
                self.book = await asyncio.to_thread(self._compile, found)
                self._limit(self.book.market)
                gc.freeze()  # a rule book has no cycles: the collector need not walk it, and the old one goes by itself
                metrics.MARKET_VERSION.set(found.version)
                log.info("market_in_force", version=found.version, orders=len(self.book.market.orders))
        standings = await accounts.standings(self._database)
        self.available = {item.owner: item.available_micros for item in standings}

    def _limit(self, market: Market) -> None:
        zones = {campaign.key: campaign.time_zone for campaign in market.campaigns.values()}
        self._hints.limit(caps_of_market(market), zones)

    def _compile(self, found: MarketVersion) -> RuleBook:
        market = read(found.document)
        keys = _signing_keys(market, self._environment)
        headers = {name: found for name, found in _auth_headers(market, self._environment).items() if name in keys}
        endpoints = [(buyer.key, name) for buyer in market.buyers.values() for name in buyer.endpoints]
        missing = [f"{buyer}.{name}" for buyer, name in endpoints if (buyer, name) not in headers]
        metrics.ENDPOINTS_WITHOUT_SECRET.set(len(missing))
        for name in missing:
            log.error("endpoint_without_secret", endpoint=name)
        book = compile_book(market, found.version, headers, keys)
        book.wind(time.time())
        return book

    async def _listen(self) -> None:
        """Waits for announcements on a connection of its own, and for a new connection when that one is lost."""
        while True:
            try:
                connection = await asyncpg.connect(self._url)
            except (OSError, asyncpg.PostgresError):
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


def _auth_headers(market: Market, environment: Mapping[str, str]) -> dict[tuple[str, str], dict[str, str]]:
    found = {}
    for buyer in market.buyers.values():
        for name, endpoint in buyer.endpoints.items():
            secret = resolve(endpoint.auth.secret, environment)
            if secret is not None and secret.isascii():  # another text cannot stand in a header
                found[buyer.key, name] = auth_headers(endpoint.auth, secret)
    return found


def _signing_keys(market: Market, environment: Mapping[str, str]) -> dict[tuple[str, str], tuple[bytes, ...]]:
    """The keys of each endpoint, which are none where nothing is signed; it is left out where they cannot be had."""
    found = {}
    for buyer in market.buyers.values():
        for name, endpoint in buyer.endpoints.items():
            keys = signing_keys(endpoint.signing, environment)
            if keys is not None:
                found[buyer.key, name] = keys
    return found
