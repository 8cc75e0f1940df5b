"""What a gateway does itself when its market changes, in small steps: it reads a small one, and lets the old one go.

A thread keeps the event loop waiting for no longer than the interpreter's switch interval, unless a single call of it
takes longer. So there is none: the document is read entry by entry, what is no longer needed is freed entry by entry,
and the garbage collector, which would walk all that is being made, rests meanwhile.
"""

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from exchange import json_pieces
from exchange.marketfile.reader import read
from exchange.pauses import Steps
from exchange.storage.catalogue import MarketText
from exchange.takeover.packing import long_collections
from exchange.takeover.taking import Kept, Ours, Taken, taken_up

SWITCH_INTERVAL_S: Final = 0.0005
"""How long the event loop waits at most for its turn while a thread works."""

FREED_AT_ONCE: Final = 20
"""Entries that are let go of at once: well below a millisecond."""


async def take(found: MarketText, ours: Ours) -> Taken:
    """Reads and compiles a market, in a thread. Raises MarketFileError where it cannot be read."""
    with collector_at_rest():
        return await asyncio.to_thread(_taken, found, ours)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Meanwhile a market is made, which the garbage collector need not walk, then or later: a rule book has no cycles.

    The old one goes by itself.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _taken(found: MarketText, ours: Ours) -> Taken:
    document = json_pieces.loads(found.text)
    try:
        market = read(document)
    finally:
        json_pieces.let_go(document)
    return taken_up(found, market, ours, Kept())


async def let_go(market: object) -> None:
    """Frees a market that nobody needs any more, in small steps. The caller must hold it no longer, either.

    A long collection that goes at once lets go of all its entries. So they are held until it has gone, then go a few
    at a time.
    """
    steps = Steps()
    collections: list[Any] = []
    entries: list[list[object]] = []
    async for collection in steps.each(long_collections(market)):
        entries.append([*collection, *collection.values()] if isinstance(collection, dict) else list(collection))
        collections.append(collection)
    collection = None
    del market
    await steps.through(_freed(collections, 1))
    while entries:
        await steps.through(_freed(entries.pop(), FREED_AT_ONCE))


def _freed(held: list[Any], at_once: int) -> Iterator[None]:
    while held:
        del held[-at_once:]
        yield


def be_brisk() -> None:
    """Shortens the turns of threads, so that none keeps the event loop waiting."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
