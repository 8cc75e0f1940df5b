"""One run: traffic under fire, healing, time to settle, last words, and the verdict of the checker."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from exchange.embedded.lease import Services
from exchange.errors import StorageUnavailable
from exchange.simulation.chaos import watch
from exchange.simulation.chaos.books import Books, read_books
from exchange.simulation.chaos.buyers import diary_of
from exchange.simulation.chaos.checker import check
from exchange.simulation.chaos.diary import Asked, Diary, Seen, Struck, read_diary
from exchange.simulation.chaos.evidence import Violation, Witnesses
from exchange.simulation.chaos.market import BUYER_POST_MS, CAMPAIGNS, SELLERS, TEMPERS, terms_of
from exchange.simulation.chaos.nemesis import Nemesis
from exchange.simulation.chaos.sellers import Sellers, final_reads, plan_errands
from exchange.simulation.chaos.stage import Say, Stage, Wish, diaries, set_stage
from exchange.storage import accounts
from exchange.storage.database import Database

DEPOSIT_EVERY_S = 5.0
DEPOSIT_MICROS = 60_000_000
SETTLE_POLL_S = 0.5
SETTLE_S = 60.0
"""How long may be waited beyond the leases: only what is stuck takes it all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run, in figures and violations."""

    seed: int
    seconds: float
    settled_s: float
    leads: int
    offers: int
    waited: int
    posts: Mapping[str, int]
    requests: int
    unanswered: int
    snapshots: int
    faults: Mapping[str, int]
    violations: list[Violation] = field(default_factory=list)


async def run(wish: Wish, services: Services, say: Say) -> Outcome:
    """Runs it. Raises CommandError where it cannot begin."""
    began_s, noticed = time.monotonic(), list[Struck]()

    def note(what: str) -> None:
        noticed.append(Struck(time.time(), what))

    say("setting the stage ...")
    async with set_stage(wish, services, note) as stage:
        watcher = watch.Watcher(stage.database)
        watching = asyncio.create_task(watcher.run())
        with Diary(_diary(wish.folder)) as diary:
            sellers = Sellers(stage.gateways, dict(stage.keys), diary, wish.seed)
            nemesis = Nemesis(stage.field, wish.seed)
            say(f"under fire for {wish.seconds:g} s with seed {wish.seed} ...")
            await _under_fire(wish, stage, sellers, nemesis)
            say("healed; the leases of the dead run out ...")
            settled_s = await _settle(wish, stage, sellers)
            await sellers.close()
        await _stop(stage)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await watcher.look()
        books = await read_books(stage.database)
        witnesses = _witnesses(wish, stage, watcher, [*nemesis.struck, *noticed], books)
    say("comparing the witnesses ...")
    return _outcome(wish, time.monotonic() - began_s, settled_s, sellers, nemesis, watcher, witnesses)


async def _under_fire(wish: Wish, stage: Stage, sellers: Sellers, nemesis: Nemesis) -> None:
    """Returns when all is healed and the sellers have done what they had begun."""

    async def strike() -> None:
        try:
            await nemesis.run(wish.seconds)
        finally:
            await nemesis.heal()
            stage.calm_buyers()

    paying = asyncio.create_task(_pay_in(stage.database))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(strike())
            errands = plan_errands(Random(wish.seed), SELLERS, CAMPAIGNS, wish.pings_per_s)
            group.create_task(sellers.run(errands, wish.seconds))
    finally:
        paying.cancel()
        await asyncio.gather(paying, return_exceptions=True)


async def _settle(wish: Wish, stage: Stage, sellers: Sellers) -> float:
    """Gives everything time enough to become clear, and the sellers their last words; how long that took."""
    began_s = time.monotonic()
    await asyncio.gather(*(gateway.ready() for gateway in stage.field.gateways))
    await final_reads(sellers)
    ends_s = time.monotonic() + 2 * wish.lease_margin_s + BUYER_POST_MS / 1000 + SETTLE_S
    terms = terms_of(stage.document)
    can_ask = terms.has_status | terms.idempotent
    while time.monotonic() < ends_s:
        try:
            found = await watch.open_attempts(stage.database)
            await watch.hurry(stage.database)
        except StorageUnavailable:
            found = [("", "prepared")]  # it is still starting
        if not any(state == "prepared" or buyer in can_ask for buyer, state in found):
            break
        await asyncio.sleep(SETTLE_POLL_S)
    await final_reads(sellers)
    return time.monotonic() - began_s


async def _pay_in(database: Database) -> None:
    """A buyer who trades on what he has paid in pays in more, now and then."""
    while True:
        await asyncio.sleep(DEPOSIT_EVERY_S)
        try:
            await accounts.deposit(database, "prepaid", "USD", DEPOSIT_MICROS, "chaos")
        except StorageUnavailable:
            continue  # whether it arrived or not: the ledger says


async def _stop(stage: Stage) -> None:
    await asyncio.gather(*(child.stop() for child in (*stage.field.gateways, stage.field.worker)))


def _witnesses(wish: Wish, stage: Stage, watcher: watch.Watcher, struck: list[Struck], books: Books) -> Witnesses:
    seen = [entry for temper in TEMPERS for entry in read_diary(diary_of(diaries(wish.folder), temper.name), Seen)]
    return Witnesses(
        told=list(read_diary(_diary(wish.folder), Asked)),
        seen=sorted(seen, key=lambda entry: entry.at),
        books=books,
        terms=terms_of(stage.document),
        broken=watcher.broken,
        struck=sorted(struck, key=lambda item: item.at),
    )


def _outcome(
    wish: Wish,
    seconds: float,
    settled_s: float,
    sellers: Sellers,
    nemesis: Nemesis,
    watcher: watch.Watcher,
    witnesses: Witnesses,
) -> Outcome:
    books = witnesses.books
    return Outcome(
        seed=wish.seed,
        seconds=seconds,
        settled_s=settled_s,
        leads=sellers.sent,
        offers=sum(ping.status == "offered" for ping in books.pings),
        waited=len(books.queued),
        posts=Counter(post.state for post in books.posts),
        requests=len(witnesses.told),
        unanswered=sum(asked.status is None for asked in witnesses.told),
        snapshots=watcher.snapshots,
        faults=dict(nemesis.counts),
        violations=check(witnesses),
    )


def _diary(folder: Path) -> Path:
    return folder / "sellers.jsonl"
