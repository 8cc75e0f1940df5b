"""Takes a market up: what is stored becomes a rule book with this process's secrets, and all that goes with it."""

import time
from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from exchange.buyers.credentials import auth_headers
from exchange.errors import FileProblem
from exchange.rules.book import NO_ENTRIES, Entries, RuleBook, compile_book
from exchange.rules.caps import AnyCap, caps_of_market
from exchange.storage.catalogue import MarketText
from exchange.values.deliveries import Mail
from exchange.values.market import Market
from exchange.wires import secrets_of


class Taken(NamedTuple):
    """A new market, ready to be put in force. `lacking` are its endpoints without their secret, or a mail server."""

    book: RuleBook
    caps: tuple[AnyCap, ...]
    zones: dict[str, str]
    lacking: tuple[str, ...]
    applied_at: datetime


class Ours(NamedTuple):
    """What this process has: the values of secrets, and whether there is a mail server for what goes by e-mail."""

    environment: Mapping[str, str]
    can_mail: bool = False


class Unreadable(NamedTuple):
    """The newest market cannot be read."""

    problems: tuple[FileProblem, ...]


class Unavailable(NamedTuple):
    """Postgres did not answer."""

    error: str


Answer = Taken | Unreadable | Unavailable | None
"""What another process says of the newest market; None where there is none yet."""


class Kept(NamedTuple):
    """What was made of the entries of a market, most of which are the same in the next one."""

    entries: Mapping[str, Entries] = NO_ENTRIES
    caps: Mapping[AnyCap, AnyCap] = {}

    @classmethod
    def of(cls, taken: Taken) -> "Kept":
        campaigns = taken.book.campaigns
        return cls({key: item.by_key for key, item in campaigns.items()}, {cap: cap for cap in taken.caps})


def entries_of(taken: Taken) -> list[object]:
    """All that was made of the entries of a market, in the order that every process finds it in."""
    entries = chain.from_iterable(campaign.entries for campaign in taken.book.campaigns.values())
    return [*taken.book.market.orders.values(), *entries, *taken.caps]


def taken_up(found: MarketText, market: Market, ours: Ours, kept: Kept) -> Taken:
    """Compiles a stored market that was read; what is as it was `kept` is the same object."""
    headers = _auth_headers(market, ours)
    endpoints = [(buyer.key, name) for buyer in market.buyers.values() for name in buyer.endpoints]
    lacking = [f"{buyer}.{name}" for buyer, name in endpoints if (buyer, name) not in headers]
    book = compile_book(market, found.version, headers, kept.entries)
    book.wind(time.time())
    zones = {campaign.key: campaign.time_zone for campaign in market.campaigns.values()}
    caps = tuple(kept.caps.get(cap, cap) for cap in caps_of_market(market))
    return Taken(book, caps, zones, tuple(lacking), found.created_at)


def _auth_headers(market: Market, ours: Ours) -> dict[tuple[str, str], dict[str, str]]:
    """By what each endpoint knows us, of those that can be used here."""
    found = {}
    for buyer in market.buyers.values():
        for name, endpoint in buyer.endpoints.items():
            secrets = secrets_of(endpoint, ours.environment)
            if secrets is not None and (ours.can_mail or not isinstance(endpoint.means, Mail)):
                found[buyer.key, name] = auth_headers(endpoint.auth, secrets[endpoint.auth.secret])
    return found
