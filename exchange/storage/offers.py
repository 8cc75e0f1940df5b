"""Offers that this process has just made: their posts come soon, and most of them here, and need not be read back.

What is true of an offer is in Postgres alone: whether it was posted elsewhere shows at the claim.
"""

from uuid import UUID

from exchange.storage.ping_rows import PingRow
from exchange.storage.pings import RecordedPing, just_made

OFFERS_MAX = 5_000
"""At some 3 KB each."""


class Offers:
    """The newest offers, each to be taken once. They are kept as the rows they are: few objects, no contact data."""

    def __init__(self, *, at_most: int = OFFERS_MAX) -> None:
        self._rows: dict[UUID, PingRow] = {}
        self._at_most = at_most

    def __len__(self) -> int:
        return len(self._rows)

    def keep(self, row: PingRow) -> None:
        """Keeps an offer that has been committed; the oldest one goes where there are too many."""
        self._rows[row.ping_id] = row
        if len(self._rows) > self._at_most:
            del self._rows[next(iter(self._rows))]

    def take(self, ping_id: UUID) -> RecordedPing | None:
        """The offer, for the first who asks for it here; whoever asks again reads what has become of it."""
        row = self._rows.pop(ping_id, None)
        return None if row is None else just_made(row)
