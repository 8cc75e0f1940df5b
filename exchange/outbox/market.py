"""The market in force as a worker needs it: where the outbox goes, by the names that its rows have."""

import asyncio
from datetime import datetime

import structlog

from exchange.errors import MarketFileError
from exchange.marketfile.again import Rereader
from exchange.rules.ages import ages_asked
from exchange.rules.notices import wants_losses
from exchange.rules.schedule import Timeline
from exchange.rules.zones import zone_of
from exchange.storage import catalogue
from exchange.storage.database import Database
from exchange.storage.outbox import Item
from exchange.values.deliveries import Following, Retry, Webhook
from exchange.values.filters import Filter
from exchange.values.market import Campaign, Market, Order
from exchange.values.notices import Notices
from exchange.values.vertical import Lead, Vertical

log = structlog.get_logger(__name__)


class Directory:
    """Looks up receivers. Those of the newest market count, so that what was corrected there helps what waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rereader = Rereader()
        self._version = 0
        self._market: Market | None = None
        self._reading = asyncio.Lock()
        self.asking: frozenset[str] = frozenset()
        """The buyers who ask to be told of lost bids."""

    async def refresh(self) -> None:
        """Reads the newest market, if it is another one. Raises StorageUnavailable."""
        async with self._reading:
            await self._refresh()

    async def _refresh(self) -> None:
        if await catalogue.newest_number(self._database) == self._version:
            return
        found = await catalogue.newest(self._database)
        if found is None:
            return
        try:
            self._market = await asyncio.to_thread(self._rereader.read, found.document)
        except MarketFileError as error:
            log.error("market_not_readable", count=len(error.problems))  # noqa: TRY400  # the old one stays in force
        else:
            self.asking = frozenset(buyer.key for buyer in self._market.buyers.values() if wants_losses(buyer))
        self._version = found.version

    def webhook(self, seller: str) -> Webhook | None:
        """Where a seller is told."""
        found = self._market.sellers.get(seller) if self._market else None
        return None if found is None else found.webhook

    def notices(self, buyer: str) -> Notices | None:
        """Where a buyer is told of his bids."""
        found = self._market.buyers.get(buyer) if self._market else None
        return None if found is None else found.notices

    def campaign(self, key: str) -> Campaign | None:
        """A campaign, if there still is one of that key."""
        return self._market.campaigns.get(key) if self._market else None

    def order(self, key: str) -> Order | None:
        """An order, if there still is one of that key."""
        return self._market.orders.get(key) if self._market else None

    def hours(self, order: str) -> Timeline | None:
        """When an order is open; None: always, or there is no such order."""
        found = self.order(order)
        if self._market is None or found is None or found.schedule is None:
            return None
        return Timeline(found.schedule, self._market.buyers[found.buyer].time_zone)

    def zone(self, order: str) -> str:
        """The zone of an order's buyer."""
        found = self.order(order)
        return "UTC" if self._market is None or found is None else self._market.buyers[found.buyer].time_zone

    def with_ages(self, lead: Lead, campaign: str, when: Filter, moment: datetime) -> Lead:
        """A lead with the ages that a filter asks for, at a moment."""
        vertical = self.vertical(campaign)
        if self._market is None or vertical is None:
            return lead
        ages = ages_asked(vertical, [when], zone_of(self._market.campaigns[campaign].time_zone))
        return lead if ages is None else ages.beside(lead, moment)

    def retry(self, item: Item) -> Retry | None:
        """How often a row is tried, where its delivery says so."""
        found = self.following(item.subject, item.name) if item.scope == "order" else None
        return None if found is None else found.retry

    def following(self, order: str, name: str) -> Following | None:
        """A delivery that follows the sales of an order."""
        found = self.order(order)
        return None if found is None else next((item for item in found.deliver if item.name == name), None)

    def vertical(self, campaign: str) -> Vertical | None:
        """The fields of a campaign's leads."""
        found = self._market.campaigns.get(campaign) if self._market else None
        return self._market.verticals[found.vertical] if self._market and found else None
