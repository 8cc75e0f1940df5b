"""Takes up a new market beside the pings: reads and compiles it in a thread, and lets the old one go, in small steps.

A thread keeps the event loop waiting for no longer than the interpreter's switch interval, unless a single call of it
takes longer. So there is none: the document is read entry by entry, what is no longer needed is freed entry by entry,
and the garbage collector, which would walk all that is being made, rests meanwhile.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from exchange.buyers.credentials import auth_headers
from exchange.marketfile import pieces
from exchange.marketfile.reader import read
from exchange.rules.book import RuleBook, compile_book
from exchange.rules.caps import AnyCap, caps_of_market
from exchange.storage.catalogue import MarketText
from exchange.values.deliveries import Mail
from exchange.values.market import Market
from exchange.wires import secrets_of

SWITCH_INTERVAL_S: Final = 0.0005
"""How long the event loop waits at most for its turn while a thread works."""

FREED_AT_ONCE: Final = 20
"""Orders that are let go of in one turn of the event loop: well below a millisecond."""


class Taken(NamedTuple):
    """A new market, ready to be put in force. `lacking` are its endpoints without their secret, or a mail server."""

    book: RuleBook
    caps: tuple[AnyCap, ...]
    zones: dict[str, str]
    lacking: tuple[str, ...]
    applied_at: datetime


async def take(found: MarketText, environment: Mapping[str, str], *, can_mail: bool = False) -> Taken:
    """Reads and compiles a market, in a thread. Raises MarketFileError where it cannot be read."""
    gc.disable()
    try:
        taken = await asyncio.to_thread(_taken, found, environment, can_mail)
        gc.freeze()  # a rule book has no cycles: the collector need not walk it, and the old one goes by itself
    finally:
        gc.enable()
    return taken


def _taken(found: MarketText, environment: Mapping[str, str], can_mail: bool) -> Taken:
    document = pieces.loads(found.text)
    try:
        market = read(document)
    finally:
        pieces.let_go(document)
    headers = _auth_headers(market, environment, can_mail)
    endpoints = [(buyer.key, name) for buyer in market.buyers.values() for name in buyer.endpoints]
    lacking = [f"{buyer}.{name}" for buyer, name in endpoints if (buyer, name) not in headers]
    book = compile_book(market, found.version, headers)
    book.wind(time.time())
    zones = {campaign.key: campaign.time_zone for campaign in market.campaigns.values()}
    return Taken(book, caps_of_market(market), zones, tuple(lacking), found.created_at)


async def let_go(book: RuleBook) -> None:
    """Frees a market that is no longer in force, in small steps. The caller must hold it no longer, either."""
    held: list[object] = [entry for campaign in book.campaigns.values() for entry in campaign.entries]
    held += [*book.market.orders.values(), *book.market.buyers.values(), *book.by_endpoint.values()]
    del book
    while held:
        del held[-FREED_AT_ONCE:]
        await asyncio.sleep(0)


def be_brisk() -> None:
    """Shortens the turns of threads, so that none keeps the event loop waiting."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def _auth_headers(
    market: Market, environment: Mapping[str, str], can_mail: bool
) -> dict[tuple[str, str], dict[str, str]]:
    """By what each endpoint knows us, of those that can be used here."""
    found = {}
    for buyer in market.buyers.values():
        for name, endpoint in buyer.endpoints.items():
            secrets = secrets_of(endpoint, environment)
            if secrets is not None and (can_mail or not isinstance(endpoint.means, Mail)):
                found[buyer.key, name] = auth_headers(endpoint.auth, secrets[endpoint.auth.secret])
    return found
