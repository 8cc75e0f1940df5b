"""A signed request to a webhook, with the guard of all deliveries: no redirect is followed, no connection re-used."""

import time
from collections.abc import Sequence
from uuid import UUID

from exchange.buyers.credentials import signed
from exchange.buyers.delivery import Courier
from exchange.carriers.outcome import Failed, Outcome, Sent
from exchange.values.bid import Accepted, Delivery, Unknown

TIMEOUT_MS = 15_000


async def call(courier: Courier, url: str, identifier: UUID, body: bytes, keys: Sequence[bytes]) -> Outcome:
    """Posts a body, signed for this try; any 2xx means that it has arrived."""
    headers = {"Content-Type": "application/json", **signed(identifier, body, keys, time.time())}
    found = await courier.deliver(url, headers, body, TIMEOUT_MS, _read)
    return Sent() if isinstance(found, Accepted) else Failed(found.detail)


def _read(status: int, _: bytes) -> Delivery:
    return Accepted() if 200 <= status < 300 else Unknown(f"HTTP {status}")
