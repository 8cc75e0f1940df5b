"""Sellers' status webhooks: what became of a post after its seller was answered."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from exchange.buyers.delivery import Courier
from exchange.carriers.outcome import NO_SECRET, Outcome
from exchange.marketfile.secrets import signing_keys
from exchange.outbox import http
from exchange.outbox.events import post_event
from exchange.outbox.market import Directory
from exchange.outbox.outcome import GONE
from exchange.storage import sold
from exchange.storage.database import Database
from exchange.storage.outbox import Item


class SellerWebhooks:
    """Tells sellers. There is no contact data in what they are told."""

    def __init__(
        self, database: Database, directory: Directory, courier: Courier, environment: Mapping[str, str]
    ) -> None:
        self._database = database
        self._directory = directory
        self._courier = courier
        self._environment = environment

    async def send(self, items: Sequence[Item]) -> list[tuple[Sequence[Item], Outcome]]:
        """Sends rows, one after another: there is only one at a time."""
        return [([item], await self._tell(item)) for item in items]

    async def _tell(self, item: Item) -> Outcome:
        webhook = self._directory.webhook(item.subject)
        if webhook is None:
            return GONE
        keys = signing_keys(webhook.secrets, self._environment)
        if keys is None:
            return NO_SECRET
        names = await sold.own_names(self._database, UUID(item.facts["ping_id"]))
        body = post_event(item, names)
        return await http.call(self._courier, webhook.url, item.outbox_id, body, keys)
