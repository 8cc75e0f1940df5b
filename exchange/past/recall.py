"""Brings a ping's past together: its record, its post, and the rules of the market that it was decided under."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from exchange.errors import MarketFileError
from exchange.marketfile.reader import read
from exchange.past.explanation import Explanation, explain
from exchange.past.replay import replay
from exchange.rules.book import RuleBook, compile_book
from exchange.storage import catalogue, history, pings
from exchange.storage.catalogue import MarketVersion
from exchange.storage.database import Database
from exchange.storage.sales import Sales
from exchange.values.market import Market


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A ping that cannot be run again, because its market version is gone or beyond this version's reading."""

    market_version: int


class Past:
    """Pings as they were. `in_force` is the rule book that is at hand anyway, if there is one."""

    def __init__(self, database: Database, in_force: Callable[[], RuleBook | None] = lambda: None) -> None:
        self._database = database
        self._in_force = in_force

    async def explain(self, ping_id: UUID, *, again: bool = False) -> Explanation | Unreadable | None:
        """Why a ping went as it did; with `again`, its auction is also run anew. None where there is no such ping."""
        ping = await pings.find(self._database, ping_id)
        if ping is None:
            return None
        applied_at, rules = await self._rules(ping.market_version)
        if again and rules is None:
            return Unreadable(ping.market_version)
        post = None if ping.post_id is None else await Sales(self._database).find(ping.post_id)
        attempts = [] if ping.post_id is None else await history.attempts_of(self._database, ping.post_id)
        book = None if rules is None else rules.campaigns.get(ping.campaign)
        found = await asyncio.to_thread(replay, ping, rules) if again and rules is not None else None
        return await asyncio.to_thread(
            explain, ping, applied_at, book, post, attempts, found
        )  # it may have many orders

    async def _rules(self, number: int) -> tuple[datetime | None, RuleBook | None]:
        """When a market version was applied, and its rules; those are None where it cannot be read."""
        known = self._in_force()
        if known is not None and known.version == number:
            logged = await catalogue.log(self._database, 1, before=number + 1)
            return (logged[0].created_at if logged else None), known
        version = await catalogue.version(self._database, number)
        if version is None:
            return None, None
        try:
            return version.created_at, await asyncio.to_thread(compile_version, version)
        except MarketFileError:
            return version.created_at, None


def compile_version(version: MarketVersion) -> RuleBook:
    """The rules of a stored market. Raises MarketFileError where it cannot be read."""
    return rules_of(read(version.document), version.version)


def rules_of(market: Market, number: int) -> RuleBook:
    """The rules of a market for looking back: nobody is asked, so no endpoint lacks its secret."""
    endpoints = ((buyer.key, name) for buyer in market.buyers.values() for name in buyer.endpoints)
    return compile_book(market, number, {endpoint: {} for endpoint in endpoints})
