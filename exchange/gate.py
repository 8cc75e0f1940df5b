"""The gate: what turns a ping away before anybody is asked, and which buyers have had its person already."""

from exchange.ping import PingRequest
from exchange.record import Recorder
from exchange.rules.duplicates import Hashes, window_days
from exchange.storage.fingerprints import People
from exchange.storage.vault import Vault
from exchange.values.ids import uuid7
from exchange.values.reason import Reason
from exchange.values.trace import PingStatus, PingTrace

Buyers = frozenset[str]
NOBODY: Buyers = frozenset()

_PHASES_MS = {"ask": 0.0, "decide": 0.0}


class Gate:
    """Looks at what is known of a seller, a campaign and a person."""

    def __init__(self, people: People, vault: Vault, recorder: Recorder) -> None:
        self._people = people
        self._vault = vault
        self._recorder = recorder

    async def look(self, request: PingRequest, hashes: Hashes) -> Reason | Buyers:
        """Why nobody is asked, or the buyers who are not because they have had this person. A test passes."""
        book = request.book
        if request.test:
            return NOBODY
        if request.room.refuses(request.seller.key, book.campaign.key):
            return Reason.SELLER_CAPPED
        days = window_days(book.campaign)
        if not hashes or (days is None and not book.duplicate_days):
            return NOBODY
        fingerprints = self._vault.people(book.vertical.key, hashes)
        seen = await self._people.seen(fingerprints, request.deadline)
        if days is not None and seen.within("campaign", book.campaign.key, days):
            return Reason.DUPLICATE
        return frozenset(buyer for buyer, found in book.duplicate_days.items() if seen.within("buyer", buyer, found))

    async def refuse(self, request: PingRequest, reason: Reason) -> PingTrace:
        """Records a ping that is turned away."""
        trace = request.trace(uuid7(), PingStatus.REFUSED, reason, None, (), _PHASES_MS)
        await self._recorder.ping(trace, request.deadline)
        return trace
