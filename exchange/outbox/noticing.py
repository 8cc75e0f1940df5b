"""Makes notices of lost bids: looks at pings in due time, and fills the outbox with what buyers are told."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from exchange.observe import metrics
from exchange.outbox.market import Directory
from exchange.rules.notices import LostBid, bidders, lost_bids, next_look
from exchange.storage import notices
from exchange.storage.database import Database
from exchange.storage.notices import Notice, Settlement, Told
from exchange.values.ids import moment_of
from exchange.values.market import Campaign

PINGS_AT_ONCE_MAX = 500
"""Looked at in one transaction."""

_Entries = dict[tuple[str, bool], list[dict[str, Any]]]
"""What buyers are told, of tests apart."""


@dataclass(frozen=True, slots=True)
class NoticeLimits:
    """How often notices are made, how many bids are in one, how many wait for one buyer, and how old a bid may be."""

    every_s: float
    bids_max: int
    waiting_max: int
    age_s: float


class Noticing:
    """Makes notices, by the market in force."""

    def __init__(self, database: Database, directory: Directory, limits: NoticeLimits) -> None:
        self._database = database
        self._directory = directory
        self._limits = limits

    @property
    def every_s(self) -> float:
        return self._limits.every_s

    async def work_off(self, stop: asyncio.Event) -> None:
        """Looks at pings until none is left that is to be looked at, or it is to stop. Raises StorageUnavailable."""
        while not stop.is_set() and await self.round() >= PINGS_AT_ONCE_MAX:
            pass
        metrics.NOTICES_OVERDUE.set(await notices.overdue_s(self._database))

    async def round(self) -> int:
        """Looks at some pings; returns how many. Raises StorageUnavailable."""
        await self._directory.refresh()
        expired: Counter[str] = Counter()

        def decide(pings: Sequence[Told], now: datetime) -> Settlement:
            expired.clear()
            return self._decide(pings, now, expired)

        waiting_max = self._limits.waiting_max
        done = await notices.settle(self._database, decide, pings_max=PINGS_AT_ONCE_MAX, waiting_max=waiting_max)
        _count(done.made, "told")
        _count(done.dropped, "dropped")
        for buyer, count in expired.items():
            metrics.NOTICE_BIDS.add((buyer, "expired"), count)
        if done.dropped:
            metrics.LIMITS_HIT.add(("notices_waiting_max",), len(done.dropped))
        return done.taken

    def _decide(self, pings: Sequence[Told], now: datetime, expired: Counter[str]) -> Settlement:
        """What the pings that are final are told as, and when the others are looked at again."""
        entries: _Entries = {}
        later: list[tuple[UUID, datetime]] = []
        asking = self._directory.asking
        for told in pings:
            campaign = self._directory.campaign(told.campaign)
            if campaign is None or campaign.notices is None:
                continue
            if self._is_too_old(told, campaign, now):
                expired.update(bidders(told.fate.outcomes, asking))
            elif (look_at := next_look(told.fate, now)) is not None:
                later.append((told.fate.ping_id, look_at))
            else:
                for bid in lost_bids(told.fate, campaign.notices, asking):
                    entries.setdefault((bid.buyer, told.test), []).append(_entry(told, bid))
        return Settlement(tuple(_notices(entries, self._limits.bids_max)), later)

    def _is_too_old(self, told: Told, campaign: Campaign, now: datetime) -> bool:
        delay_min = campaign.notices.delay_min if campaign.notices else 0
        return now - moment_of(told.fate.ping_id) > timedelta(minutes=delay_min, seconds=self._limits.age_s)


def _notices(entries: Mapping[tuple[str, bool], Sequence[dict[str, Any]]], bids_max: int) -> Iterator[Notice]:
    for (buyer, test), bids in entries.items():
        for start in range(0, len(bids), bids_max):
            yield Notice(buyer, test, bids[start : start + bids_max])


def _entry(told: Told, bid: LostBid) -> dict[str, Any]:
    """A bid as it lies in the outbox: prices in micro-units, the reason as its code."""
    return {
        "ping_id": str(told.fate.ping_id),
        "order": bid.order,
        "campaign": told.campaign,
        "test": told.test,
        "bid_id": bid.bid_id,
        "bid": bid.gross_micros,
        "currency": told.currency,
        "sale": bid.sale.value,
        "reason": int(bid.reason),
        "sold": bid.is_sold,
        "rank": bid.rank,
        "clearing_price": bid.clearing_micros,
    }


def _count(made: Sequence[Notice], outcome: str) -> None:
    for notice in made:
        metrics.NOTICE_BIDS.add((notice.buyer, outcome), len(notice.bids))
