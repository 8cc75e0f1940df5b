"""Who is calling: the bearer key of a request, and the seller it speaks for."""

from exchange.api.door import Arrival
from exchange.errors import Problem
from exchange.storage.keys import KeyHolder, KeyRing


async def caller(arrival: Arrival, keys: KeyRing) -> KeyHolder:
    """The holder of the request's key. Raises Problem 401 without one that holds."""
    scheme, _, key = (arrival.header(b"authorization") or "").partition(" ")
    holder = await keys.holder(key.strip()) if scheme.lower() == "bearer" else None
    if holder is None:
        raise Problem(401, "unauthorized", "Send a key that holds: Authorization: Bearer <key>.")
    return holder


async def seller_key(arrival: Arrival, keys: KeyRing) -> str:
    """The key of the calling seller. Raises Problem 401, or 403 for a key of another role."""
    holder = await caller(arrival, keys)
    if holder.seller is None:
        raise Problem(403, "forbidden", "This key speaks for no seller.")
    return holder.seller
