"""Telling somebody of what has happened: one signed call for each row, under his own secrets."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from exchange.buyers.delivery import Courier
from exchange.carriers.outcome import NO_SECRET
from exchange.marketfile.secrets import signing_keys
from exchange.outbox import http
from exchange.outbox.market import Directory
from exchange.outbox.outcome import Fate
from exchange.storage.database import Database
from exchange.storage.outbox import Item


class Telling:
    """Sends rows to those who are to be told. There is no contact data in what they are told."""

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
        """Sends one row, if somebody is there who wants it."""
        raise NotImplementedError

    async def _call(
        self, item: Item, url: str, secrets: Sequence[str], body: Callable[[Item], Awaitable[bytes | Fate]]
    ) -> Fate:
        """Sends what `body` makes of a row, if it can be signed; it may say instead what becomes of the row."""
        keys = signing_keys(secrets, self._environment)
        if keys is None:
            return NO_SECRET
        made = await body(item)
        return await http.call(self._courier, url, item.outbox_id, made, keys) if isinstance(made, bytes) else made
