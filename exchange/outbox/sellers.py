"""Sellers' status webhooks: what became of a post after its seller was answered."""

from uuid import UUID

from exchange.outbox.events import post_event
from exchange.outbox.outcome import GONE, Fate
from exchange.outbox.telling import Telling
from exchange.storage import sold
from exchange.storage.outbox import Item


class SellerWebhooks(Telling):
    """Tells sellers."""

    async def _tell(self, item: Item) -> Fate:
        webhook = self._directory.webhook(item.subject)
        return GONE if webhook is None else await self._call(item, webhook.url, webhook.secrets, self._event)

    async def _event(self, item: Item) -> bytes:
        return post_event(item, await sold.own_names(self._database, UUID(item.facts["ping_id"])))
