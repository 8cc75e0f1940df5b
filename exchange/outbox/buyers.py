"""Buyers' notices: what became of their bids, to those who ask for it."""

from exchange.carriers.outcome import Failed
from exchange.outbox.events import lost_event, won_event
from exchange.outbox.outcome import GONE, Fate, Skipped
from exchange.outbox.telling import Telling
from exchange.storage import sold
from exchange.storage.outbox import Item

NOT_ASKED = Skipped("the buyer does not ask for it any more")
NOT_SOLD = Failed("the sale was corrected: there is none any more", is_final=True)


class BuyerNotices(Telling):
    """Tells buyers; nothing of other buyers but a rounded price."""

    async def _tell(self, item: Item) -> Fate:
        wanted = self._directory.notices(item.subject)
        if wanted is None:
            return GONE
        if item.event not in wanted.events:
            return NOT_ASKED
        return await self._call(item, wanted.url, wanted.secrets, self._event)

    async def _event(self, item: Item) -> bytes | Fate:
        if item.attempt_id is None:
            return lost_event(item)
        found = await sold.find(self._database, item.attempt_id)
        return NOT_SOLD if found is None else won_event(item, found)
