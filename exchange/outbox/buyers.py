"""Buyers' notices: what became of their bids, to those who ask for it."""

from collections.abc import Mapping, Sequence

from exchange.buyers.delivery import Courier
from exchange.carriers.outcome import NO_SECRET, Failed
from exchange.marketfile.secrets import signing_keys
from exchange.outbox import http
from exchange.outbox.events import lost_event, won_event
from exchange.outbox.market import Directory
from exchange.outbox.outcome import GONE, Fate, Skipped
from exchange.storage import sold
from exchange.storage.database import Database
from exchange.storage.outbox import Item

NOT_ASKED = Skipped("the buyer does not ask for it any more")
NOT_SOLD = Failed("the sale was corrected: there is none any more", is_final=True)


class BuyerNotices:
    """Tells buyers. There is no contact data in what they are told, and nothing of other buyers but a rounded price."""

    def __init__(
        self, database: Database, directory: Directory, courier: Courier, environment: Mapping[str, str]
    ) -> None:
        self._database = database
        self._directory = directory
        self._courier = courier
        self._environment = environment

    async def send(self, items: Sequence[Item]) -> list[tuple[Sequence[Item], Fate]]:
        """Sends rows, one after another: there is only one at a time."""
        return [([item], await self._tell(item)) for item in items]

    async def _tell(self, item: Item) -> Fate:
        wanted = self._directory.notices(item.subject)
        if wanted is None:
            return GONE
        if item.event not in wanted.events:
            return NOT_ASKED
        keys = signing_keys(wanted.secrets, self._environment)
        if keys is None:
            return NO_SECRET
        body = await self._body(item)
        return NOT_SOLD if body is None else await http.call(self._courier, wanted.url, item.outbox_id, body, keys)

    async def _body(self, item: Item) -> bytes | None:
        if item.attempt_id is None:
            return lost_event(item)
        found = await sold.find(self._database, item.attempt_id)
        return None if found is None else won_event(item, found)
