"""Who is calling: the bearer key of a request, and the seller it speaks for."""

from exchange.api.door import Arrival
from exchange.errors import Problem
from exchange.storage.keys import KeyHolder, KeyRing


async def caller(arrival: Arrival, keys: KeyRing) -> KeyHolder:
    """The holder of the request's key. Raises Problem 401 without one that holds."""
    return await holder_of(bearer(arrival.header(b"authorization") or ""), keys)


def bearer(authorization: str) -> str | None:
    """The key in an Authorization header; None where it is of another kind."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


async def holder_of(key: str | None, keys: KeyRing) -> KeyHolder:
    """The holder of a bearer's key. Raises Problem 401 without one that holds."""
    holder = None if key is None else await keys.holder(key)
    if holder is None:
        raise Problem(401, "unauthorized", "Send a key that holds: Authorization: Bearer <key>.")
    return holder


async def seller_key(arrival: Arrival, keys: KeyRing) -> str:
    """The key of the calling seller. Raises Problem 401, or 403 for a key of another role."""
    holder = await caller(arrival, keys)
    if holder.seller is None:
        raise Problem(403, "forbidden", "This key speaks for no seller.")
    return holder.seller
